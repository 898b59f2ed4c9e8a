import DesktopModel

/// Why the broker did not do what it was asked.
public enum BrokerError: Telling, Hashable, Sendable {
    /// The seat belongs to no lab that can serve it, or its lab keeps no desktops.
    case noDesktops(lab: String)
    case unknownLab(String)
    case unknownImage(String)
    case unknownDesktop(String)
    case unknownSeat(String)
    case unknownPerson(String)
    /// No seat that nobody has decided about asks to join with this PIN; nil where a seat itself asks and its request is over.
    case unknownJoin(String?)
    /// No more seats may ask to join, in all or from one address, until some were decided about.
    case tooManyJoins
    case unknownSession(SessionID)
    /// The session is another seat's.
    case notYourSession(SessionID)
    /// The one-time word is wrong, used or expired; nobody is told which.
    case wordRefused
    case nameTaken(kind: String, name: String)
    /// The seat is off, or cannot be reached.
    case seatIsOff(String)
    /// The seat is given no desktop until somebody unblocks it.
    case seatIsBlocked(String)
    /// Something still needs it.
    case inUse(kind: String, name: String, by: Sentence)
    case invalid(field: String, value: String, remedy: Sentence)
    /// It does not fit the server: what was asked for, what would fit, and what of the server ends first.
    case doesNotFit(asked: Int, holds: Int, profile: Profile, limit: Limit)
    /// The lease could not be written to the disk, or the store cannot be read.
    case storage(Sentence)
    /// Xen, the disks or the network refused.
    case hypervisor(Sentence)
    /// The broker is ending, or has just begun.
    case unavailable

    public var sentence: Sentence {
        switch self {
        case .noDesktops(let lab): Refused.noDesktops(lab)
        case .unknownLab(let name): Refused.unknownLab(name)
        case .unknownImage(let name): Refused.unknownImage(name)
        case .unknownDesktop(let name): Refused.unknownDesktop(name)
        case .unknownSeat(let name): Refused.unknownSeat(name)
        case .unknownPerson(let name): Refused.unknownPerson(name)
        case .unknownJoin(.some(let pin)): Refused.unknownJoin(pin)
        case .unknownJoin(nil): Refused.joinOver()
        case .tooManyJoins: Refused.tooManyJoins()
        case .unknownSession(let id): Refused.unknownSession(id)
        case .notYourSession(let id): Refused.notYourSession(id)
        case .wordRefused: Refused.wordRefused()
        case .nameTaken(let kind, let name): Refused.nameTaken(Sentence.said(kind, []), name)
        case .seatIsOff(let name): Refused.seatIsOff(name)
        case .seatIsBlocked(let name): Refused.seatIsBlocked(name)
        case .inUse(let kind, let name, let user): Refused.inUse(Sentence.said(kind, []), name, user)
        case .invalid(let field, let value, let remedy): Refused.invalid(Sentence.said(field, []), value, remedy)
        case .doesNotFit(let asked, let holds, let profile, let limit):
            Refused.doesNotFit(
                holds == 1 ? Refused.oneDesktop(holds) : Refused.desktops(holds), asked == 1 ? Refused.wasAsked(asked) : Refused.wereAsked(asked),
                profile.vcpus, profile.memory, limit.words)
        case .storage(let detail): Refused.storage(detail)
        case .hypervisor(let detail): detail
        case .unavailable: Refused.unavailable()
        }
    }
}
