import ArgumentParser
import ControlAPI

struct LabList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the labs.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("labs"), LabCommand.table)
    }
}
