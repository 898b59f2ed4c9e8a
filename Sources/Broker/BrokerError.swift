import DesktopModel

/// Why the broker did not do what it was asked.
public enum BrokerError: Error, Hashable, Sendable, CustomStringConvertible {
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
    case inUse(kind: String, name: String, by: String)
    case invalid(field: String, value: String, remedy: String)
    /// It does not fit the server: what was asked for, what would fit, and what of the server ends first.
    case doesNotFit(asked: Int, holds: Int, profile: Profile, limit: Limit)
    /// The lease could not be written to the disk, or the store cannot be read.
    case storage(String)
    /// Xen, the disks or the network refused.
    case hypervisor(String)
    /// The broker is ending, or has just begun.
    case unavailable

    public var description: String {
        switch self {
        case .noDesktops(let lab): "lab '\(lab)' keeps no desktops: set its size with 'punnet lab set \(lab) --size N'"
        case .unknownLab(let name): "there is no lab '\(name)'; 'punnet lab list' shows them"
        case .unknownImage(let name): "there is no image '\(name)'; 'punnet image list' shows them"
        case .unknownDesktop(let name): "there is no desktop '\(name)'; 'punnet desktop list' shows them"
        case .unknownSeat(let name): "there is no seat '\(name)'; 'punnet seat list' shows them"
        case .unknownPerson(let name): "there is nobody named '\(name)'"
        case .unknownJoin(.some(let pin)): "no seat asks to join with the PIN '\(pin)'; 'punnet seat requests' shows those that do"
        case .unknownJoin(nil): "this request to join is over; ask anew"
        case .tooManyJoins: "too many seats ask to join; try again when some were let in or refused"
        case .unknownSession(let id): "there is no open session \(id); 'punnet session list' shows them"
        case .notYourSession(let id): "session \(id) belongs to another seat"
        case .wordRefused: "the word is wrong, used or expired; 'punnet seat add' gives a new one"
        case .nameTaken(let kind, let name): "there is already a \(kind) named '\(name)'; choose another name"
        case .seatIsOff(let name): "seat '\(name)' is off, or cannot be reached; switch it on first"
        case .seatIsBlocked(let name): "seat '\(name)' is blocked; 'punnet seat set \(name) --unblock' lets it be used again"
        case .inUse(let kind, let name, let user): "\(kind) '\(name)' is still needed by \(user)"
        case .invalid(let field, let value, let remedy): "\(field) '\(value)' is not possible: \(remedy)"
        case .doesNotFit(let asked, let holds, let profile, let limit):
            "this server holds \(holds) \(holds == 1 ? "desktop" : "desktops") of this profile; \(asked) \(asked == 1 ? "was" : "were") asked for"
                + " (\(profile.vcpus) vCPU, \(profile.memory)): \(limit.words)"
        case .storage(let detail): "the database could not be written or read: \(detail)"
        case .hypervisor(let detail): detail
        case .unavailable: "punnetd is starting or stopping; try again in a moment"
        }
    }
}
