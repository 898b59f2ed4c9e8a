import Broker
import ControlAPI
import DesktopModel

/// What a seat is doing, as the room's plan shows it.
enum SeatState: String, CaseIterable {
    /// Nobody has enrolled it yet.
    case unenrolled
    /// It is given no desktop.
    case blocked
    /// It is switched off, or cannot be reached.
    case off
    /// It is on and has no desktop.
    case idle
    case waiting
    case inUse
    /// It has a desktop, and the link to it is lost.
    case lost

    init(_ seat: SeatReport) {
        self =
            if !seat.enrolled { .unenrolled } else if seat.isBlocked { .blocked } else if seat.session != nil { seat.connected ? .inUse : .lost
            } else if seat.line != nil { .waiting } else if seat.present { .idle } else { .off }
    }
}

/// What the room's page is made of.
public struct RoomView: Sendable {
    public let room: RoomReport
    public let desktops: [DesktopReport]
    public let seats: [SeatReport]
    /// The open sessions.
    public let sessions: [SessionReport]
    public let hasImages: Bool
    /// Images that are being taken in, or could not be.
    public let operations: [OperationMessage]
    /// How many seats ask to join, where the viewer may let them.
    public let joins: Int
    /// The lab that is asked for; nil: the first one.
    public let lab: String?
    public let isArranging: Bool

    public init(
        room: RoomReport, desktops: [DesktopReport], seats: [SeatReport], sessions: [SessionReport], hasImages: Bool, operations: [OperationMessage],
        joins: Int = 0, lab: String?, isArranging: Bool
    ) {
        self.room = room
        self.desktops = desktops
        self.seats = seats
        self.sessions = sessions
        self.hasImages = hasImages
        self.operations = operations
        self.joins = joins
        self.lab = lab
        self.isArranging = isArranging
    }
}

extension Pages {
    /// The first page: the room as it stands.
    public func room(_ view: RoomView, for viewer: Viewer) -> String {
        let texts = viewer.texts
        let report = view.room.labs.first { $0.lab.name == view.lab } ?? view.room.labs.first
        let seats = view.seats.filter { $0.lab == report?.lab.name }.sorted { NameOrder($0.name) < NameOrder($1.name) }
        let desktops = view.desktops.filter { $0.lab == report?.lab.name }
        var fields: Fields = [
            "labs": view.room.labs.map { lab -> Fields in
                ["name": lab.lab.name, "href": "/?lab=\(lab.lab.name)", "isCurrent": lab.lab.name == report?.lab.name]
            },
            "hasManyLabs": view.room.labs.count > 1, "hasSeats": !seats.isEmpty, "isArranging": view.isArranging,
            "troubles": view.room.troubles.map { texts($0) }, "gauges": gauges(view.room, texts), "lab": known(nil), "next": known(nil), "bar": known(nil),
            "counts": [Fields](), "seats": places(seats, view.sessions, texts, viewer), "desktops": desktops.map { tile($0, texts) },
        ]
        fields["operations"] = viewer.isAdministrator ? view.operations.map { progress(of: $0, texts) } : []
        fields["joins"] = known(view.joins == 0 ? nil : ["text": texts("pattern.joins", "\(view.joins)")] as Fields)
        if viewer.isAdministrator { fields["next"] = known(next(view, report, seats, texts)) }
        if let report {
            fields["lab"] =
                [
                    "name": report.lab.name, "image": report.image, "hardware": hardware(report.lab.profile, texts), "waiting": report.waiting,
                    "isWaiting": report.waiting > 0, "href": "/labs/\(report.lab.name)",
                ] as Fields
            fields["counts"] = counts(report.desktops, texts)
            fields["bar"] = bar(report.desktops)
        }
        return html("room", "room", for: viewer, fields)
    }

    /// The one next step on the way to a room that works; a lab's first seat is added right there.
    private func next(_ view: RoomView, _ lab: LabReport?, _ seats: [SeatReport], _ texts: Texts) -> Fields? {
        func step(_ key: String, _ more: Fields) -> Fields {
            more.merging(["text": texts("next.\(key)"), "label": texts("next.\(key)Label")]) { _, last in last }
        }
        func link(_ key: String, _ href: String) -> Fields { step(key, ["link": ["href": href] as Fields, "form": known(nil)]) }
        guard view.hasImages else { return view.operations.contains { $0.state == .running } ? nil : link("image", "/images") }
        guard let lab else { return link("lab", "/labs/new") }
        guard seats.isEmpty else { return nil }
        return step("seat", ["link": known(nil), "form": ["lab": lab.lab.name] as Fields])
    }

    private func bar(_ desktops: [String: Int]) -> Fields {
        let total = desktops.values.reduce(0, +)
        var parts: [Fields] = []
        var x = 0
        for word in ["ready", "leased", "preparing", "retiring", "quarantined", "empty"] {
            guard let count = desktops[word], count > 0 else { continue }
            let end = (parts.isEmpty ? 0 : x) + count * 1000 / total
            parts.append(["state": word, "x": x, "width": end - x])
            x = end
        }
        return ["total": total, "parts": parts]
    }

    /// The plan: who has no place of their own yet stands in the free places, in the order of the names.
    private func places(_ seats: [SeatReport], _ sessions: [SessionReport], _ texts: Texts, _ viewer: Viewer) -> [Fields] {
        var free = TablePlaces(taken: Set(seats.compactMap(\.place)))
        let open = Dictionary(sessions.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        return seats.map { seat -> Fields in
            let place = seat.place ?? free.next()
            let state = SeatState(seat)
            let since = seat.session.flatMap { open[$0] }?.began
            return [
                "name": seat.name, "state": state.rawValue, "label": texts("state.seat.\(state.rawValue)"),
                "detail": known(
                    seat.line.map { texts("pattern.place", "\($0)") } ?? since.map { texts("pattern.since", LocalTime.text($0)) }),
                "desktop": known(seat.desktop), "session": known(seat.session.map { "\($0)" }), "column": place.column, "row": place.row,
                "href": "/seats/\(seat.name)", "canChoose": seat.session != nil || seat.present,
            ].merging(moment("since", since)) { _, last in last }
        }
    }

    private func tile(_ desktop: DesktopReport, _ texts: Texts) -> Fields {
        ["name": desktop.name, "href": "/desktops/\(desktop.name)"].merging(state(of: desktop, texts)) { _, last in last }
    }

    /// A desktop's state in words: what it is, and where its making stands.
    func state(of desktop: DesktopReport, _ texts: Texts) -> Fields {
        var detail: String?
        if case .preparing(let step) = desktop.state { detail = texts("step.\(step.rawValue)") }
        return ["state": desktop.state.word, "label": texts("state.desktop.\(desktop.state.word)"), "detail": known(detail)]
    }

    private func gauges(_ room: RoomReport, _ texts: Texts) -> [Fields] {
        var gauges: [Fields] = []
        if let memory = room.memory {
            gauges.append(
                gauge("memory", used: memory.promised, of: memory.forDesktops, texts("pattern.of", "\(memory.promised)", "\(memory.forDesktops)"), texts))
        }
        if let total = room.diskTotal, let free = room.diskFree {
            gauges.append(gauge("disk", used: total - free, of: total, texts("pattern.free", "\(free)"), texts))
        }
        if let load = room.load {
            let percent = Int((load.share * 100).rounded())
            gauges.append(gauge("processors", percent, texts("pattern.busy", "\(percent)", "\(load.processors)"), texts))
        }
        return gauges
    }

    private func gauge(_ key: String, used: ByteCount, of total: ByteCount, _ value: String, _ texts: Texts) -> Fields {
        gauge(key, total.rawValue > 0 ? Int(min(100, max(0, used.rawValue * 100 / total.rawValue))) : 0, value, texts)
    }

    private func gauge(_ key: String, _ percent: Int, _ value: String, _ texts: Texts) -> Fields {
        ["key": key, "label": texts("gauge.\(key)"), "value": value, "percent": percent, "detail": known(nil)]
    }
}

/// The places of a room's plan that nobody has, row by row from the top.
struct TablePlaces {
    private let taken: Set<TablePlace>
    private var number = 0

    init(taken: Set<TablePlace>) { self.taken = taken }

    /// How wide a plan is drawn that nobody has arranged.
    private static let usualColumns = 6

    /// The next one; where all are taken, the last one again.
    mutating func next() -> TablePlace {
        while let place = TablePlace(column: number % Self.usualColumns + 1, row: number / Self.usualColumns + 1) {
            number += 1
            if !taken.contains(place) { return place }
        }
        return Self.last
    }

    private static let last: TablePlace = {
        guard let place = TablePlace(column: TablePlace.columns.upperBound, row: TablePlace.rows.upperBound) else {
            preconditionFailure("the plan's last place is one")
        }
        return place
    }()
}
