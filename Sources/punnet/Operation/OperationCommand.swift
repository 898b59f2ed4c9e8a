import ArgumentParser
import ControlAPI

struct OperationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operation", abstract: "Slow work that runs or is over.",
        subcommands: [OperationList.self, OperationWatch.self, OperationCancel.self])

    static func table(_ operations: [OperationMessage]) -> String {
        var table = TextTable("OPERATION", "KIND", "SUBJECT", "BEGAN", "STATE", "NOTE")
        for operation in operations {
            let note = operation.problem?.detail.description ?? operation.result?.name ?? (operation.state == .running ? words(for: operation.progress) : "")
            table.add(operation.id, operation.kind, operation.subject, Clock.local(operation.began.seconds), operation.state.rawValue, note)
        }
        return table.text(otherwise: "No operations since punnetd was started.")
    }

    static func words(for progress: OperationMessage.Progress?) -> String {
        guard let progress, progress.total > 0 else { return "Reading …" }
        let percent = Int(Double(progress.done) / Double(progress.total) * 100)
        return "\(percent) %  \(Bytes.format(progress.done)) of \(Bytes.format(progress.total))"
    }
}

struct OperationList: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List slow work, the newest first.")

    @Option(help: "Only those that are so: running, done, failed or cancelled.")
    var state: String?

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.list("operations", query: [("state", state)]), OperationCommand.table)
    }
}

struct OperationWatch: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Show how far slow work is, until it is over.",
        discussion: "Interrupted, it ends and the work goes on: 'punnet operation cancel' ends that.")

    @Argument(help: "The operation, as 'punnet operation list' shows it.")
    var id: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let known: OperationMessage = try await client.get("operations/\(ControlClient.part(id))")
        let operation = try await client.watch(known, showing: !connection.json)
        if let problem = operation.problem { throw CommandFailure.refused(problem) }
        try show(operation) { OperationCommand.table([$0]) }
    }
}

struct OperationCancel: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Have slow work end; nothing of it is left.",
        discussion: "It returns when the work has ended. What came to its end before stays done.")

    @Argument(help: "The operation, as 'punnet operation list' shows it.")
    var id: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let asked: OperationMessage = try await client.begin("operations/\(ControlClient.part(id))/cancel")
        let operation = try await client.watch(asked, showing: false)
        try show(operation) { operation in
            operation.state == .cancelled
                ? "Operation \(operation.id) is cancelled." : "Operation \(operation.id) came to its end before: it is \(operation.state.rawValue)."
        }
    }
}

extension ControlClient {
    /// Follows an operation to its end; where somebody watches the messages, shows how far it is.
    func watch(_ begun: OperationMessage, showing isShown: Bool) async throws -> OperationMessage {
        var operation = begun
        let isWatched = isShown && Terminal.isWatched
        defer { if isWatched { Terminal.endProgress() } }
        while operation.state == .running {
            if isWatched { Terminal.showProgress(OperationCommand.words(for: operation.progress)) }
            operation = try await get("operations/\(Self.part(operation.id))", query: [("wait", "25"), ("after", "\(operation.revision)")])
        }
        return operation
    }
}
