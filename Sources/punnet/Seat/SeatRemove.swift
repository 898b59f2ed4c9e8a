import ArgumentParser
import ControlAPI

struct SeatRemove: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a seat; its token is good no more.",
        discussion: "A session of the seat ends: then, on a terminal, it asks first.")

    @Argument(help: "The seat's name.")
    var name: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        if !yes {
            let seats: [SeatListMessage] = try await client.list("seats")
            if let desktop = seats.first(where: { $0.name == name })?.desktop {
                try Terminal.confirm("Seat \(name) has desktop \(desktop): its session ends", yes: yes, harmless: false)
            }
        }
        try await client.delete("seats/\(ControlClient.part(name))")
        report("Seat \(name) is removed.")
    }
}
