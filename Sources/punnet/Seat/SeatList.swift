import ArgumentParser
import ControlAPI

struct SeatList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the seats.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("seats"), SeatCommand.table)
    }
}
