/// The first packet of an RDP connection, an X.224 Connection Request in a TPKT, as far as the relay lets one through.
///
/// It comes before TLS and from anyone. What is accepted: a TPKT of at most 259 bytes that holds nothing but a class 0 Connection Request
/// with our routing token, `punnet=` and a ticket, ended by CR LF, then a negotiation request that asks for more than bare RDP security
/// and, where it says so, a correlation identifier.
/// - SeeAlso: MS-RDPBCGR 2.2.1.1, RFC 1006, ITU-T X.224 13.3
package struct ConnectionRequest: Hashable, Sendable {
    /// The longest packet there can be: the X.224 length octet counts at most 254 further octets, after 4 of the TPKT and itself.
    package static let maximumLength = 259

    package let ticket: Ticket
    /// The whole packet's length, in bytes.
    package let length: Int

    /// What has come of the bytes so far.
    package enum Reading: Hashable, Sendable {
        /// The bytes are a beginning of a packet that may yet be right.
        case incomplete
        case complete(ConnectionRequest)
        case malformed(Fault)
    }

    /// What is wrong with a packet; it names no byte of it, since it may hold a secret.
    package enum Fault: String, Hashable, Sendable, CaseIterable {
        case notTPKT = "not a TPKT"
        case length = "a length that cannot be"
        case notConnectionRequest = "not an X.224 connection request"
        case noTicket = "no ticket in the routing token"
        case negotiation = "no negotiation request that asks for TLS"
        case correlation = "a damaged correlation identifier"
        case excess = "bytes after the packet"
    }

    /// Reads what has come so far. Pure, and bounded by `maximumLength`: bytes that cannot become a good packet are malformed at once.
    package static func read(_ bytes: [UInt8]) -> Reading {
        // Each octet is judged as soon as it is there, so that garbage need not be waited for.
        if bytes.count > 0, bytes[0] != 3 { return .malformed(.notTPKT) }
        if bytes.count > 1, bytes[1] != 0 { return .malformed(.notTPKT) }
        guard bytes.count >= 4 else { return .incomplete }
        let length = Int(bytes[2]) << 8 | Int(bytes[3])
        guard (shortest...maximumLength).contains(length) else { return .malformed(.length) }
        guard bytes.count >= 5 else { return .incomplete }
        guard Int(bytes[4]) == length - 5 else { return .malformed(.length) }
        for (index, expected) in fixedPart.enumerated() where bytes.count > 5 + index && bytes[5 + index] != expected {
            return .malformed(.notConnectionRequest)
        }
        if bytes.count > length { return .malformed(.excess) }
        guard bytes.count == length else { return .incomplete }

        let variablePart = bytes[(5 + fixedPart.count)...]
        guard variablePart.starts(with: Ticket.prefix),
            let carriageReturn = variablePart.firstIndex(of: 13), variablePart[carriageReturn...].dropFirst().first == 10,
            let ticket = Ticket(variablePart[(variablePart.startIndex + Ticket.prefix.count)..<carriageReturn])
        else { return .malformed(.noTicket) }
        if let fault = faultInNegotiation(Array(variablePart[(carriageReturn + 2)...])) { return .malformed(fault) }
        return .complete(ConnectionRequest(ticket: ticket, length: length))
    }

    /// CR and credit 0; destination and source reference 0; class 0 without options.
    private static let fixedPart: [UInt8] = [0xe0, 0, 0, 0, 0, 0]
    private static let shortest = 5 + fixedPart.count

    private static func faultInNegotiation(_ bytes: [UInt8]) -> Fault? {
        guard bytes.count >= 8, bytes[0] == 1, bytes[2] == 8, bytes[3] == 0 else { return .negotiation }
        let flags = bytes[1]
        // Restricted administration 1, redirected authentication 2, a correlation identifier follows 8.
        guard flags & ~0x0b == 0, bytes[4...7].contains(where: { $0 != 0 }) else { return .negotiation }
        let rest = Array(bytes[8...])
        guard flags & 8 != 0 else { return rest.isEmpty ? nil : .excess }
        guard rest.count == 36, rest[0] == 6, rest[1] == 0, rest[2] == 36, rest[3] == 0, rest[20...].allSatisfy({ $0 == 0 }) else {
            return .correlation
        }
        return nil
    }
}
