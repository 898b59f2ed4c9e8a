import Synchronization

/// Time that stands still until it is told to go on: the twin's, and that of a broker whose histories are to be replayed. Made with a speed it
/// goes by itself instead: that of a twin with which people work.
///
/// Who sleeps is woken in the order of the instants, and of the calls where these are the same. Any thread.
public final class SimulatedClock: Clock, Sendable {
    public struct Instant: InstantProtocol, Sendable {
        /// Since the clock was made.
        public let offset: Duration
        public init(offset: Duration) { self.offset = offset }
        public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        public func duration(to other: Instant) -> Duration { other.offset - offset }
        public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        let number: UInt64
        let deadline: Instant
        let continuation: UnsafeContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var sleepers: [Sleeper] = []
        var nextNumber: UInt64 = 0
        /// Sleeps that were cancelled before they began.
        var cancelled: Set<UInt64> = []
    }

    private let state = Mutex(State())
    /// Where it goes by itself: since when, and how many times as fast as the real time.
    private let pace: (start: ContinuousClock.Instant, speed: Double)?

    /// One that stands still.
    public init() { pace = nil }

    /// One that goes by itself, so many times as fast as the real time; it cannot be told to go on.
    public init(speed: Double) {
        precondition(speed > 0 && speed.isFinite, "time goes on")
        pace = (.now, speed)
    }

    public var now: Instant {
        if let pace { return Instant(offset: pace.start.duration(to: .now) * pace.speed) }
        return state.withLock { $0.now }
    }
    public var minimumResolution: Duration { .zero }

    /// The instant at which somebody is to be woken next; nil where nobody sleeps.
    public var nextDeadline: Instant? { state.withLock { $0.sleepers.map(\.deadline).min() } }

    public func sleep(until deadline: Instant, tolerance _: Duration? = nil) async throws {
        if let pace { return try await ContinuousClock().sleep(until: pace.start + deadline.offset / pace.speed) }
        let number = state.withLock { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelled.remove(number) != nil || Task.isCancelled { return .failure(CancellationError()) }
                    guard deadline > state.now else { return .success(()) }
                    state.sleepers.append(Sleeper(number: number, deadline: deadline, continuation: continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let sleeper: Sleeper? = state.withLock { state in
                guard let index = state.sleepers.firstIndex(where: { $0.number == number }) else {
                    state.cancelled.insert(number)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Goes on to the next instant at which somebody is to be woken, and wakes who slept longest of those. False where nobody sleeps.
    @discardableResult
    public func advance() -> Bool {
        let sleeper: Sleeper? = state.withLock { state in
            guard
                let index = state.sleepers.indices.min(by: { first, second in
                    (state.sleepers[first].deadline, state.sleepers[first].number) < (
                        state.sleepers[second].deadline, state.sleepers[second].number
                    )
                })
            else { return nil }
            let sleeper = state.sleepers.remove(at: index)
            state.now = max(state.now, sleeper.deadline)
            return sleeper
        }
        sleeper?.continuation.resume()
        return sleeper != nil
    }

    /// Goes on by so much; who is to be woken by then must have been, by `advance()`.
    public func pass(_ duration: Duration) {
        state.withLock { $0.now = $0.now.advanced(by: duration) }
    }
}
