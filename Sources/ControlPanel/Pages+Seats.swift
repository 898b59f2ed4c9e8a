import Broker
import ControlAPI
import DesktopModel

/// A seat's form as it was filled in.
public struct SeatForm: Sendable {
    public var name = ""
    public var lab = ""
    public var column = ""
    public var row = ""
    public init() {}
    public init(_ seat: SeatReport) {
        name = seat.name
        lab = seat.lab
        column = seat.place.map { "\($0.column)" } ?? ""
        row = seat.place.map { "\($0.row)" } ?? ""
    }
}

extension Pages {
    /// - Parameter form: What was filled in for a seat that asks to join, by its PIN.
    public func seats(
        _ seats: [SeatReport], joins: [SeatJoin], form: (pin: String, seat: SeatForm)? = nil, labs: [LabReport], for viewer: Viewer
    ) -> String {
        html(
            "seats", "seats", for: viewer,
            [
                "hasJoins": !joins.isEmpty,
                "joins": joins.map { join -> Fields in
                    let filled = form?.pin == join.pin ? form?.seat : nil
                    return [
                        "pin": join.pin, "words": join.words.joined(separator: " "),
                        "model": known(join.stranger.model.isEmpty ? nil : join.stranger.model), "address": join.stranger.address,
                        "name": filled?.name ?? "",
                        "labs": labs.map { ["lab": $0.lab.name, "isChosen": $0.lab.name == filled?.lab] as Fields },
                    ].merging(moment("since", join.since)) { _, last in last }
                },
                "isEmpty": seats.isEmpty, "canAdd": viewer.isAdministrator && !labs.isEmpty, "hasLabs": !labs.isEmpty,
                "seats": seats.sorted { NameOrder($0.name) < NameOrder($1.name) }.map { seat -> Fields in
                    let state = SeatState(seat)
                    return [
                        "name": seat.name, "href": "/seats/\(seat.name)", "lab": seat.lab, "state": state.rawValue,
                        "label": viewer.texts("state.seat.\(state.rawValue)"), "desktop": known(seat.desktop), "model": known(nil),
                    ]
                },
            ])
    }

    /// What a seat said of itself: names and values of what it knew.
    private func health(of seat: SeatReport, _ texts: Texts) -> Fields? {
        guard let health = seat.health else { return nil }
        let memory = health.memoryTotal.map { total in
            health.memoryAvailable.map { texts("pattern.of", "\(total - $0)", "\(total)") } ?? "\(total)"
        }
        let facts: [(key: String, value: String?)] = [
            ("model", health.model), ("version", health.version), ("screen", health.screen.map { "\($0.width) × \($0.height)" }),
            ("temperature", health.millidegrees.map { "\(($0 + 500) / 1000) °C" }), ("memory", memory),
            ("uptime", health.uptime.map { Seconds.format(Int($0.components.seconds)) }),
        ]
        return [
            "warnings": health.warnings.map { ["text": texts("warning.\($0.rawValue)")] as Fields },
            "facts": facts.compactMap { fact in fact.value.map { ["label": texts("health.\(fact.key)"), "value": $0] as Fields } },
        ].merging(moment("reported", seat.healthAt)) { _, last in last }
    }

    /// - Parameters:
    ///   - seat: The seat that is there; nil for a new one.
    ///   - enrolment: The line to type on a seat that was just added, and how long it is good.
    ///   - joinLine: The line by which a seat asks to join.
    public func seat(
        _ seat: SeatReport?, form: SeatForm, labs: [LabReport], enrolment: (command: String, minutes: Int)?, joinLine: String? = nil,
        for viewer: Viewer
    ) -> String {
        let texts = viewer.texts
        let state = seat.map(SeatState.init)
        return html(
            "seat", "seat", under: "seats", for: viewer,
            [
                "title": seat?.name ?? texts("title.newSeat"), "isNew": seat == nil, "name": known(seat?.name), "lab": known(seat?.lab),
                "labHref": known(seat.map { "/labs/\($0.lab)" }),
                "form": ["name": form.name, "lab": form.lab, "column": form.column, "row": form.row] as Fields,
                "labs": labs.map { ["name": $0.lab.name, "isChosen": $0.lab.name == form.lab] as Fields },
                "state": known(state?.rawValue), "label": known(state.map { texts("state.seat.\($0.rawValue)") }),
                "health": known(seat.flatMap { health(of: $0, texts) }),
                "isBlocked": seat?.isBlocked ?? false, "hasOtherLabs": labs.count > 1,
                "desktop": known(seat?.desktop), "desktopHref": known(seat?.desktop.map { "/desktops/\($0)" }),
                "session": known(seat?.session.map { "\($0)" }),
                "joinLine": known(joinLine),
                "enrolment": known(enrolment.map { ["command": $0.command, "minutes": $0.minutes] as Fields }),
            ])
    }
}
