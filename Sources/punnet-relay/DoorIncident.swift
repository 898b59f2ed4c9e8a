/// Why a connection was closed without a desktop, or what else a seat did at the door that it should not.
enum DoorIncident: String, Hashable, Sendable, CaseIterable {
    /// The first bytes were no RDP connection request with a ticket.
    case garbage
    /// The connection ended before its first packet was whole.
    case truncated
    /// The first packet was not whole in time.
    case slow
    /// The door was crowded, and of those that had not sent their first packet this one had been there the longest.
    case crowdedOut = "crowded-out"
    /// punnetd refused the ticket.
    case refused
    /// punnetd was not there, or did not answer in time.
    case deskAway = "desk-away"
    /// The desktop could not be reached in time.
    case desktopUnreachable = "desktop-unreachable"
    /// Too many connections or refused attempts from the address.
    case flood
    /// Too many connections that wait, or too many links.
    case full
    /// A session was admitted again as soon as it had been admitted.
    case hasty

    /// Whether the address is to blame, so that it is shut out when it goes on.
    var isHeldAgainstSource: Bool {
        switch self {
        case .garbage, .truncated, .slow, .crowdedOut, .refused, .hasty: true
        case .deskAway, .desktopUnreachable, .flood, .full: false
        }
    }
}
