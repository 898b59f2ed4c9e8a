import ArgumentParser
import ControlAPI

struct DesktopList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the desktops and their state.")

    @Option(help: ArgumentHelp("Only this lab's.", valueName: "name"))
    var lab: String?

    @Option(help: "Only those that are so: empty, preparing, ready, leased, retiring or quarantined.")
    var state: String?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.list("desktops", query: [("lab", lab), ("state", state)])) { DesktopCommand.table($0) }
    }
}
