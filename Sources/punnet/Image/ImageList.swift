import ArgumentParser
import ControlAPI

struct ImageList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the images and their versions.")

    @Option(help: ArgumentHelp("Only the versions of this image.", valueName: "name"))
    var image: String?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.list("images", query: [("image", image)]), ImageCommand.table)
    }
}
