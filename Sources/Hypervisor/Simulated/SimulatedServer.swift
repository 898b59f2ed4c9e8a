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
        /// What it holds, what it may hold now, which its guest takes when it runs and there is so much, and what it may ever be let grow to.
        public var memory: ByteCount
        public var allowed: ByteCount
        public var maximum: ByteCount
        /// How many virtual CPUs its guest uses, may use now, which it follows when it runs, and has.
        public var vcpus: Int
        public var allowedVCPUs: Int
        public var maximumVCPUs: Int
        /// Whether its processors come before those of domains that nobody works at.
        public var comesFirst = false
        public var activity: RunningDomain.Activity
        public var mac: MACAddress?
        /// How it ended by itself; nil while it has not, and where it was saved.
        public var end: DomainEvent.Kind?
        /// Listed already, and not yet whole.
        public var isBeingBuilt = false
        /// How long its guest has run until now, also before it was saved; and since when it runs.
        public var hasRun = Duration.zero
        public var runsSince: Duration?
        /// How long it takes from its first run until its RDP answers.
        public var bootTime = Duration.zero
        /// How often its virtual CPUs were let run.
        public var runs = 0
        /// Whether its RDP was asked and has answered.
        public var hasAnswered = false
        /// From when on its RDP answers; nil where its guest hangs, or was never let run.
        public var answersFrom: Duration?
        /// What was laid out for its guest, and from when on a guest that runs has taken it over.
        public var identity: DesktopIdentity?
        public var takesOverFrom: Duration?
        /// Whether its guest said that it has taken it over.
        public var isSettled = false
        /// Why its guest cannot take an identity over; nil where it can.
        public var settlesNot: String?
        /// Whose guest has stopped doing anything.
        public var hangs = false

        init(
            name: String, overlay: String, address: IPv4Address? = nil, memory: ByteCount, maximum: ByteCount? = nil,
            vcpus: Int = 1, activity: RunningDomain.Activity
        ) {
            self.name = name
            self.overlay = overlay
            self.address = address
            self.memory = memory
            self.allowed = memory
            self.maximum = maximum ?? memory
            self.vcpus = vcpus
            allowedVCPUs = vcpus
            maximumVCPUs = vcpus
            self.activity = activity
        }

        mutating func become(_ activity: RunningDomain.Activity, at now: Duration) {
            if let since = runsSince { hasRun += now - since }
            runsSince = activity == .running ? now : nil
            self.activity = activity
        }
    }

    /// A file, as far as the twin cares.
    public struct File: Hashable, Sendable {
        public enum Kind: Hashable, Sendable {
            /// A golden disk, a blank overlay, a desktop's overlay.
            case disk
            case kernel, ramdisk
            /// The memory of a domain.
            case save(of: Domain)
            case other
        }

        public var kind: Kind
        /// What tells it from files that are no copies of it.
        public var content: String
        public var size: ByteCount
        public init(kind: Kind, content: String, size: ByteCount) {
            self.kind = kind
            self.content = content
            self.size = size
        }
    }

    /// Something that a daemon has done to the server.
    public enum Deed: Hashable, Sendable {
        case built(DomainUUID, overlay: String)
        case letRun(DomainUUID)
        case paused(DomainUUID)
        case destroyed(DomainUUID)
        /// The domain was restored; whether its disk is the one that was frozen with its memory.
        case restored(DomainUUID, overItsOwnDisk: Bool)
        case laid(OverlayName)
        /// The overlay became a checkpoint's disk.
        case sealed(CheckpointID, OverlayName)
        /// A checkpoint's files are gone.
        case dropped(CheckpointID)
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
        /// A guest that is built will not take an identity over, and says so.
        public var stubbornness = 0.0
        public init() {}
    }

    struct State {
        var random: SplitMix
        var domains: [DomainUUID: Domain] = [:]
        /// By their paths, overlays by their names alone.
        var files: [String: File] = [:]
        /// What the files of sealed checkpoints held then.
        var sealed: [CheckpointID: [String]] = [:]
        /// What its disk has for all of these.
        var freeDisk: ByteCount
        /// What guests wrote to their consoles, by their domains' names.
        var consoles: [String: String] = [:]
        /// To whom its network opens the internet.
        var online: Set<IPv4Address> = []
        var faults = Faults()
        var watchers: [UInt64: AsyncStream<DomainEvent>.Continuation] = [:]
        var nextWatcher: UInt64 = 1
        var answersAt: [IPv4Address: DomainUUID] = [:]
        /// What the call at hand has done.
        var deeds: [Deed] = []

        /// What lies at a path. A file outside of the server's own folder that was never told of is taken to be what it is said to be.
        func file(at path: String, saidToBe kind: File.Kind) -> File? {
            if let file = files[path] { return file }
            guard path.hasPrefix("/"), !path.hasPrefix(SimulatedServer.folder) else { return nil }
            return File(kind: kind, content: path, size: .mebibytes(kind == .disk ? 640 : 16))
        }

        /// A guest that runs takes the memory that it may have, as far as it is there, and uses as many virtual CPUs as it is to.
        mutating func takeAllowed(_ uuid: DomainUUID, on server: SimulatedServer) {
            guard let domain = domains[uuid], domain.activity == .running else { return }
            domains[uuid]?.vcpus = domain.allowedVCPUs
            guard domain.memory < domain.allowed else { return }
            let left = domains.values.reduce(server.totalMemory - server.controlMemory) { $0 - $1.memory }
            domains[uuid]?.memory = min(domain.allowed, domain.memory + max(.zero, left))
        }

        /// What is left on its disk.
        func leftDisk() -> ByteCount { max(.zero, files.values.reduce(freeDisk) { $0 - $1.size }) }

        /// Tells all that are connected, or all but the one that has asked for it.
        func tell(_ uuid: DomainUUID, _ kind: DomainEvent.Kind, except asking: UInt64? = nil) {
            for (number, watcher) in watchers where number != asking { watcher.yield(DomainEvent(uuid: uuid, kind: kind)) }
        }
    }

    /// Where its own files lie: images, and what tests put there.
    public static let folder = "/simulated/"

    public let clock: SimulatedClock
    public let plan: AddressPlan
    /// Whether its desktops' network leads to the internet.
    public let leadsToInternet: Bool
    public let totalMemory: ByteCount
    public let controlMemory: ByteCount
    public let processors: Int
    /// What its disk has before anything is laid on it.
    public let disk: DiskSpace
    /// How long it takes at most until the RDP of a guest that was parked answers again, once it is let run.
    let wakeTime: Duration
    let state: Mutex<State>
    /// Told of each deed when it is done.
    let observer: @Sendable (Deed) -> Void

    public init(
        seed: UInt64, clock: SimulatedClock, plan: AddressPlan, leadsToInternet: Bool = true, totalMemory: ByteCount = .gibibytes(6),
        controlMemory: ByteCount = .gibibytes(2), processors: Int = 2,
        disk: DiskSpace = DiskSpace(total: .gibibytes(100), free: .gibibytes(80), overlays: .zero), wakeTime: Duration = .zero,
        observer: @escaping @Sendable (Deed) -> Void = { _ in }
    ) {
        self.clock = clock
        self.plan = plan
        self.leadsToInternet = leadsToInternet
        self.totalMemory = totalMemory
        self.controlMemory = controlMemory
        self.processors = processors
        self.disk = disk
        self.wakeTime = wakeTime
        self.observer = observer
        state = Mutex(State(random: SplitMix(seed: seed), freeDisk: disk.free))
    }

    public var domains: [DomainUUID: Domain] { state.withLock { $0.domains } }
    public var overlays: Set<OverlayName> { state.withLock { Set($0.files.keys.compactMap { OverlayName(fileName: $0) }) } }
    public var files: [String: File] { state.withLock { $0.files } }
    /// The addresses that may reach the internet.
    public var online: Set<IPv4Address> { state.withLock { $0.online } }
    /// What others have left of its disk, before anything is laid on it.
    public var freeDisk: ByteCount { state.withLock { $0.freeDisk } }
    /// What guests wrote to their consoles, by their domains' names; kept until it is removed.
    public var consoles: [String: String] { state.withLock { $0.consoles } }

    /// A guest writes to its console.
    public func guestWrites(_ uuid: DomainUUID, _ text: String) {
        state.withLock { state in
            guard let name = state.domains[uuid]?.name else { return }
            state.consoles[name, default: ""] += text
        }
    }

    public func setFaults(_ faults: Faults) { state.withLock { $0.faults = faults } }

    /// Starts a domain of somebody else's.
    public func addForeign(_ uuid: DomainUUID, name: String, memory: ByteCount) {
        let now = clock.now.offset
        state.withLock { state in
            state.domains[uuid] = Domain(name: name, overlay: "", memory: memory, activity: .paused)
            state.domains[uuid]?.become(.running, at: now)
        }
    }

    /// Somebody puts a file on its disk, changes one, or takes one away.
    public func setFile(_ path: String, _ file: File?) { state.withLock { $0.files[path] = file } }

    /// Others have left only so much of its disk, before anything is laid on it.
    public func setFreeDisk(_ free: ByteCount) { state.withLock { $0.freeDisk = free } }

    /// A guest switches itself off, asks to be started anew or crashes; one that does not run does nothing.
    public func guestEnds(_ uuid: DomainUUID, _ kind: DomainEvent.Kind) {
        let now = clock.now.offset
        state.withLock { state in
            guard state.domains[uuid]?.activity == .running else { return }
            if kind == .died { state.domains[uuid] = nil }
            state.domains[uuid]?.become(.shutDown, at: now)
            state.domains[uuid]?.end = kind
            state.tell(uuid, kind)
        }
    }

    /// Somebody ends a domain behind the daemon's back.
    public func endFromOutside(_ uuid: DomainUUID) {
        state.withLock { state in
            // The death of one that is dying already has been told.
            guard let domain = state.domains.removeValue(forKey: uuid), domain.activity != .dying else { return }
            state.tell(uuid, .died)
        }
    }

    /// A guest stops doing anything, and says nothing of it.
    public func guestHangs(_ uuid: DomainUUID) {
        state.withLock { state in
            state.domains[uuid]?.hangs = true
            state.domains[uuid]?.answersFrom = nil
            state.domains[uuid]?.takesOverFrom = nil
        }
    }

    /// A guest that runs has no package by which it would take an identity over.
    public func guestIgnoresIdentity(_ uuid: DomainUUID) { state.withLock { $0.domains[uuid]?.takesOverFrom = nil } }

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
