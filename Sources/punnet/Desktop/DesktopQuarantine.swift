import ArgumentParser
import ControlAPI

struct DesktopQuarantine: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine", abstract: "Take a desktop out of use until it is released.",
        discussion: """
            It is thrown away, one that is in use when its session has ended, and nobody is given it. 'punnet desktop release' has it made anew.
            """)

    @Argument(help: "The desktop's name, such as room1-3.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.post("desktops/\(ControlClient.part(name))/quarantine")
        report("Desktop \(name) is out of use until 'punnet desktop release \(name)'.")
    }
}

struct DesktopRelease: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Make a desktop anew that is in quarantine.",
        discussion: "One that failed by itself is tried again at once.")

    @Argument(help: "The desktop's name, such as room1-3.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.post("desktops/\(ControlClient.part(name))/release")
        report("Desktop \(name) is made anew.")
    }
}
