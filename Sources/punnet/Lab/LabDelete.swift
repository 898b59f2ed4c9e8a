import ArgumentParser
import ControlAPI

struct LabDelete: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a lab with its desktops.",
        discussion: "Its sessions end and what is on its desktops is erased. On a terminal it asks first.")

    @Argument(help: "The lab's name.")
    var name: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        if !yes {
            let labs: [LabMessage] = try await client.get("labs")
            let leased = labs.first { $0.name == name }?.desktops["leased"] ?? 0
            let sessions = leased == 0 ? "" : leased == 1 ? ", and 1 session ends" : ", and \(leased) sessions end"
            try Terminal.confirm("Lab \(name) and its desktops are deleted\(sessions)", yes: yes, harmless: leased == 0)
        }
        try await client.delete("labs/\(ControlClient.part(name))")
        report("Lab \(name) is deleted.")
    }
}
