import DesktopModel
import Synchronization

/// The twin of a server with Xen: its memory, its domains and its overlays, without either. It outlives the daemons that connect to it.
///
/// What happens to it is decided by its seed, its clock and its faults alone. Any thread; nothing blocks.
public final class SimulatedServer: Sendable {
    /// A domain, as only the twin can know it.
    public struct Domain: Hashable, Sendable {
        public var name: String
        public var overlay: String
        /// Where its guest is reached; nil where that is none of the twin's business.
        public var address: IPv4Address?
        public var memory: ByteCount
        public var activity: RunningDomain.Activity
        /// How long it takes from its first run until its RDP answers.
        public var bootTime = Duration.zero
        /// How often its virtual CPUs were let run.
        public var runs = 0
        /// Whether its RDP was asked and has answered.
        public var hasAnswered = false
        /// From when on its RDP answers; nil where its guest hangs, or was never let run.
        public var answersFrom: Duration?
        /// Whose guest has stopped doing anything.
        public var hangs = false
    }

    /// Something that a daemon has done to the server.
    public enum Deed: Hashable, Sendable {
        case built(DomainUUID, overlay: String)
        case letRun(DomainUUID)
        case paused(DomainUUID)
        case destroyed(DomainUUID)
        case laid(OverlayName)
        case removed(OverlayName)
        /// A domain was asked for for which there is no memory.
        case hadNoMemory(DomainUUID)
    }

    /// How often a call goes wrong, in parts of one.
    public struct Faults: Hashable, Sendable {
        /// It fails, and nothing was done.
        public var failures = 0.0
        /// It is done, and yet fails.
        public var lies = 0.0
        /// It is answered only after a quarter of an hour, and nothing was done.
        public var silences = 0.0
        /// A guest that is built hangs when it boots.
        public var hangs = 0.0
        public init() {}
    }

    struct State {
        var random: SplitMix
        var domains: [DomainUUID: Domain] = [:]
        var overlays: Set<OverlayName> = []
        /// The files of memory that were saved.
        var saves: Set<String> = []
        var faults = Faults()
        var watchers: [UInt64: AsyncStream<DomainEvent>.Continuation] = [:]
        var nextWatcher: UInt64 = 1
        var answersAt: [IPv4Address: DomainUUID] = [:]
        /// What the call at hand has done.
        var deeds: [Deed] = []
    }

    public let clock: SimulatedClock
    public let plan: AddressPlan
    public let totalMemory: ByteCount
    public let controlMemory: ByteCount
    public let processors: Int
    /// What its disk has; overlays take nothing of it.
    public let disk: DiskSpace
    let state: Mutex<State>
    /// Told of each deed when it is done.
    let observer: @Sendable (Deed) -> Void

    public init(
        seed: UInt64, clock: SimulatedClock, plan: AddressPlan, totalMemory: ByteCount = .gibibytes(6),
        controlMemory: ByteCount = .gibibytes(2), processors: Int = 2,
        disk: DiskSpace = DiskSpace(total: .gibibytes(100), free: .gibibytes(80), overlays: .zero),
        observer: @escaping @Sendable (Deed) -> Void = { _ in }
    ) {
        self.clock = clock
        self.plan = plan
        self.totalMemory = totalMemory
        self.controlMemory = controlMemory
        self.processors = processors
        self.disk = disk
        self.observer = observer
        state = Mutex(State(random: SplitMix(seed: seed)))
    }

    public var domains: [DomainUUID: Domain] { state.withLock { $0.domains } }
    public var overlays: Set<OverlayName> { state.withLock { $0.overlays } }

    public func setFaults(_ faults: Faults) { state.withLock { $0.faults = faults } }

    /// Starts a domain of somebody else's.
    public func addForeign(_ uuid: DomainUUID, name: String, memory: ByteCount) {
        state.withLock { $0.domains[uuid] = Domain(name: name, overlay: "", memory: memory, activity: .running) }
    }

    /// A guest switches itself off, asks to be started anew or crashes; one that does not run does nothing.
    public func guestEnds(_ uuid: DomainUUID, _ kind: DomainEvent.Kind) {
        state.withLock { state in
            guard state.domains[uuid]?.activity == .running else { return }
            if kind == .died { state.domains[uuid] = nil } else { state.domains[uuid]?.activity = .shutDown }
            Self.tell(&state, uuid, kind)
        }
    }

    /// Somebody ends a domain behind the daemon's back.
    public func endFromOutside(_ uuid: DomainUUID) {
        state.withLock { state in
            guard state.domains.removeValue(forKey: uuid) != nil else { return }
            Self.tell(&state, uuid, .died)
        }
    }

    /// A guest stops doing anything, and says nothing of it.
    public func guestHangs(_ uuid: DomainUUID) {
        state.withLock { state in
            state.domains[uuid]?.hangs = true
            state.domains[uuid]?.answersFrom = nil
        }
    }

    /// The power fails: every domain is gone, without a word; the disk stays.
    public func losePower() {
        state.withLock { state in
            state.domains = [:]
            state.answersAt = [:]
        }
    }

    /// Asks the desktop that has this address for RDP, as a probe does; it answers with its certificate's fingerprint, 32 bytes.
    public func askRDP(_ address: IPv4Address) throws(HypervisorError) -> [UInt8] {
        let now = clock.now.offset
        let answer: [UInt8]? = state.withLock { state in
            guard let uuid = state.answersAt[address], let domain = state.domains[uuid], domain.activity == .running,
                let from = domain.answersFrom, from <= now
            else { return nil }
            state.domains[uuid]?.hasAnswered = true
            return uuid.bytes + uuid.bytes
        }
        guard let answer else { throw .unavailable("nothing answers at \(address)") }
        return answer
    }

    static func tell(_ state: inout State, _ uuid: DomainUUID, _ kind: DomainEvent.Kind) {
        for watcher in state.watchers.values { watcher.yield(DomainEvent(uuid: uuid, kind: kind)) }
    }
}

/// Reproducible randomness: the same seed gives the same numbers. SplitMix64.
public struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
