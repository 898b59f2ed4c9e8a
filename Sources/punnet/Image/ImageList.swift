import ArgumentParser
import ControlAPI

struct ImageList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the images and their versions.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("images"), ImageCommand.table)
    }
}
