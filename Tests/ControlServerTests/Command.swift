import Foundation

/// A program run to its end, with what it wrote.
struct Command {
    let status: Int32
    let output: String
    let errors: String

    /// Runs the program of the first word, found by the path; nothing is read from the terminal.
    static func run(_ words: String..., within limit: Duration = .seconds(60)) async throws -> Command {
        try await run(words, within: limit)
    }

    static func run(_ words: [String], within limit: Duration = .seconds(60)) async throws -> Command {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = words
        process.standardInput = FileHandle.nullDevice
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        let ended = AsyncStream<Int32> { end in
            process.terminationHandler = {
                end.yield($0.terminationStatus)
                end.finish()
            }
        }
        try process.run()
        let deadline = Task {
            try await Task.sleep(for: limit)
            process.terminate()
        }
        defer { deadline.cancel() }
        async let written = output.text()
        async let complained = errors.text()
        var status: Int32 = -1
        for await value in ended { status = value }
        return Command(status: status, output: await written, errors: await complained)
    }
}

extension Pipe {
    /// Everything that is written until the other end is closed, read on a thread of its own.
    fileprivate func text() async -> String {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let data = (try? self.fileHandleForReading.readToEnd()) ?? Data()
                continuation.resume(returning: String(decoding: data, as: UTF8.self))
            }
        }
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
