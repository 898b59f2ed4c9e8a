import ArgumentParser
import ControlAPI

struct FirstStart: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "first-start", abstract: "Show the code by which the first administrator of the panel is made.",
        discussion: "Each call draws a new code; the one before is good no longer. Once somebody administers the panel, there is no code.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let answer: FirstStartMessage = try await client.post("first-start", [String: String]())
        try show(answer) { message in
            "Open \(message.addresses.first ?? "https://this server's address/") and enter the code \(message.code). "
                + "It is good for \(Seconds.format(message.expiresInSeconds))."
        }
    }
}
