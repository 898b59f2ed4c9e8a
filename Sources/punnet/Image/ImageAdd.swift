import ArgumentParser
import ControlAPI
import Glibc

struct ImageAdd: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Take an image in, as the next version of its name.",
        discussion: """
            The folder must be readable for punnetd on this machine. The command shows how far it is, and ends when the image can be used. \
            Interrupted with Ctrl-C, it has punnetd cancel the work and waits until nothing of it is left; a second Ctrl-C ends it at once.
            """)

    @Argument(help: "The folder that holds the image.", completion: .directory)
    var folder: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let folder = try Self.absolute(folder)
        let interrupts = Interrupts()
        let interrupted = interrupts.stream
        defer { interrupts.end() }
        let begun: OperationMessage = try await client.post("images", ImageAddRequest(folder: folder))
        let canceller = Task {
            for await _ in interrupted {
                Terminal.complain("Cancelling: what was copied is removed. Ctrl-C again ends this command at once.")
                let _: OperationMessage? = try? await client.begin("operations/\(ControlClient.part(begun.id))/cancel")
                break
            }
        }
        defer { canceller.cancel() }
        let operation = try await client.watch(begun, showing: !connection.json)
        if operation.state == .cancelled { throw CommandFailure.cancelled(what: "the taking in of '\(folder)'") }
        if let problem = operation.problem { throw CommandFailure.refused(problem) }
        guard let image = operation.result else { throw CommandFailure.unreadable(reason: "the operation names no image") }
        try show(image) { "Image \($0.name) is ready to be used." }
    }

    /// The folder as punnetd sees it, which has another working directory.
    private static func absolute(_ folder: String) throws(CommandFailure) -> String {
        guard let resolved = realpath(folder, nil) else { throw .noSuchFolder(folder) }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
