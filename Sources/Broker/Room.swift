import DesktopModel
import DesktopStore
import Hypervisor

/// Everything the broker knows, and the one function by which it changes: (room, event) → (room, effects).
///
/// A value without I/O and without a clock: the same events at the same instants give the same effects. So a history can be replayed, and a
/// crash placed at any effect. Whoever holds a room delivers events in order, carries the effects out and delivers what came of them.
struct Room: Sendable {
    /// The mark of this appliance in its domains' UUIDs.
    let installation: UInt64
    let settings: BrokerSettings
    /// Which place has which address.
    let addresses: AddressPlan
    /// Whether the desktops' network leads to the internet at all.
    let leadsToInternet: Bool
    /// To which places the internet is to be open; nil until the room was adopted.
    var online: Set<Place>?
    var now: Instant

    var labs: [LabID: Lab] = [:] {
        didSet { mayReachOtherwise = true }
    }
    var images: [ImageVersionID: ImageVersion] = [:]
    var seats: [SeatID: RoomSeat] = [:]
    var desktops = Desktops()
    /// What is under way at a desktop; every desktop has one.
    var works = Works()
    var sessions = OpenSessions()
    /// When each session that its lab ends after a time is to be warned or ended next.
    var limits = Deadlines<SessionID>()
    /// When each ready desktop is to be aired, where its lab has that done.
    var airings = Deadlines<DesktopID>()
    var checkpoints: [CheckpointID: Checkpoint] = [:]
    var nextCheckpoint = CheckpointID(rawValue: 1)
    /// When another one is made in the place of one that failed, with the next desktop that is begun; at once where there is no instant.
    var checkpointRetryAt: [CheckpointID: Instant] = [:]
    /// Which desktop a checkpoint was frozen of, since the daemon began.
    var frozenOf: [CheckpointID: DesktopID] = [:]
    /// How many desktops in a row could not be restored from it.
    var restoreFailures: [CheckpointID: Int] = [:]
    /// Those that failed and whose files were dropped.
    var droppedCheckpoints: Set<CheckpointID> = []
    /// Which hypervisor, processor and kernel this is; empty until it was measured.
    var hostMark = ""
    /// Who waits in a lab, first come first.
    var lines: [LabID: [Waiting]] = [:]
    /// What the server has for what is begun next: nil until it was measured, and while it is being measured anew.
    var capacity: Capacity? {
        didSet { if let capacity { lastCapacity = capacity } }
    }
    /// What the server had when it was last measured, for what is told and what is wished: of that nothing is begun yet. Nil where it could not
    /// be measured since.
    var lastCapacity: Capacity?
    /// Why the server could not be measured when it was last asked.
    var unmeasured: Sentence?
    /// The question about the server that is open: its number, by when it must be answered, and whether what it asks about has changed since.
    var measuring: (number: UInt64, until: Instant, isOutdated: Bool)?
    var nextMeasuring: UInt64 = 1
    /// When the server is measured and the pools are looked at again: after something failed that no desktop's own next try covers, and while
    /// a desktop does not fit.
    var refillAt: Instant?
    /// When a seat was last given a desktop, or began to wait for one.
    var lastClaimAt: Instant?
    var nextDesktop = DesktopID(rawValue: 1)
    var nextSession = SessionID(rawValue: 1)

    /// When each lab last had a desktop begun, as a count of all that were.
    var turns: [LabID: UInt64] = [:]
    var nextTurn: UInt64 = 1
    /// Whether labs have changed, or desktops come or gone, since it was looked who is to reach the internet.
    var mayReachOtherwise = false

    /// What was counted since the daemon began.
    var figures = Figures()

    /// What is to be done as the outcome of the event at hand, in order.
    var effects: [RoomEffect] = []

    init(installation: UInt64, settings: BrokerSettings, addresses: AddressPlan, leadsToInternet: Bool = true, now: Instant) {
        self.installation = installation
        self.settings = settings
        self.addresses = addresses
        self.leadsToInternet = leadsToInternet
        self.now = now
    }

    /// Takes one event in and tells what to do next, in order.
    mutating func take(_ event: RoomEvent, at instant: Instant) -> [RoomEffect] {
        now = max(now, instant)
        effects = []
        switch event {
        case .began(let snapshot): adopt(snapshot)
        case .measured(let number, let measurement): takeMeasurement(measurement, number)
        case .notMeasured(let number, let cause): measurementFailed(cause, number)
        case .recorded(let milestone): recorded(milestone)
        case .notRecorded(let milestone, let cause): notRecorded(milestone, cause: cause)
        case .stepDone(let id, let generation, let outcome): stepDone(id, generation, outcome)
        case .stepFailed(let id, let generation, let step, let cause, let isSpoilt):
            stepFailed(id, generation, step, cause: cause, isSpoilt: isSpoilt)
        case .notReady(let id, let generation, let finding): notReady(id, generation, finding)
        case .consoleRead(let id, let generation, let lines): consoleRead(id, generation, lines)
        case .domainEnded(let uuid, let kind): domainEnded(uuid, kind)
        case .unpaused(let session): handedOut(session)
        case .notUnpaused(let session, let cause): notHandedOut(session, cause: cause)
        case .claim(let claim): take(claim)
        case .claimAbandoned(let claim): abandon(claim)
        case .end(let session, let reason): end(session, because: reason)
        case .seatPresent(let seat): seatPresent(seat)
        case .seatAbsent(let seat): seatAbsent(seat)
        case .seatChanged(let id, let seat): seatChanged(id, seat)
        case .linkOpened(let session, let link): linkOpened(session, link)
        case .linkClosed(let session, let link): linkClosed(session, link)
        case .linksAre(let links): linksAre(links)
        case .imageIs(let image): imageIs(image)
        case .imageRemoved(let image): imageRemoved(image)
        case .labChanged(let lab): labChanged(lab)
        case .labRemoved(let lab): labRemoved(lab)
        case .ownProfileChanged(let id, let own): ownProfileChanged(id, own)
        case .setAside(let id, let isSetAside): setAside(id, isSetAside)
        case .remake(let id): remake(id)
        case .timePassed: timePassed()
        }
        openInternet()
        return effects
    }

    /// When `timePassed` is wanted next; nil while nothing waits for time.
    var nextDeadline: Instant? {
        var next = refillAt
        func consider(_ instant: Instant?) {
            guard let instant else { return }
            next = next.map { min($0, instant) } ?? instant
        }
        consider(measuring?.until)
        consider(nextAiring?.at)
        consider(works.soonest)
        consider(sessions.soonest)
        consider(limits.soonest?.at)
        for waiting in lines.values.joined() {
            consider(waiting.offeredUntil)
            consider(waiting.leavesAt)
        }
        return next
    }

    private mutating func timePassed() {
        if let refillAt, refillAt <= now {
            self.refillAt = nil
            capacity = nil
        }
        overdueMeasurement()
        overdueSteps()
        overdueSessions()
        overdueLimits()
        overdueWaiting()
        fill()
        air()
    }

    // MARK: Desktops

    /// Moves a desktop along the table of its life. A move that the table does not have is a defect of this code, and ends the daemon before
    /// anything unsafe is done: its successor adopts what is vouched for.
    mutating func move(_ id: DesktopID, _ change: DesktopChange) {
        guard let desktop = desktops[id], let next = desktop.state.after(change) else {
            preconditionFailure("desktop \(id) in state \(String(describing: desktops[id]?.state)) cannot \(change)")
        }
        desktops[id]?.state = next
        var work = works[id] ?? Work()
        work.note(desktop.state, until: now)
        figures.count(desktop.state, to: next, after: work.since.map { now - $0 })
        work.since = now
        works[id] = work
        planAiring(of: id)
    }

    /// The domain of a desktop's current generation.
    func uuid(of desktop: Desktop) -> DomainUUID {
        DomainUUID(installation: installation, desktop: desktop.id, generation: desktop.generation)
    }

    /// The name of the domain of a desktop's current generation.
    func domainName(of desktop: Desktop) -> String { "\(desktop.name)-g\(desktop.generation)" }

    /// The desktop to which a domain belongs now; nil for a foreign domain and for one of a generation that is over.
    func desktop(with uuid: DomainUUID) -> Desktop? {
        guard uuid.installation == installation, let desktop = desktops[uuid.desktop], desktop.generation == uuid.generation else { return nil }
        return desktop
    }

    mutating func record(_ changes: [StoreChange], _ milestone: Milestone) {
        effects.append(.record(changes, milestone))
    }
}

/// A seat as far as the room needs to know it.
struct RoomSeat: Hashable, Sendable {
    var name: String
    var lab: LabID
    /// Whether its event stream is open.
    var isPresent = false
    /// Whether it is given no desktop.
    var isBlocked = false
}

/// What is under way at a desktop beyond its state.
struct Work: Sendable {
    /// When it came into its state.
    var since: Instant?
    /// By when the step at hand must be done.
    var deadline: Instant?
    /// When the next try begins.
    var retryAt: Instant?
    /// What was last found where RDP does not answer yet.
    var finding: Sentence?
    /// Whether it is parked and let run for a moment, and when that was last over.
    var isAiring = false
    var airedAt: Instant?
    /// Why it is not begun.
    var hindrance: Hindrance?
    /// How the present generation comes to life; nil where nobody remembers, since the daemon was started anew.
    var making: Making?
    /// What has been done of its present making so far, the removal of what it held before included, and how long each took.
    var done: [(deed: String, took: Duration)] = []
    /// Whether what it held could not be removed when that was last tried.
    var resists = false
    /// Whether the store does not know the desktop yet.
    var isBeingAdded = false

    /// It leaves a state now.
    mutating func note(_ state: DesktopState, until now: Instant) {
        let deed: String
        switch state {
        case .retiring: (deed, done) = ("removal", [])
        case .preparing(let step): deed = step.rawValue
        case .empty, .ready, .leased, .quarantined: return
        }
        done.append((deed, since.map { now - $0 } ?? .zero))
    }

    /// As the journal has it: `removal 0.8 s, overlay 0.1 s, domain 5.2 s`.
    var doneText: String { done.map { "\($0.deed) \($0.took.tenths)" }.joined(separator: ", ") }
}

/// Why an empty desktop is not begun.
enum Hindrance: Error, Hashable, Sendable {
    /// So many are being made or removed already, which is as many as may be at once.
    case othersFirst(Int)
    /// Its checkpoint is made or proven first, by this desktop.
    case checkpointFirst(byDesktop: String?)
    /// What it needs is not left on the server; why.
    case doesNotFit(Sentence)
}

/// A session from its claim to its end.
struct OpenSession: Hashable, Sendable {
    enum Phase: Hashable, Sendable {
        /// The lease is on its way to the disk.
        case committing
        /// The lease is on the disk; the domain is being let run.
        case unpausing
        /// The seat may connect.
        case handedOut
    }

    var session: Session
    var phase: Phase
    /// Who waits for it to be handed out, the first having asked for it.
    var claims: [Claim] = []
    /// Links through the relay that are open now.
    var links: Set<UInt64> = []
    /// When it ends, should no link be there by then.
    var deadline: Instant?
    /// When its seat was warned that its lab ends it.
    var warnedAt: Instant?
}

/// One seat in a lab's line.
struct Waiting: Hashable, Sendable {
    let seat: SeatID
    let since: Instant
    /// A desktop is kept for it until then.
    var offeredUntil: Instant?
    /// It leaves the line then, since it is not present.
    var leavesAt: Instant?
    /// The place it was told last, from 1.
    var toldPlace: Int
}

/// What desktops may have of the server.
struct Capacity: Hashable, Sendable {
    /// All the server has.
    let total: ByteCount
    /// What domains of ours may hold in all.
    let memory: ByteCount
    /// What their QEMU processes in dom0 may hold in all.
    let controlMemory: ByteCount
    /// What overlays may grow to in all.
    let disk: ByteCount
    let diskTotal: ByteCount
    let diskFree: ByteCount
}

/// How the broker treats time and the server. Durations are on the daemon's clock.
public struct BrokerSettings: Hashable, Sendable {
    /// How many desktops are being made at once, over all labs.
    public var atOnce = 2
    public var overlayDeadline: Duration = .seconds(60)
    public var domainDeadline: Duration = .seconds(180)
    public var identityDeadline: Duration = .seconds(420)
    public var readinessDeadline: Duration = .seconds(420)
    /// By when a restored desktop must have done each of these two: it has nothing to boot, and one that fails shows that its checkpoint is bad.
    public var restoredDeadline: Duration = .seconds(180)
    public var freezingDeadline: Duration = .seconds(420)
    public var parkingDeadline: Duration = .seconds(30)
    public var removalDeadline: Duration = .seconds(120)
    /// By when a parked desktop that is aired must have answered.
    public var airingDeadline: Duration = .seconds(60)
    /// How long after a claim none is aired: others of the class are about to come.
    public var airingPause: Duration = .seconds(120)
    /// By when the server must have told what it has.
    public var measureDeadline: Duration = .seconds(30)
    /// From the claim to the answer.
    public var handOutDeadline: Duration = .seconds(15)
    /// How long a free desktop is kept for the seat whose turn it is.
    public var offerTime: Duration = .seconds(10)
    /// How long a waiting seat may be absent before it loses its place.
    public var absence: Duration = .seconds(20)
    /// The least time that a seat has for its first connection, also where a lab's grace time is shorter.
    public var connectTime: Duration = .seconds(30)
    /// The pauses before what failed is tried again, by how often in a row it has failed; the last one repeats.
    public var retryPauses: [Duration] = [.seconds(2), .seconds(10), .seconds(30), .seconds(120), .seconds(300)]
    /// Whether desktops are restored from checkpoints, where their image allows it.
    public var usesCheckpoints = true
    /// How many desktops in a row may fail to be restored from a checkpoint that was proven before it is given up.
    public var restoreTries = 2
    /// The pauses before another checkpoint is made in the place of one that failed, by how many failed in a row; the last one repeats.
    public var checkpointPauses: [Duration] = [.seconds(600), .seconds(3600), .seconds(21_600)]
    /// By when a failed generation's console must have been read, or is not.
    public var consoleDeadline: Duration = .seconds(5)
    /// The pause after the server could not be measured or a desktop not be added.
    public var refillPause: Duration = .seconds(10)
    /// The pause after which the server is measured again while a desktop does not fit: nobody tells when others give memory or disk back.
    public var fitPause: Duration = .seconds(30)
    /// What Xen keeps for itself.
    public var memoryReserve = ByteCount.mebibytes(160)
    /// What dom0 needs before it serves any desktop.
    public var controlReserve = ByteCount.mebibytes(640)
    /// What the QEMU process of one desktop holds in dom0.
    public var controlMemoryPerDesktop = ByteCount.mebibytes(26)
    /// What is kept free on the disk.
    public var diskReserve = ByteCount.mebibytes(256)
    public init() {}

    /// By when a step of a making must be done.
    func deadline(of step: PreparationStep, in making: Making?) -> Duration {
        if case .restore? = making, step == .identity || step == .readiness { return restoredDeadline }
        return switch step {
        case .overlay: overlayDeadline
        case .domain: domainDeadline
        case .identity: identityDeadline
        case .readiness: readinessDeadline
        case .freezing: freezingDeadline
        case .parking: parkingDeadline
        }
    }
}
