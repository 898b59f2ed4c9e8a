import ArgumentParser
import ControlAPI

struct SessionList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the open sessions, newest first.")

    @Flag(help: "The ended ones too.")
    var all = false

    @Option(help: "At most this many, from 1 to 1000.")
    var limit: Int?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let query = [("all", all ? "true" : nil), ("limit", limit.map { "\($0)" })]
        try show(try await client.get("sessions", query: query), SessionCommand.table)
    }
}
