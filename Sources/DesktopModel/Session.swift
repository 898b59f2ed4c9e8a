/// The hash of a ticket; the ticket itself is known to its seat alone. SHA-256, 32 bytes.
public struct TicketHash: Hashable, Sendable {
    public let bytes: [UInt8]
    public init(bytes: [UInt8]) { self.bytes = bytes }
}

/// Why a session ended.
public enum EndReason: String, Sendable, Codable, Hashable, CaseIterable {
    /// The pupil logged off.
    case logOff = "log-off"
    /// The seat closed the desktop's window.
    case closed
    /// The link was lost and not restored within the grace time.
    case linkLost = "link-lost"
    /// The seat was started anew and asked for a fresh desktop.
    case seatRestarted = "seat-restarted"
    /// The seat was removed.
    case seatRemoved = "seat-removed"
    /// An administrator ended it, or had its desktop made anew.
    case administrator
    /// It lasted as long as its lab allows.
    case timeLimit = "time-limit"
    /// Nobody touched its seat for as long as its lab allows.
    case idle
    /// The desktop shut itself down, crashed or was destroyed from outside.
    case desktopDied = "desktop-died"
    /// The desktop could not be handed out after it had been leased.
    case handOutFailed = "hand-out-failed"
}

/// A seat's lease of a desktop, from claim to end.
public struct Session: Hashable, Sendable {
    public let id: SessionID
    public let seat: SeatID
    public let desktop: DesktopID
    /// The generation that was leased; the session never reaches another.
    public let generation: Generation
    /// The kernel's boot_id of the seat that claimed it: a seat that was started anew gets a fresh desktop.
    public let bootID: String
    public var ticket: TicketHash
    /// The only address from which the ticket is good, as text.
    public var address: String

    public init(id: SessionID, seat: SeatID, desktop: DesktopID, generation: Generation, bootID: String, ticket: TicketHash, address: String) {
        self.id = id
        self.seat = seat
        self.desktop = desktop
        self.generation = generation
        self.bootID = bootID
        self.ticket = ticket
        self.address = address
    }
}
