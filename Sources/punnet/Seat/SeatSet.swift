import ArgumentParser
import ControlAPI

struct SeatSet: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Move a seat to another lab, block it, or let it be used again.",
        discussion: "A session of a seat that is moved or blocked ends: then, on a terminal, it asks first. A blocked seat stays enrolled, and says that it is blocked.")

    @Argument(help: "The seat's name.")
    var name: String

    @Option(help: "The lab whose desktops it is shown from now on.")
    var lab: String?

    @Flag(help: "Give it no desktop until it is unblocked.")
    var block = false

    @Flag(help: "Let it be used again.")
    var unblock = false

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard !(block && unblock), block || unblock || lab != nil else {
            throw ValidationError("Name --lab, --block or --unblock; not the last two together.")
        }
    }

    func perform(_ client: ControlClient) async throws {
        if !yes {
            let seats: [SeatListMessage] = try await client.get("seats")
            if let seat = seats.first(where: { $0.name == name }), let desktop = seat.desktop, block || lab ?? seat.lab != seat.lab {
                try Terminal.confirm("Seat \(name) has desktop \(desktop): its session ends", yes: yes, harmless: false)
            }
        }
        let change = SeatChangeMessage(lab: lab, blocked: block ? true : unblock ? false : nil)
        let seat: SeatListMessage = try await client.patch("seats/\(ControlClient.part(name))", change)
        try show(seat) { "Seat \($0.name) belongs to lab \($0.lab)\($0.blocked ? ", and is blocked" : "")." }
    }
}
