import Broker
import ControlAPI
import ControlPanel
import DesktopModel
import HTTPTypes
import Hummingbird
import ServiceLifecycle

/// Numbers and amounts that somebody typed into a form.
enum PanelField {
    static func whole(_ untrustedText: String, _ field: String) throws(Problem) -> Int {
        guard let number = Int(untrustedText) else { throw .invalid(field, value: String(untrustedText.prefix(40)), remedy: Declined.useWholeNumber()) }
        return number
    }

    /// `on` or `off`.
    static func choice(_ untrustedText: String, _ field: String) throws(Problem) -> Bool {
        switch untrustedText {
        case "on": return true
        case "off": return false
        default: throw .invalid(field, value: String(untrustedText.prefix(40)), remedy: Declined.useOnOrOff())
        }
    }

    /// `1 GiB`, `512MiB`.
    static func bytes(_ untrustedText: String, _ field: String) throws(Problem) -> ByteCount {
        do {
            return ByteCount(rawValue: try Bytes.parse(untrustedText))
        } catch {
            throw .invalid(field, value: String(untrustedText.prefix(40)), remedy: Declined.writeBytes())
        }
    }

    /// A whole number of seconds.
    static func seconds(_ untrustedText: String, _ field: String) throws(Problem) -> Duration {
        .seconds(try whole(untrustedText, field))
    }

    /// `90s`, `10min`, `1h`, or `0`.
    static func time(_ untrustedText: String, _ field: String) throws(Problem) -> Duration {
        if untrustedText == "0" { return .zero }
        do {
            return .seconds(try Seconds.parse(untrustedText))
        } catch {
            throw .invalid(field, value: String(untrustedText.prefix(40)), remedy: Declined.writeTime())
        }
    }
}

/// Labs and seats.
extension PanelRoutes {
    // MARK: Labs

    func showLabs(_ visit: Visit) async throws -> PanelAnswer {
        .page(pages.labs(try await watchedLabs(visit), seats: try await seats.seats(), for: visit.viewer()))
    }

    func showNewLab(_ visit: Visit) async throws -> PanelAnswer {
        var form = LabForm()
        form.image = try await administration.images().last?.version.name ?? ""
        return .page(try await page(of: nil, form, visit, visit.viewer()))
    }

    private func page(
        of lab: LabReport?, _ form: LabForm, _ visit: Visit, _ viewer: Viewer, consequences: [String]? = nil
    ) async throws -> String {
        pages.lab(
            lab, form: form, images: try await administration.images(), leadsToInternet: administration.leadsToInternet,
            consequences: consequences, for: viewer)
    }

    private func labForm(_ visit: Visit) -> LabForm {
        let sent = visit.form
        var form = LabForm()
        form.name = sent["name"]
        form.image = sent["image"]
        form.vcpus = sent["vcpus"]
        form.memory = sent["memory"]
        form.size = sent["size"]
        form.leastReady = sent["leastReady"]
        form.atOnce = sent["atOnce"]
        form.graceSeconds = sent["graceSeconds"]
        form.airing = sent["airing"]
        form.afterSession = sent["afterSession"]
        form.longest = sent["longest"]
        form.idle = sent["idle"]
        form.warning = sent["warning"]
        form.internet = sent["internet"]
        return form
    }

    func createLab(_ visit: Visit) async throws -> PanelAnswer {
        let form = labForm(visit)
        do {
            let draft = LabDraft(
                name: form.name, image: try Untrusted.name(form.image, field: "image"), vcpus: try PanelField.whole(form.vcpus, "vcpus"),
                memory: try PanelField.bytes(form.memory, "memory"), size: try PanelField.whole(form.size, "size"),
                leastReady: try PanelField.whole(form.leastReady, "leastReady"), atOnce: try PanelField.whole(form.atOnce, "atOnce"),
                grace: try PanelField.seconds(form.graceSeconds, "graceSeconds"),
                airing: try PanelField.time(form.airing, "airing"), afterSession: try Untrusted.afterSession(form.afterSession),
                longest: try PanelField.time(form.longest, "longest"), idle: try PanelField.time(form.idle, "idle"),
                warning: try PanelField.time(form.warning, "warning"), internet: try PanelField.choice(form.internet, "internet"))
            let lab = try await administration.createLab(draft)
            await note(visit, "lab-create", lab.lab.name, lab.inShort)
        } catch {
            return .page(try await page(of: nil, form, visit, visit.viewer(try refusal(error, visit))), status: .unprocessableContent)
        }
        return .redirect("/?lab=\(form.name)", done: "labCreated")
    }

    private func lab(_ visit: Visit) async throws -> LabReport {
        let name = try visit.parameter("name")
        guard let lab = try await watchedLabs(visit).first(where: { $0.lab.name == name }) else { throw BrokerError.unknownLab(name) }
        return lab
    }

    func showLab(_ visit: Visit) async throws -> PanelAnswer {
        let lab = try await lab(visit)
        return .page(try await page(of: lab, LabForm(lab), visit, visit.viewer()))
    }

    /// Changes a lab, or tells what that would mean.
    func changeLab(_ visit: Visit) async throws -> PanelAnswer {
        let lab = try await lab(visit)
        let form = labForm(visit)
        do {
            var change = LabChange()
            change.image = try Untrusted.name(form.image, field: "image")
            change.vcpus = try PanelField.whole(form.vcpus, "vcpus")
            change.memory = try PanelField.bytes(form.memory, "memory")
            change.size = try PanelField.whole(form.size, "size")
            change.leastReady = try PanelField.whole(form.leastReady, "leastReady")
            change.atOnce = try PanelField.whole(form.atOnce, "atOnce")
            change.grace = try PanelField.seconds(form.graceSeconds, "graceSeconds")
            change.airing = try PanelField.time(form.airing, "airing")
            change.afterSession = try Untrusted.afterSession(form.afterSession)
            change.longest = try PanelField.time(form.longest, "longest")
            change.idle = try PanelField.time(form.idle, "idle")
            change.warning = try PanelField.time(form.warning, "warning")
            // The form sends what it was shown: only another choice is a wish.
            let internet = try PanelField.choice(form.internet, "internet")
            change.internet = internet == lab.lab.internet ? nil : internet
            if visit.form["do"] == "preview" {
                let consequences = try await administration.consequences(of: change, forLab: lab.lab.name)
                return .page(try await page(of: lab, form, visit, visit.viewer(), consequences: consequences.map { text(of: $0, visit) }))
            }
            let changed = try await administration.changeLab(lab.lab.name, change)
            await note(visit, "lab-change", lab.lab.name, changed.inShort)
        } catch {
            return .page(try await page(of: lab, form, visit, visit.viewer(try refusal(error, visit))), status: .unprocessableContent)
        }
        return .redirect("/labs/\(lab.lab.name)", done: "labChanged")
    }

    func text(of consequence: LabConsequence, _ visit: Visit) -> String {
        switch consequence {
        case .nothing: visit.texts("consequence.nothing")
        case .madeAnew(let count): visit.texts("consequence.madeAnew", "\(count)")
        case .whenTheyEnd(let count): visit.texts("consequence.whenTheyEnd", "\(count)")
        case .added(let count): visit.texts("consequence.added", "\(count)")
        case .removed(let count): visit.texts("consequence.removed", "\(count)")
        case .bootedFirst: visit.texts("consequence.bootedFirst")
        case .internetOpened: visit.texts("consequence.internetOpened")
        case .internetClosed: visit.texts("consequence.internetClosed")
        }
    }

    func deleteLab(_ visit: Visit) async throws -> PanelAnswer {
        let lab = try await lab(visit)
        do {
            try await cancelWhenGracefulShutdown { try await administration.deleteLab(lab.lab.name) }
        } catch {
            return .page(try await page(of: lab, LabForm(lab), visit, visit.viewer(try refusal(error, visit))), status: .conflict)
        }
        await note(visit, "lab-delete", lab.lab.name)
        return .redirect("/labs", done: "labDeleted")
    }

    // MARK: Seats

    func showSeats(_ visit: Visit) async throws -> PanelAnswer { .page(try await seatsPage(visit, visit.viewer())) }

    /// - Parameter form: What was filled in for a seat that asks to join, by its PIN.
    private func seatsPage(_ visit: Visit, _ viewer: Viewer, form: (pin: String, seat: SeatForm)? = nil) async throws -> String {
        let labs = try await watchedLabs(visit)
        let names = Set(labs.map(\.lab.name))
        return pages.seats(
            try await seats.seats().filter { names.contains($0.lab) }, joins: visit.isAdministrator ? await joins.undecided() : [], form: form,
            labs: labs, for: viewer)
    }

    /// Lets a seat in that asks to join.
    func acceptJoin(_ visit: Visit) async throws -> PanelAnswer {
        let pin = try visit.parameter("pin")
        var form = SeatForm()
        form.name = visit.form["name"]
        form.lab = visit.form["lab"]
        do {
            let join = try await joins.accept(pin, name: form.name, lab: form.lab)
            await note(visit, "join-accept", form.name, "\(form.lab), \(join.inShort)")
        } catch {
            return .page(try await seatsPage(visit, visit.viewer(try refusal(error, visit)), form: (pin, form)), status: .unprocessableContent)
        }
        return .redirect("/seats", done: "joinAccepted")
    }

    func refuseJoin(_ visit: Visit) async throws -> PanelAnswer {
        do {
            let join = try await joins.refuse(try visit.parameter("pin"))
            await note(visit, "join-refuse", join.stranger.address, join.inShort)
        } catch {
            return .page(try await seatsPage(visit, visit.viewer(try refusal(error, visit))), status: .unprocessableContent)
        }
        return .redirect("/seats", done: "joinRefused")
    }

    func showNewSeat(_ visit: Visit) async throws -> PanelAnswer {
        let labs = try await watchedLabs(visit)
        var form = SeatForm()
        form.lab = labs.first?.lab.name ?? ""
        return .page(pages.seat(nil, form: form, labs: labs, enrolment: nil, joinLine: enrolment.joinCommand, for: visit.viewer()))
    }

    /// Adds a seat and shows the line to type on it, this once: the word in it is kept only as a hash.
    func addSeat(_ visit: Visit) async throws -> PanelAnswer {
        let labs = try await watchedLabs(visit)
        var form = SeatForm()
        form.name = visit.form["name"]
        form.lab = visit.form["lab"]
        let word: String
        do {
            word = try await seats.add(form.name, lab: form.lab)
        } catch {
            return .page(
                pages.seat(nil, form: form, labs: labs, enrolment: nil, joinLine: enrolment.joinCommand, for: visit.viewer(try refusal(error, visit))),
                status: .unprocessableContent)
        }
        await note(visit, "seat-add", form.name, form.lab)
        let seat = try await seats.seats().first { $0.name == form.name }
        return .page(
            pages.seat(
                seat, form: seat.map(SeatForm.init) ?? form, labs: labs,
                enrolment: (enrolment.command(word: word), Int(SeatRegistry.wordLifetime.components.seconds) / 60), for: visit.viewer()))
    }

    private func seat(_ visit: Visit) async throws -> SeatReport {
        let name = try visit.parameter("name")
        guard let seat = try await seats.seats().first(where: { $0.name == name }) else { throw BrokerError.unknownSeat(name) }
        guard try await watchedLabs(visit).contains(where: { $0.lab.name == seat.lab }) else { throw Problem.notYours }
        return seat
    }

    func showSeat(_ visit: Visit) async throws -> PanelAnswer {
        let seat = try await seat(visit)
        return .page(pages.seat(seat, form: SeatForm(seat), labs: try await watchedLabs(visit), enrolment: nil, for: visit.viewer()))
    }

    func placeSeat(_ visit: Visit) async throws -> PanelAnswer {
        let seat = try await seat(visit)
        let place = try Untrusted.place(column: visit.form["column"], row: visit.form["row"])
        _ = try await seats.change(seat.name, .init(place: place))
        await note(visit, "seat-place", seat.name, place.inShort)
        return .redirect("/seats/\(seat.name)", done: "seatPlaced")
    }

    /// Moves a seat to another lab; the page has said that its session ends.
    func moveSeat(_ visit: Visit) async throws -> PanelAnswer {
        let seat = try await seat(visit)
        var form = SeatForm(seat)
        form.lab = visit.form["lab"]
        do {
            _ = try await seats.change(seat.name, .init(lab: form.lab))
        } catch {
            return try await refused(error, seat, form, visit)
        }
        await note(visit, "seat-move", seat.name, form.lab)
        return .redirect("/seats/\(seat.name)", done: "seatMoved")
    }

    func renameSeat(_ visit: Visit) async throws -> PanelAnswer {
        let seat = try await seat(visit)
        var form = SeatForm(seat)
        form.name = visit.form["name"]
        let renamed: SeatReport
        do {
            renamed = try await seats.change(seat.name, .init(name: form.name))
        } catch {
            return try await refused(error, seat, form, visit)
        }
        if renamed.name != seat.name { await note(visit, "seat-rename", seat.name, renamed.name) }
        return .redirect("/seats/\(renamed.name)", done: "seatRenamed")
    }

    /// The seat's page again, with what was filled in and why that was refused.
    private func refused(_ error: any Error, _ seat: SeatReport, _ form: SeatForm, _ visit: Visit) async throws -> PanelAnswer {
        .page(
            pages.seat(seat, form: form, labs: try await watchedLabs(visit), enrolment: nil, for: visit.viewer(try refusal(error, visit))),
            status: .unprocessableContent)
    }

    func blockSeat(_ visit: Visit, _ isBlocked: Bool) async throws -> PanelAnswer {
        let seat = try await seat(visit)
        _ = try await seats.change(seat.name, .init(isBlocked: isBlocked))
        await note(visit, isBlocked ? "seat-block" : "seat-unblock", seat.name)
        return .redirect("/seats/\(seat.name)", done: isBlocked ? "seatBlocked" : "seatUnblocked")
    }

    func removeSeat(_ visit: Visit) async throws -> PanelAnswer {
        let seat = try await seat(visit)
        try await seats.remove(seat.name)
        await note(visit, "seat-remove", seat.name)
        return .redirect("/seats", done: "seatRemoved")
    }
}
