import Synchronization

/// How often a guess may be wrong: a bucket of tries for each address and, where wanted, one for all, which fill again with time. A right guess
/// gives its try back.
///
/// It holds at most `addressLimit` addresses; one that is not held has a full bucket, so the oldest are forgotten first, and the bucket for
/// all still counts.
final class Attempts: Sendable {
    struct Allowance: Sendable {
        /// How many tries at once.
        let burst: Int
        /// The time in which one try comes back.
        let refill: Duration
    }

    private struct Bucket {
        /// When the bucket is full again.
        var fullAt: ContinuousClock.Instant
    }

    private struct State {
        var all: Bucket?
        var byAddress: [String: Bucket] = [:]
    }

    private let perAddress: Allowance
    private let inAll: Allowance?
    private let addressLimit: Int
    private let state = Mutex(State())

    init(
        perAddress: Allowance = Allowance(burst: 5, refill: .seconds(12)), inAll: Allowance? = Allowance(burst: 60, refill: .seconds(1)),
        addressLimit: Int = 1024
    ) {
        self.perAddress = perAddress
        self.inAll = inAll
        self.addressLimit = addressLimit
    }

    /// Takes a try; nil where there was one, and otherwise how long to wait for the next.
    func take(_ address: PeerAddress, at now: ContinuousClock.Instant = .now) -> Duration? {
        state.withLock { state in
            let own = Self.wait(state.byAddress[address.counted], perAddress, now)
            let common = inAll.flatMap { Self.wait(state.all, $0, now) }
            if let wait = [own, common].compactMap(\.self).max() { return wait }
            state.byAddress[address.counted] = Self.taken(state.byAddress[address.counted], perAddress, now)
            if let inAll { state.all = Self.taken(state.all, inAll, now) }
            if state.byAddress.count > addressLimit { forget(&state, now) }
            return nil
        }
    }

    /// Gives a try back, since the guess was right.
    func giveBack(_ address: PeerAddress) {
        state.withLock { state in
            state.byAddress[address.counted]?.fullAt -= perAddress.refill
            if let inAll { state.all?.fullAt -= inAll.refill }
        }
    }

    private func forget(_ state: inout State, _ now: ContinuousClock.Instant) {
        state.byAddress = state.byAddress.filter { $0.value.fullAt > now }
        guard state.byAddress.count > addressLimit else { return }
        let oldest = state.byAddress.min { $0.value.fullAt < $1.value.fullAt }
        if let oldest { state.byAddress[oldest.key] = nil }
    }

    private static func wait(_ bucket: Bucket?, _ allowance: Allowance, _ now: ContinuousClock.Instant) -> Duration? {
        guard let bucket, bucket.fullAt > now else { return nil }
        // A try is there while the time to a full bucket is at most that of burst - 1 tries.
        let over = now.duration(to: bucket.fullAt) - allowance.refill * (allowance.burst - 1)
        return over > .zero ? over : nil
    }

    private static func taken(_ bucket: Bucket?, _ allowance: Allowance, _ now: ContinuousClock.Instant) -> Bucket {
        Bucket(fullAt: max(bucket?.fullAt ?? now, now) + allowance.refill)
    }
}
