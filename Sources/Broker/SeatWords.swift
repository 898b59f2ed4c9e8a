import DesktopModel

/// What a seat is given with its desktop.
public struct Lease: Hashable, Sendable {
    public let session: SessionID
    /// The desktop's name, for people.
    public let desktop: String
    /// The secret that lets this session, from its address, through the relay. Known to the seat alone.
    public let ticket: String
    public let account: Account
    /// SHA-256 of the certificate that the desktop's RDP server shows, 32 bytes.
    public let fingerprint: [UInt8]
    /// Whether this is the session that the seat had before, since its start.
    public let resumed: Bool
    public let afterSession: AfterSession
    /// How long the session is kept when the link is lost.
    public let grace: Duration
    /// How long nobody may touch the seat before it ends the session, and how long before that it says so; zero: for ever.
    public let idle: Duration
    public let warning: Duration

    public init(
        session: SessionID, desktop: String, ticket: String, account: Account, fingerprint: [UInt8], resumed: Bool, afterSession: AfterSession,
        grace: Duration, idle: Duration, warning: Duration
    ) {
        self.session = session
        self.desktop = desktop
        self.ticket = ticket
        self.account = account
        self.fingerprint = fingerprint
        self.resumed = resumed
        self.afterSession = afterSession
        self.grace = grace
        self.idle = idle
        self.warning = warning
    }
}

/// What comes of a claim.
public enum ClaimAnswer: Hashable, Sendable {
    case leased(Lease)
    /// Every desktop is taken or being made: the seat's place in the line, from 1. It is told by an offer when its turn comes.
    case waiting(place: Int)
}

/// What a seat is told while it listens.
public enum SeatEvent: Hashable, Sendable {
    /// What people call it, as it begins to listen and whenever it is given another name.
    case name(String)
    /// Its place in the line, from 1, has changed.
    case place(Int)
    /// A desktop is kept for it: claim within `within`.
    case offer(within: Duration)
    /// Its session ends then, since it has lasted as long as its lab allows.
    case ending(SessionID, within: Duration)
    /// Its session has ended.
    case ended(SessionID, EndReason)
    /// It is to do something now.
    case order(SeatOrder)
}
