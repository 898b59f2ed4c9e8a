import Broker
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
    public func seats(_ seats: [SeatReport], labs: [LabReport], for viewer: Viewer) -> String {
        html(
            "seats", "seats", for: viewer,
            [
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

    /// - Parameters:
    ///   - seat: The seat that is there; nil for a new one.
    ///   - enrolment: The line to type on a seat that was just added, and how long it is good.
    public func seat(
        _ seat: SeatReport?, form: SeatForm, labs: [LabReport], enrolment: (command: String, minutes: Int)?, for viewer: Viewer
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
                "desktop": known(seat?.desktop), "desktopHref": known(seat?.desktop.map { "/desktops/\($0)" }),
                "session": known(seat?.session.map { "\($0)" }),
                "enrolment": known(enrolment.map { ["command": $0.command, "minutes": $0.minutes] as Fields }),
            ])
    }
}
