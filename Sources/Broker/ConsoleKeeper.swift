import DesktopModel
import Hypervisor
import Logging

/// Reads and forgets what guests wrote to their consoles, what is asked of one domain's the one after the other.
///
/// Nothing waits for it and nothing fails with it: a console that cannot be read in time is not read.
actor ConsoleKeeper {
    private let host: any DomainHost
    private let deadline: Duration
    private let clock: BrokerClock
    private let logger: Logger
    private let report: @Sendable (RoomEvent) async -> Void
    /// The last that was asked of each console; the next one waits for it, and that is no longer than the deadline.
    private var lanes: [String: (number: UInt64, task: Task<Void, Never>)] = [:]
    private var nextNumber: UInt64 = 1

    init(
        host: any DomainHost, deadline: Duration, clock: BrokerClock, logger: Logger, report: @escaping @Sendable (RoomEvent) async -> Void
    ) {
        self.host = host
        self.deadline = deadline
        self.clock = clock
        self.logger = logger
        self.report = report
    }

    /// Reads the last lines and reports them, and returns at once. Nothing is reported where nothing was read.
    func read(_ name: String, of desktop: DesktopID, _ generation: Generation) {
        append(to: name) { [self] in
            guard let lines = await answered("read", name, { [host] in try await host.consoleTail(of: name) }), !lines.isEmpty else { return }
            await report(.consoleRead(desktop, generation, lines))
        }
    }

    /// Forgets them, and returns at once.
    func drop(_ name: String) {
        append(to: name) { [self] in
            _ = await answered("removed", name) { [host] in try await host.removeConsole(of: name) }
        }
    }

    /// The names under which consoles are kept; none where it is not told in time.
    func names() async -> [String] {
        await answered("listed", "*") { [host] in try await host.consoles() } ?? []
    }

    private func append(to name: String, _ work: @escaping @Sendable () async -> Void) {
        let before = lanes[name]?.task
        let number = nextNumber
        nextNumber += 1
        let task = Task {
            await before?.value
            await work()
            ended(name, number)
        }
        lanes[name] = (number, task)
    }

    private func ended(_ name: String, _ number: UInt64) {
        if lanes[name]?.number == number { lanes[name] = nil }
    }

    /// The host's answer; nil where it fails, or does not come by the deadline.
    private nonisolated func answered<Answer: Sendable>(
        _ deed: String, _ name: String, _ ask: @escaping @Sendable () async throws -> Answer
    ) async -> Answer? {
        let (answers, continuation) = AsyncStream.makeStream(of: Answer.self)
        Task { [logger] in
            do {
                continuation.yield(try await ask())
            } catch {
                logger.warning("a console could not be \(deed)", metadata: ["domain": "\(name)", "cause": "\(error)"])
            }
            continuation.finish()
        }
        let timer = Task { [clock, deadline] in
            try await clock.sleep(for: deadline)
            continuation.finish()
        }
        defer { timer.cancel() }
        for await answer in answers { return answer }
        return nil
    }
}
