import ArgumentParser
import ControlAPI

struct ImageSet: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Note something of an image, or change how its desktops are made.",
        discussion: """
            Desktops of an image without the package punnet-guest are booted, which takes minutes where restoring takes seconds. Where it does no \
            harm that all of them are one machine to others, accept it, and they are restored.
            """)

    enum Answer: String, ExpressibleByArgument, CaseIterable { case accept, refuse }

    @Argument(help: "The image, for its newest version, or IMAGE-VERSION.")
    var name: String

    @Option(help: "Whether all of its desktops may have one host name, machine-id, password, and the same keys.")
    var sharedIdentity: Answer?

    @Option(help: "What to remember of it, such as what it holds; at most 500 characters.")
    var notes: String?

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard sharedIdentity != nil || notes != nil else { throw ValidationError("Name --shared-identity, --notes or both.") }
    }

    func perform(_ client: ControlClient) async throws {
        if sharedIdentity == .accept {
            let what = """
                All desktops of \(name) will have the same keys, machine-id and password, and clocks that are late: \
                what a pupil learns in one is good in all
                """
            try Terminal.confirm(what, yes: yes, harmless: false)
        }
        let change = ImageChangeMessage(sharesIdentity: sharedIdentity.map { $0 == .accept }, notes: notes)
        let image: ImageMessage = try await client.patch("images/\(ControlClient.part(name))", change)
        try show(image) { image in
            guard sharedIdentity != nil else { return "Noted of \(image.name)." }
            return image.sharesIdentity
                ? "Desktops of \(image.name) are restored from now on, and share one identity."
                : "Desktops of \(image.name) are \(image.hasGuest ? "restored" : "booted") from now on, each with an identity of its own."
        }
    }
}
