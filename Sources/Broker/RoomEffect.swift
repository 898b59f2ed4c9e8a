import DesktopModel
import DesktopStore
import Hypervisor

/// What is to be done because of an event.
enum RoomEffect: Sendable {
    /// Writes the changes in one transaction, after all that were asked for before; `recorded` or `notRecorded` follows.
    case record([StoreChange], Milestone)
    /// Asks the server what it has, by the question's number; `measured` or `notMeasured` follows.
    case measure(UInt64)
    /// A step of making, airing or removing a desktop; `stepDone` or `stepFailed` follows. Steps of one desktop are done one after the other.
    case step(DesktopID, Generation, Step)
    /// Breaks an airing off; its step is over then as otherwise. Nothing else follows.
    case endAiring(DesktopID)
    /// Asks what a generation whose making failed has last written to its console, the domain's name given; `consoleRead` follows, or nothing
    /// does. No step waits for it.
    case readConsole(DesktopID, Generation, String)
    /// Forgets what the domain of this name wrote to its console, once that was read where it was asked for. Nothing follows.
    case dropConsole(String)
    /// Lets a leased desktop run; `unpaused` or `notUnpaused` follows. Never waits behind a step.
    case unpause(SessionID, DomainUUID)
    /// Says that somebody works at a domain, which has so much of what it was built with, however often it must be tried while it is there.
    /// Nothing follows.
    case serve(DomainUUID, Profile)
    /// Opens the internet to the desktops at these places and to no others, however often it must be tried, until it is to be otherwise. Nothing
    /// follows.
    case openInternet(Set<Place>)
    case answer(ClaimID, Result<Lent, BrokerError>)
    case tell(SeatID, SeatEvent)
    /// Ends a session's links through the relay.
    case closeLinks(SessionID)
    /// Ends a domain of ours that belongs to nothing any more, however often it must be tried.
    case destroyStray(DomainUUID)
    case removeStray(OverlayName)
    /// Removes a checkpoint that no desktop needs any more, however often it must be tried.
    case removeCheckpoint(CheckpointID)
    /// Something an administrator should know; facts beside the message, no secrets.
    case notice(String, [String: String])
}

/// A step of a desktop's making, its airing or its removal.
enum Step: Sendable {
    case layOverlay(blank: String, OverlayName)
    case layOverlayOver(CheckpointID, OverlayName)
    case build(DomainPlan)
    case restore(DomainPlan, CheckpointID)
    /// Tells the guest who it is, lets it run and waits until it has taken that over.
    case settle(DomainUUID, hostname: String, user: String)
    /// Lets it run and asks for RDP until it answers.
    case awaitReadiness(DomainUUID, IPv4Address)
    /// Waits until the guest has come to rest, has it give back the memory that it can spare, saves the rest, ends its domain, and makes a
    /// checkpoint of disk and memory.
    case freeze(DomainUUID, OverlayName, CheckpointID)
    case pause(DomainUUID)
    /// Lets a parked one run, asks for RDP, which must answer with this certificate, and parks it again.
    case air(DomainUUID, IPv4Address, fingerprint: [UInt8])
    /// Breaks off a wait for readiness, ends the domain, drops the overlay.
    case remove(DomainUUID, OverlayName)
}

/// Which step it is: one of a making, at which the desktop then stands, an airing, or the removal.
enum StepKind: Hashable, Sendable {
    case making(PreparationStep)
    case airing
    case removal
}

extension Step {
    var kind: StepKind {
        switch self {
        case .layOverlay, .layOverlayOver: .making(.overlay)
        case .build, .restore: .making(.domain)
        case .settle: .making(.identity)
        case .awaitReadiness: .making(.readiness)
        case .freeze: .making(.freezing)
        case .pause: .making(.parking)
        case .air: .airing
        case .remove: .removal
        }
    }
}

/// What a claim brought the seat, in the room's own words.
enum Lent: Hashable, Sendable {
    case desktop(SessionID, resumed: Bool)
    case place(Int)
}
