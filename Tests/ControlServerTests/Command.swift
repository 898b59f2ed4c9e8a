import Foundation
import Subprocess

/// A program run to its end, with what it wrote.
struct Command {
    /// 128 and the signal's number where a signal ended it.
    let status: Int32
    let output: String
    let errors: String

    /// Runs the program of the first word, found by the path; nothing is read from the terminal. One that is not done within the limit is killed.
    static func run(_ words: String..., within limit: Duration = .seconds(60)) async throws -> Command {
        try await run(words, within: limit)
    }

    static func run(_ words: [String], within limit: Duration = .seconds(60)) async throws -> Command {
        let program = Task {
            try await Subprocess.run(
                .name("env"), arguments: Arguments(words), input: .none, output: .bytes(limit: 1 << 24),
                error: .bytes(limit: 1 << 24))
        }
        let deadline = Task {
            try await Task.sleep(for: limit)
            program.cancel()
        }
        defer { deadline.cancel() }
        let ended = try await withTaskCancellationHandler { try await program.value } onCancel: { program.cancel() }
        let status: Int32 =
            switch ended.terminationStatus {
            case .exited(let code): code
            case .signaled(let signal): 128 + signal
            }
        return Command(
            status: status, output: String(decoding: ended.standardOutput, as: UTF8.self), errors: String(decoding: ended.standardError, as: UTF8.self))
    }
}

/// Waits until something holds, a little between two looks; false where it never does.
func eventually(within limit: Duration = .seconds(30), _ holds: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try await holds() { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return try await holds()
}
