import ArgumentParser
import ControlAPI

struct LabDelete: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a lab with its desktops.",
        discussion: """
            Its desktops are erased; it ends when they are gone. On a terminal it asks first. \
            punnetd refuses while a seat belongs to the lab or a session runs in it.
            """)

    @Argument(help: "The lab's name.")
    var name: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try Terminal.confirm("Lab \(name) and its desktops are deleted", yes: yes, harmless: true)
        try await client.delete("labs/\(ControlClient.part(name))")
        report("Lab \(name) is deleted.")
    }
}
