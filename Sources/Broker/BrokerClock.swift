/// The time by which the broker sets deadlines and pauses: counted from its start, never set back or forth. Any task.
public struct BrokerClock: Sendable {
    private let elapsed: @Sendable () -> Duration
    private let wait: @Sendable (Duration) async throws -> Void

    /// A clock that the broker lives by; it counts from here.
    public init<Source: Clock>(_ clock: Source = ContinuousClock()) where Source.Duration == Duration {
        let start = clock.now
        elapsed = { start.duration(to: clock.now) }
        wait = { try await clock.sleep(until: start.advanced(by: $0), tolerance: .milliseconds(100)) }
    }

    /// The time since it was made.
    var sinceStart: Duration { elapsed() }

    /// Waits until so much time has passed since it was made, or up to a tenth of a second longer. Throws when the task is cancelled.
    func sleep(until sinceStart: Duration) async throws { try await wait(sinceStart) }

    func sleep(for duration: Duration) async throws { try await wait(elapsed() + duration) }
}
