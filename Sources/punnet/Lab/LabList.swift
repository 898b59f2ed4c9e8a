import ArgumentParser
import ControlAPI

struct LabList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the labs.")

    @Option(help: ArgumentHelp("Only those of this image, or of this version of it.", valueName: "name"))
    var image: String?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.list("labs", query: [("image", image)]), LabCommand.table)
    }
}
