/// Why an admitted connection is over.
///
/// TCP does not tell a log-off from a closed window: what the pupil did is known to the seat alone.
public enum LinkEnd: UInt8, Hashable, Sendable, CaseIterable {
    /// The seat's side ended the connection in good order.
    case seatClosed = 1
    /// The seat reset the connection or has not answered for the keep-alive time.
    case seatLost = 2
    /// The desktop's side ended the connection in good order.
    case desktopClosed = 3
    /// The desktop reset the connection or has not answered for the keep-alive time.
    case desktopLost = 4
    /// No connection to the desktop came about before the deadline; the link was never open.
    case desktopUnreachable = 5
    /// The same session was admitted anew, which takes the place of this link.
    case replaced = 6
    /// punnetd had the session's links closed.
    case sessionEnded = 7
    /// The relay was told to stop.
    case relayStopped = 8
}
