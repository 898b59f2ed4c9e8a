import ArgumentParser
import ControlAPI

struct SeatList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the seats.")

    @Option(help: ArgumentHelp("Only this lab's.", valueName: "name"))
    var lab: String?

    @Option(help: ArgumentHelp("Only those that are on (true), or off (false).", valueName: "true|false"))
    var present: Bool?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.list("seats", query: [("lab", lab), ("present", present.map { "\($0)" })]), SeatCommand.table)
    }
}
