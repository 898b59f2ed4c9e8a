/// The first packets of RDP: the request for TLS, and the server's answer.
/// - SeeAlso: MS-RDPBCGR 2.2.1.1 and 2.2.1.2
package enum ConnectionConfirm {
    /// A Connection Request without a cookie that asks for TLS and nothing else.
    static let request: [UInt8] = [
        0x03, 0x00, 0x00, 0x13, 0x0e, 0xe0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00,
    ]
    package static let headerLength = 4
    private static let bareLength = 11
    private static let negotiatedLength = 19

    /// The length of the whole packet, told by its first four bytes.
    package static func length(header: [UInt8]) throws(ProbeError) -> Int {
        guard header[0] == 0x03, header[1] == 0x00 else { throw .notRDP("its answer begins with \(Hex.text(of: header))") }
        let length = Int(header[2]) << 8 | Int(header[3])
        guard length == bareLength || length == negotiatedLength else { throw .notRDP("its answer claims \(length) bytes") }
        return length
    }

    /// Looks at a whole packet; returns where the server agreed to TLS.
    package static func check(_ packet: [UInt8]) throws(ProbeError) {
        guard Int(packet[4]) == packet.count - 5 else { throw .notRDP("its X.224 length is \(packet[4])") }
        guard packet[5] & 0xf0 == 0xd0 else { throw .notRDP("its X.224 code is \(packet[5])") }
        guard packet.count == negotiatedLength else { throw .noTLS(chosen: nil) }
        guard packet[13] == 0x08, packet[14] == 0x00 else { throw .notRDP("its negotiation claims \(packet[13]) bytes") }
        let value = UInt32(packet[15]) | UInt32(packet[16]) << 8 | UInt32(packet[17]) << 16 | UInt32(packet[18]) << 24
        switch packet[11] {
        case 0x02 where value == 1: return
        case 0x02: throw .noTLS(chosen: value)
        case 0x03: throw .negotiationRefused(code: value)
        default: throw .notRDP("its negotiation has type \(packet[11])")
        }
    }

    /// A server's answer that agrees to TLS.
    package static let agreement: [UInt8] = [
        0x03, 0x00, 0x00, 0x13, 0x0e, 0xd0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00,
    ]

    /// Whether what a client says first asks for TLS, a routing token before it or not; nil while it is not complete.
    package static func asksForTLS(_ bytes: [UInt8]) -> Bool? {
        guard bytes.count >= 6 else { return nil }
        let length = Int(bytes[2]) << 8 | Int(bytes[3])
        guard bytes[0] == 3, bytes[1] == 0, Int(bytes[4]) == length - 5, bytes[5] & 0xf0 == 0xe0, bytes.count <= length else { return false }
        guard bytes.count == length else { return nil }
        var rest = bytes.dropFirst(bareLength)
        if rest.first != 1, let end = rest.firstIndex(of: 0x0a) { rest = rest[(end + 1)...] }
        let negotiation = Array(rest.prefix(8))
        return negotiation.count == 8 && negotiation[0] == 1 && negotiation[2] == 8 && negotiation[3] == 0 && negotiation[4] & 1 == 1
    }
}
