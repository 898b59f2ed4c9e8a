import ArgumentParser
import ControlAPI

struct SessionList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the open sessions, newest first.")

    @Flag(help: "The ended ones too.")
    var all = false

    @Option(help: ArgumentHelp("Only this lab's.", valueName: "name"))
    var lab: String?

    @Option(help: ArgumentHelp("Only this seat's.", valueName: "name"))
    var seat: String?

    @Option(help: ArgumentHelp("Only this desktop's.", valueName: "name"))
    var desktop: String?

    @Option(help: "At most this many; without it all that are open, or a hundred with --all.")
    var limit: Int?

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit takes a number from 1.") }
    }

    func perform(_ client: ControlClient) async throws {
        let query = [("all", all ? "true" : nil), ("lab", lab), ("seat", seat), ("desktop", desktop)]
        try show(try await client.list("sessions", query: query, limit: limit ?? (all ? 100 : nil)), SessionCommand.table)
    }
}
