/// What becomes of a ticket that was shown at the relay.
public enum Admission: Hashable, Sendable {
    /// The ticket is good: its session, and the desktop's address (an IP address as text) and TCP port.
    case admitted(session: Int64, host: String, port: UInt16)
    /// The ticket is unknown or over, or it was shown from a foreign address. The seat is not told which.
    case refused
}
