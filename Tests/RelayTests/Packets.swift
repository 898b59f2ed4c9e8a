/// RDP connection requests, made by hand as FreeRDP makes them.
enum Packets {
    /// A negotiation request for TLS.
    static let negotiation: [UInt8] = [1, 0, 8, 0, 1, 0, 0, 0]
    static let goodTicket = "Zm9yLXRlc3RzLW9ubHktbm90LWEtc2VjcmV0XzAxMjM"

    /// A TPKT with a connection request whose variable part is the given one.
    static func request(variablePart: [UInt8]) -> [UInt8] {
        let length = 11 + variablePart.count
        return [3, 0, UInt8(length >> 8), UInt8(length & 255), UInt8(truncatingIfNeeded: length - 5), 0xe0, 0, 0, 0, 0, 0] + variablePart
    }

    static func request(token: String, negotiation: [UInt8] = negotiation) -> [UInt8] {
        request(variablePart: Array(token.utf8) + [13, 10] + negotiation)
    }

    static func request(ticket: String) -> [UInt8] { request(token: "punnet=" + ticket) }
}
