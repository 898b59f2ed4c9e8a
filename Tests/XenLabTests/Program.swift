import Dispatch
import Foundation
import Glibc

/// A program of this machine that ran to its end, or one that runs beside the test. Each is a session leader, so that it can be ended
/// together with what it started.
struct Program {
    /// What came of a program that ended.
    struct Outcome: Sendable {
        /// The exit code; 128 and the signal's number where a signal ended it.
        let status: Int32
        let output: String
        let complaint: String

        var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// A program did not do what it was asked for.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    let processID: pid_t

    /// Starts a program whose output goes to a file.
    init(_ arguments: [String], environment: [String: String] = [:], log: String) throws {
        processID = try Self.spawn(arguments, environment: environment, input: "/dev/null", output: log, complaint: log)
    }

    /// Whether it still runs.
    var isRunning: Bool { kill(processID, 0) == 0 && !Self.isZombie(processID) }

    /// Ends it and all that it started, as a power cut would, and waits until it is gone. Once only.
    func end() async {
        kill(-processID, SIGKILL)
        _ = await Self.wait(processID)
    }

    /// Runs a program to its end. One that takes longer than its time on a quiet machine, stretched by ``Pace``, is ended, and that is a failure.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: Data? = nil, within limit: Duration = .seconds(60)
    ) async throws -> Outcome {
        let limit = limit * Pace.factor
        let folder = try Scratch.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let output = folder + "/output", complaint = folder + "/complaint"
        var source = "/dev/null"
        if let input {
            source = folder + "/input"
            try input.write(to: URL(fileURLWithPath: source))
        }
        let process = try spawn(arguments, environment: environment, input: source, output: output, complaint: complaint)
        let timer = Task {
            try await Task.sleep(for: limit)
            kill(-process, SIGKILL)
            return true
        }
        let status = await wait(process)
        timer.cancel()
        let isLate = (try? await timer.value) ?? false
        let outcome = Outcome(status: status, output: text(of: output), complaint: text(of: complaint))
        guard !isLate else {
            throw Failure(
                description: "\(arguments.joined(separator: " ")) took longer than \(limit): \(outcome.output)\(outcome.complaint)")
        }
        return outcome
    }

    /// Runs a program that must succeed, and gives its output.
    static func output(
        of arguments: [String], environment: [String: String] = [:], input: Data? = nil, within limit: Duration = .seconds(60)
    ) async throws -> String {
        let outcome = try await run(arguments, environment: environment, input: input, within: limit)
        guard outcome.status == 0 else {
            throw Failure(
                description: "\(arguments.joined(separator: " ")) ended with \(outcome.status): \(outcome.output)\(outcome.complaint)")
        }
        return outcome.output
    }

    private static func text(of path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    private static func isZombie(_ process: pid_t) -> Bool {
        guard let state = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return true }
        return state.split(separator: ")").last?.hasPrefix(" Z") ?? true
    }

    private static func spawn(
        _ arguments: [String], environment: [String: String], input: String, output: String, complaint: String
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        if complaint == output {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, complaint, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID of glibc's <spawn.h>, which shows it to C's GNU dialect only.
        let newSession: Int16 = 0x80
        posix_spawnattr_setflags(&attributes, newSession | Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)

        let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }.map { "\($0)=\($1)" }
        let words = arguments.map { strdup($0) } + [nil]
        let settings = variables.map { strdup($0) } + [nil]
        defer { for pointer in words + settings { free(pointer) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, arguments[0], &actions, &attributes, words, settings)
        guard code == 0 else { throw Failure(description: "\(arguments[0]) cannot be started: \(String(cString: strerror(code)))") }
        return process
    }

    private static func wait(_ process: pid_t) async -> Int32 {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                var status: Int32 = 0
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                let signal = status & 0x7f
                continuation.resume(returning: signal == 0 ? status >> 8 & 0xff : 128 + signal)
            }
        }
    }
}

/// Folders that are gone when the test is over.
enum Scratch {
    static func folder() throws -> String {
        var template = Array("/tmp/punnet-test.XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { throw Program.Failure(description: "no folder can be made in /tmp") }
        return String(cString: path)
    }
}
