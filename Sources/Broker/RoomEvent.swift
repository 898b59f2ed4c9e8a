import DesktopModel
import DesktopStore
import Hypervisor

/// What can happen in the room.
enum RoomEvent: Sendable {
    // At the start, and of the server
    case began(Snapshot)
    case measured(UInt64, ServerMeasurement)
    case notMeasured(UInt64, cause: Sentence)
    // What came of an effect
    case recorded(Milestone)
    case notRecorded(Milestone, cause: Sentence)
    case stepDone(DesktopID, Generation, StepOutcome)
    /// Why: what failed, the value, what to do; and whether its checkpoint's own files are to blame.
    case stepFailed(DesktopID, Generation, StepKind, cause: Sentence, isSpoilt: Bool = false)
    /// What was found where RDP does not answer yet; told when it is another than before.
    case notReady(DesktopID, Generation, finding: Sentence)
    case consoleRead(DesktopID, Generation, [String])
    case unpaused(SessionID)
    case notUnpaused(SessionID, cause: Sentence)
    // From Xen
    case domainEnded(DomainUUID, DomainEvent.Kind)
    // From seats and the relay
    case claim(Claim)
    case claimAbandoned(ClaimID)
    case end(SessionID, EndReason)
    case seatPresent(SeatID)
    case seatAbsent(SeatID)
    case linkOpened(SessionID, UInt64)
    case linkClosed(SessionID, UInt64)
    /// The relay tells every link it has.
    case linksAre([SessionID: Set<UInt64>])
    // From an administrator; already in the store
    /// Added or changed.
    case imageIs(ImageVersion)
    case imageRemoved(ImageVersionID)
    case labChanged(Lab)
    case labRemoved(LabID)
    case ownProfileChanged(DesktopID, Profile?)
    case setAside(DesktopID, Bool)
    /// Nil when the seat was removed.
    case seatChanged(SeatID, RoomSeat?)
    case remake(DesktopID)
    // From the clock
    case timePassed
}

/// What is on the disk, in Xen and in the data folder at the start.
struct Snapshot: Sendable {
    var stored: StoredRoom
    var seats: [SeatID: RoomSeat]
    var domains: [RunningDomain]
    var overlays: [OverlayName]
    /// The names of the domains, gone ones included, whose consoles are kept.
    var consoles: [String]
    /// The checkpoints that lie in the data folder, finished or not.
    var checkpoints: [CheckpointID]
}

/// What the server has now.
struct ServerMeasurement: Sendable {
    var host: HostCapacity
    var domains: [RunningDomain]
    var disk: DiskSpace
}

/// What a step of making or removing a desktop brought about.
enum StepOutcome: Sendable, Hashable {
    /// The overlay lies at this path.
    case overlayLaid(path: String)
    case domainBuilt
    /// The guest has taken its identity over, and this password for its account with it.
    case settled(password: String)
    /// RDP answered with a certificate of this fingerprint.
    case answered(fingerprint: [UInt8])
    /// The desktop is frozen, holding so much memory, and its domain gone.
    case frozen(memory: ByteCount)
    case paused
    /// It is parked again, and has answered, or its airing was broken off.
    case aired
    /// Domain and overlay are gone.
    case removed
}

/// A seat's wish for a desktop.
struct Claim: Hashable, Sendable {
    let id: ClaimID
    let seat: SeatID
    let bootID: String
    let address: String
    let ticket: TicketHash
}

/// Tells one claim from another within a run of the daemon.
struct ClaimID: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt64
}

/// What a record to the store stands for, and so what goes on when it is on the disk.
enum Milestone: Hashable, Sendable {
    // Decisions: nothing follows from them unless they are on the disk
    case added(DesktopID)
    case begun(DesktopID, Generation)
    case parked(DesktopID, Generation)
    case leased(SessionID)
    case ticketRenewed(SessionID, Claim)
    // Facts: they are so, on the disk or not, and are written as soon as it can be
    case retiring(DesktopID)
    case emptied(DesktopID, Generation)
    case dropped(DesktopID)
    case held(DesktopID)
    case consoleKept(DesktopID)
    case checkpointGone(CheckpointID)

    /// Whether it is already so and must reach the disk sooner or later.
    var isFact: Bool {
        switch self {
        case .added, .begun, .parked, .leased, .ticketRenewed: false
        case .retiring, .emptied, .dropped, .held, .consoleKept, .checkpointGone: true
        }
    }
}
