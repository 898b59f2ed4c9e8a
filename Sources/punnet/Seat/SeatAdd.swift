import ArgumentParser
import ControlAPI

struct SeatAdd: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a seat, and print the line to type on it.",
        discussion: "For a seat that exists it gives a new line; the seat works on until that is used.")

    @Argument(help: "The seat's name, such as pi-07.")
    var name: String

    @Option(help: "The lab whose desktops it is shown.")
    var lab: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let answer: SeatAddAnswer = try await client.post("seats", SeatAddRequest(name: name, lab: lab))
        try show(answer) { answer in
            """
            On seat \(name), as root, within \(Seconds.format(answer.expiresInSeconds)):

                \(answer.command.printable)
            """
        }
    }
}
