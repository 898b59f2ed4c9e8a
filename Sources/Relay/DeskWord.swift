/// What the relay says to punnetd.
package enum RelayWord: Hashable, Sendable {
    /// The first word of every connection: the protocol's version and the links that are open.
    case hello(version: UInt16, open: [OpenLink])
    case ask(link: LinkID, ticket: [UInt8], address: String)
    case opened(link: LinkID, session: Int64)
    case closed(link: LinkID, session: Int64, cause: LinkEnd, bytesFromSeat: UInt64, bytesToSeat: UInt64)
}

/// What punnetd says to the relay.
package enum DeskWord: Hashable, Sendable {
    /// The answer to hello, before anything else.
    case welcome(version: UInt16)
    case admit(link: LinkID, session: Int64, host: String, port: UInt16)
    case refuse(link: LinkID)
    /// End the session's links now, and those that are being made.
    case close(session: Int64)
}

/// The protocol between the relay and punnetd, over a Unix stream socket at which punnetd listens.
///
/// A frame is a length (4 octets, not counting itself) and a word: one octet of kind, then its fields, integers in network order, texts
/// with one octet of length before them. A frame that does not hold exactly one word ends the connection.
package enum DeskProtocol {
    /// The version of the words; both sides end a connection whose other side speaks another.
    package static let version: UInt16 = 1
    /// The longest frame, in bytes: a hello of as many links as there can be.
    package static let maximumFrame = 8 + maximumLinks * 24
    /// More links than a relay may have open.
    package static let maximumLinks = 4096
    /// Where punnetd listens unless told otherwise.
    package static let defaultSocketPath = "/run/punnet/relay.sock"
}
