/// What keeps the relay or its desk from working.
public enum RelayError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The socket's place cannot be used; what the system said.
    case socketUnusable(path: String, reason: String)
    /// Another process listens there.
    case socketTaken(path: String)
    /// An address to listen at that is none, or that the system refuses; what it said.
    case cannotListen(address: String, reason: String)
    /// The other side of the desk's socket said what the protocol does not know.
    case protocolBroken(String)
    /// The other side speaks another version of the protocol.
    case otherVersion(theirs: UInt16, ours: UInt16)
    /// The connection ended before its first word, or the first word was none that may be first.
    case noGreeting

    public var description: String {
        switch self {
        case .socketUnusable(let path, let reason):
            "The relay's socket \(path) cannot be used: \(reason). See that its folder exists and belongs to the user of punnetd."
        case .socketTaken(let path):
            "Another process listens at \(path). Stop the other punnetd first."
        case .cannotListen(let address, let reason):
            "The relay cannot listen at \(address): \(reason). See that no other program uses the port, or give another with --listen."
        case .protocolBroken(let what):
            "The relay and punnetd do not understand each other: \(what). See that both come from the same package, and restart both."
        case .otherVersion(let theirs, let ours):
            "The relay's protocol is version \(ours) here and \(theirs) at the other side. Install both from one package, and restart both."
        case .noGreeting:
            "A connection to the relay's socket did not begin with a greeting. See what else connects there."
        }
    }
}
