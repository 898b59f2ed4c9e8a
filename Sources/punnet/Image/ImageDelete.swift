import ArgumentParser
import ControlAPI

struct ImageDelete: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete a version of an image with its files.",
        discussion: "On a terminal it asks first. punnetd refuses while a lab has it or a desktop is made of it.")

    @Argument(help: "IMAGE-VERSION, or the image for its newest version.")
    var name: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let image: ImageMessage = try await client.get("images/\(ControlClient.part(name))")
        try Terminal.confirm("Image \(image.name) is deleted with its files, which frees its disk for good", yes: yes, harmless: true)
        try await client.delete("images/\(ControlClient.part(image.name))")
        report("Image \(image.name) is deleted.")
    }
}
