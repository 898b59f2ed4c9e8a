import ArgumentParser
import ControlAPI

struct SeatSet: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Name a seat otherwise, move it to another lab or place, block it, or let it be used again.",
        discussion: "A session of a seat that goes to another lab or is blocked ends: then, on a terminal, it asks first. A blocked seat stays enrolled, and says that it is blocked.")

    @Argument(help: "The seat's name.")
    var name: String

    @Option(name: .customLong("name"), help: "What it is called from now on; its session goes on.")
    var newName: String?

    @Option(help: "The lab whose desktops it is shown from now on.")
    var lab: String?

    @Option(help: "Where its table stands in the room's plan: COLUMN,ROW, from the left and from the front.")
    var place: TablePlaceMessage?

    @Flag(help: "Give it no desktop until it is unblocked.")
    var block = false

    @Flag(help: "Let it be used again.")
    var unblock = false

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard !(block && unblock), block || unblock || newName != nil || lab != nil || place != nil else {
            throw ValidationError("Give --name, --lab, --place, --block or --unblock; not the last two together.")
        }
    }

    func perform(_ client: ControlClient) async throws {
        if !yes {
            let seats: [SeatListMessage] = try await client.get("seats")
            if let seat = seats.first(where: { $0.name == name }), let desktop = seat.desktop, block || lab ?? seat.lab != seat.lab {
                try Terminal.confirm("Seat \(name) has desktop \(desktop): its session ends", yes: yes, harmless: false)
            }
        }
        let change = SeatChangeMessage(name: newName, lab: lab, blocked: block ? true : unblock ? false : nil, place: place)
        let seat: SeatListMessage = try await client.patch("seats/\(ControlClient.part(name))", change)
        try show(seat) { seat in
            let place = seat.place.map { ", stands at \($0.column), \($0.row)" } ?? ""
            return "Seat \(seat.name) belongs to lab \(seat.lab)\(place)\(seat.blocked ? ", and is blocked" : "")."
        }
    }
}

extension TablePlaceMessage: ExpressibleByArgument {
    /// Two whole numbers with a comma between.
    public init?(argument: String) {
        let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 2, let column = numbers[0], let row = numbers[1] else { return nil }
        self.init(column: column, row: row)
    }
}
