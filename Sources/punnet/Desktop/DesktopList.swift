import ArgumentParser
import ControlAPI

struct DesktopList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the desktops and their state.")

    @Option(help: ArgumentHelp("Only this lab's.", valueName: "name"))
    var lab: String?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("desktops", query: [("lab", lab)])) { DesktopCommand.table($0) }
    }
}
