import Broker
import ControlAPI
import ControlPanel
import DesktopModel
import HTTPTypes
import Hummingbird
import NIOCore

/// The room, its sessions, and what may be done to them.
extension PanelRoutes {
    /// The labs that the visitor may see.
    func watchedLabs(_ visit: Visit) async throws -> [LabReport] {
        try await administration.room().labs.filter { visit.mayWatch($0.lab.id) }
    }

    func showRoom(_ visit: Visit) async throws -> PanelAnswer { .page(try await room(visit, visit.viewer(), lab: visit.form["lab"])) }

    /// - Parameter wanted: The lab that is shown; empty for the first.
    private func room(_ visit: Visit, _ viewer: Viewer, lab wanted: String) async throws -> String {
        var room = try await administration.room()
        room.labs.removeAll { !visit.mayWatch($0.lab.id) }
        return pages.room(
            RoomView(
                room: room, desktops: try await administration.desktops(lab: nil), seats: try await seats.seats(),
                sessions: try await administration.sessions(all: false, limit: 10_000), hasImages: try await !administration.images().isEmpty,
                operations: operations.unfinished(kind: "image-add"), joins: visit.isAdministrator ? await joins.undecided().count : 0,
                lab: wanted.isEmpty ? nil : wanted,
                isArranging: visit.isAdministrator && visit.form.has("arrange")),
            for: viewer)
    }

    // MARK: Seats

    /// Has the seats that were ticked do something. All are told that can be; which were off is said.
    func orderSeats(_ visit: Visit) async throws -> PanelAnswer {
        let (word, text, back) = (visit.form["do"], visit.form["text"], Self.ownPath(visit.form["back"]))
        let lab = visit.form["lab"]
        func refused(_ refusal: Refusal, _ status: HTTPResponse.Status) async throws -> PanelAnswer {
            .page(try await room(visit, visit.viewer(refusal), lab: lab), status: status)
        }
        // Switching a class off is for who switches it on again.
        guard word != "shut-down" || visit.isAdministrator else { throw Problem.forAdministrators }
        let order: SeatOrder
        do {
            order = try Untrusted.order(word, text: word == "message" ? text : nil)
        } catch {
            return try await refused(try refusal(error, visit), .unprocessableContent)
        }
        let labs = Set(try await watchedLabs(visit).map(\.lab.name))
        let names = Set(visit.form.all("seat"))
        let chosen = try await seats.seats().filter { names.contains($0.name) }
        guard chosen.allSatisfy({ labs.contains($0.lab) }) else { throw Problem.notYours }
        guard !chosen.isEmpty else { return try await refused(Refusal(text: visit.texts("error.noSeatChosen")), .unprocessableContent) }
        var off: [String] = []
        for seat in chosen {
            do throws(BrokerError) {
                try await seats.order(order, to: seat.name)
                await note(visit, "seat-\(word)", seat.name, word == "message" ? text : "")
            } catch {
                guard case .seatIsOff = error else { throw error }
                off.append(seat.name)
            }
        }
        guard off.isEmpty else { return try await refused(Refusal(text: visit.texts("error.seatsOff", off.joined(separator: ", "))), .conflict) }
        return .redirect(back, done: "seatsTold")
    }

    // MARK: Sessions

    /// The sessions that the visitor may see, the newest first and at most `limit`: a teacher those on desktops of their labs.
    private func watchedSessions(_ visit: Visit, limit: Int) async throws -> [SessionReport] {
        var before = Int64(visit.form["before"]).map(SessionID.init(rawValue:))
        guard !visit.isAdministrator else { return try await administration.sessions(all: true, before: before, limit: limit) }
        let desktops = try await watchedDesktops(visit)
        var watched: [SessionReport] = []
        let step = 1000
        while watched.count < limit {
            let some = try await administration.sessions(all: true, before: before, limit: step)
            watched += some.filter { desktops.contains($0.desktop) }
            guard some.count == step, let last = some.last else { break }
            before = last.id
        }
        return Array(watched.prefix(limit))
    }

    private func watchedDesktops(_ visit: Visit) async throws -> Set<String> {
        let labs = Set(try await watchedLabs(visit).map(\.lab.name))
        return Set(try await administration.desktops(lab: nil).filter { labs.contains($0.lab) }.map(\.name))
    }

    func showSessions(_ visit: Visit) async throws -> PanelAnswer {
        let sessions = try await watchedSessions(visit, limit: 101)
        return .page(pages.sessions(Array(sessions.prefix(100)), older: sessions.count > 100, for: visit.viewer()))
    }

    /// What was counted on the whole server is an administrator's.
    func showFigures(_ visit: Visit) async throws -> PanelAnswer {
        let days = DayOfUse.last(14, of: try await watchedSessions(visit, limit: 10_000))
        return .page(pages.figures(days, visit.isAdministrator ? await administration.figures() : nil, for: visit.viewer()))
    }

    /// Everything that is kept, for a spreadsheet: no cell is taken for a formula.
    func sessionsAsCSV(_ visit: Visit) async throws -> PanelAnswer {
        var text = "session,seat,desktop,began,ended,reason\r\n"
        for session in try await watchedSessions(visit, limit: 10_000) {
            let cells = [
                "\(session.id)", session.seat, session.desktop, Moment(seconds: session.began).description,
                session.ended.map { Moment(seconds: $0).description } ?? "",
                session.reason?.rawValue ?? "",
            ]
            text += cells.map(CSV.cell).joined(separator: ",") + "\r\n"
        }
        return .whole(
            Response(
                status: .ok,
                headers: [.contentType: "text/csv; charset=utf-8", .contentDisposition: "attachment; filename=\"punnet-sessions.csv\""],
                body: ResponseBody(byteBuffer: ByteBuffer(string: text))))
    }

    func endSession(_ visit: Visit) async throws -> PanelAnswer {
        let id = try Untrusted.sessionID(try visit.parameter("id"))
        try await end([id], visit)
        return .redirect(Self.ownPath(visit.form["back"].isEmpty ? "/sessions" : visit.form["back"]), done: "sessionEnded")
    }

    /// Ends the sessions of the seats that were ticked.
    func endSessionsOfSeats(_ visit: Visit) async throws -> PanelAnswer {
        let names = Set(visit.form.all("seat"))
        try await end(try await seats.seats().filter { names.contains($0.name) }.compactMap(\.session), visit)
        return .redirect(Self.ownPath(visit.form["back"]), done: "sessionEnded")
    }

    /// One that has ended meanwhile is what was wanted.
    private func end(_ ids: [SessionID], _ visit: Visit) async throws {
        let desktops = try await watchedDesktops(visit)
        let open = try await administration.sessions(all: false, limit: 10_000).filter { ids.contains($0.id) && desktops.contains($0.desktop) }
        guard !open.isEmpty || ids.isEmpty || visit.isAdministrator else { throw Problem.notYours }
        for session in open {
            do throws(BrokerError) {
                try await administration.endSession(session.id)
            } catch {
                guard case .unknownSession = error else { throw error }
            }
            await note(visit, "session-end", session.seat, session.desktop)
        }
    }

    // MARK: Desktops

    func showDesktops(_ visit: Visit) async throws -> PanelAnswer {
        let labs = try await watchedLabs(visit)
        let names = Set(labs.map(\.lab.name))
        let wanted = visit.form["lab"]
        let lab = names.contains(wanted) ? wanted : nil
        let desktops = try await administration.desktops(lab: lab).filter { names.contains($0.lab) }
        return .page(pages.desktops(desktops, labs: labs, lab: lab, for: visit.viewer()))
    }

    /// The desktop that an address names, if the visitor may see it.
    private func desktop(_ visit: Visit) async throws -> DesktopExplanation {
        let told = try await administration.explainDesktop(try Untrusted.name(try visit.parameter("name"), field: "desktop"))
        guard try await watchedLabs(visit).contains(where: { $0.lab.name == told.desktop.lab }) else { throw Problem.notYours }
        return told
    }

    func showDesktop(_ visit: Visit) async throws -> PanelAnswer {
        .page(try await page(of: try await desktop(visit), visit, visit.viewer()))
    }

    private func page(
        of told: DesktopExplanation, _ visit: Visit, _ viewer: Viewer, hardware: (vcpus: String, memory: String)? = nil,
        consequences: [String]? = nil
    ) async throws -> String {
        var session: SessionReport?
        if case .leased(let id) = told.desktop.state {
            session = try await administration.sessions(all: false, limit: 10_000).first { $0.id == id }
        }
        return pages.desktop(told, session: session, hardware: hardware, consequences: consequences, for: viewer)
    }

    /// Gives a desktop hardware of its own, or its lab's; or tells what that would mean.
    func changeHardware(_ visit: Visit) async throws -> PanelAnswer {
        let told = try await desktop(visit)
        let (form, name) = (visit.form, told.desktop.name)
        let hardware = (vcpus: form["vcpus"], memory: form["memory"])
        do {
            let change: HardwareChange =
                form["do"] == "asLab"
                ? .asLab : .own(vcpus: try PanelField.whole(hardware.vcpus, "vcpus"), memory: try PanelField.bytes(hardware.memory, "memory"))
            let isPreview = form["do"] == "preview"
            let consequences = try await administration.changeDesktop(name, change, onlyTell: isPreview)
            guard !isPreview else {
                return .page(try await page(
                        of: told, visit, visit.viewer(), hardware: hardware, consequences: consequences.map { visit.texts($0) }))
            }
            await note(visit, "desktop-change", name, change.inShort)
        } catch {
            return .page(
                try await page(of: told, visit, visit.viewer(try refusal(error, visit)), hardware: hardware), status: .unprocessableContent)
        }
        return .redirect("/desktops/\(name)", done: "desktopChanged")
    }

    func remakeDesktop(_ visit: Visit) async throws -> PanelAnswer {
        let name = try await desktop(visit).desktop.name
        try await administration.remakeDesktop(name)
        await note(visit, "desktop-remake", name)
        return .redirect("/desktops/\(name)", done: "desktopRemade")
    }

    func quarantineDesktop(_ visit: Visit) async throws -> PanelAnswer {
        let name = try await desktop(visit).desktop.name
        try await administration.quarantineDesktop(name)
        await note(visit, "desktop-quarantine", name)
        return .redirect("/desktops/\(name)", done: "desktopQuarantined")
    }

    func releaseDesktop(_ visit: Visit) async throws -> PanelAnswer {
        let name = try await desktop(visit).desktop.name
        try await administration.releaseDesktop(name)
        await note(visit, "desktop-release", name)
        return .redirect("/desktops/\(name)", done: "desktopReleased")
    }

    /// Makes the desktops anew that were ticked.
    func remakeDesktops(_ visit: Visit) async throws -> PanelAnswer {
        let watched = try await watchedDesktops(visit)
        let names = visit.form.all("desktop")
        guard names.allSatisfy(watched.contains) else { throw Problem.notYours }
        // All or none.
        if let aside = try await administration.desktops(lab: nil).first(where: { $0.isSetAside && names.contains($0.name) }) {
            throw BrokerError.inUse(kind: "desktop", name: aside.name, by: Declined.quarantinedAmongOthers())
        }
        for name in names {
            try await administration.remakeDesktop(name)
            await note(visit, "desktop-remake", name)
        }
        return .redirect(Self.ownPath(visit.form["back"].isEmpty ? "/desktops" : visit.form["back"]), done: "desktopRemade")
    }
}

/// Cells of a table of comma-separated values.
/// - SeeAlso: RFC 4180
enum CSV {
    /// Quoted where it must be. What a spreadsheet would take for a formula is led in by an apostrophe, so that it is shown and not run.
    static func cell(_ text: String) -> String {
        let isFormula = text.first.map { "=+-@\t\r".contains($0) } ?? false
        let harmless = isFormula ? "'" + text : text
        guard harmless.contains(where: { ",\"\r\n".contains($0) }) else { return harmless }
        return "\"" + harmless.replacing("\"", with: "\"\"") + "\""
    }
}
