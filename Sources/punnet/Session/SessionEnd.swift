import ArgumentParser
import ControlAPI

struct SessionEnd: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "end", abstract: "End a session; its desktop is erased and made anew.")

    @Argument(help: "The session's number, as 'punnet session list' shows it.")
    var id: Int64

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.post("sessions/\(id)/end")
        report("Session \(id) is ended.")
    }
}
