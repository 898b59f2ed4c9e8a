import ArgumentParser
import ControlAPI

struct DesktopRemake: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "remake", abstract: "Throw a desktop away and make it anew.",
        discussion: "A session on it ends and what is on it is erased: then, on a terminal, it asks first.")

    @Argument(help: "The desktop's name, such as room1-3.")
    var name: String

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        if !yes {
            let desktops: [DesktopMessage] = try await client.list("desktops")
            if let desktop = desktops.first(where: { $0.name == name }), desktop.state == "leased" {
                let session = desktop.session.map { "session \($0)" } ?? "its session"
                try Terminal.confirm("Desktop \(name) is in use: \(session) ends and what is on it is erased", yes: yes, harmless: false)
            }
        }
        try await client.post("desktops/\(ControlClient.part(name))/remake")
        report("Desktop \(name) is being made anew.")
    }
}
