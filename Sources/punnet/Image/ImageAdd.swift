import ArgumentParser
import ControlAPI
import Glibc

struct ImageAdd: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Take an image in, as the next version of its name.",
        discussion: """
            The folder must be readable for punnetd on this machine. The command shows how far it is, and ends when the image can be used.
            """)

    @Argument(help: "The folder that holds the image.", completion: .directory)
    var folder: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let begun: OperationMessage = try await client.post("images", ImageAddRequest(folder: try Self.absolute(folder)))
        let operation = try await watch(begun, client)
        if let problem = operation.problem { throw CommandFailure.refused(problem) }
        guard let image = operation.result else { throw CommandFailure.unreadable(reason: "the operation names no image") }
        try show(image) { "Image \($0.name) is ready to be used." }
    }

    private func watch(_ begun: OperationMessage, _ client: ControlClient) async throws -> OperationMessage {
        var operation = begun
        defer { if Terminal.isWatched, !connection.json { Terminal.endProgress() } }
        while operation.state == .running {
            if Terminal.isWatched, !connection.json { Terminal.showProgress(Self.words(for: operation.progress)) }
            operation = try await client.get(
                "operations/\(ControlClient.part(operation.id))", query: [("wait", "25"), ("after", "\(operation.revision)")])
        }
        return operation
    }

    static func words(for progress: OperationMessage.Progress?) -> String {
        guard let progress, progress.total > 0 else { return "Reading the image …" }
        let percent = Int(Double(progress.done) / Double(progress.total) * 100)
        return "\(percent) %  \(Bytes.format(progress.done)) of \(Bytes.format(progress.total))"
    }

    /// The folder as punnetd sees it, which has another working directory.
    private static func absolute(_ folder: String) throws(CommandFailure) -> String {
        guard let resolved = realpath(folder, nil) else { throw .noSuchFolder(folder) }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
