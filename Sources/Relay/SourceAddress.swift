import NIOCore

/// Where a connection comes from, as text and as what is counted.
package struct SourceAddress: Hashable, Sendable {
    /// The address in its usual form; an IPv4 address that came over an IPv6 socket stands in IPv4 form.
    package let text: String
    /// What limits apply to: an IPv4 address, or an IPv6 network of 64 bits, since a host there has as many addresses as it likes.
    package let counted: [UInt8]

    /// The address of a TCP peer; nil for a Unix socket.
    package init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let v4):
            var number = v4.address.sin_addr
            self.init(v4: withUnsafeBytes(of: &number) { Array($0) })
        case .v6(let v6):
            var number = v6.address.sin6_addr
            let bytes = withUnsafeBytes(of: &number) { Array($0) }
            if bytes.prefix(12).elementsEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]) {
                self.init(v4: Array(bytes[12...]))
            } else {
                guard let text = address?.ipAddress else { return nil }
                self.init(text: text, counted: Array(bytes[..<8]))
            }
        case .unixDomainSocket, nil: return nil
        }
    }

    private init(v4 bytes: [UInt8]) {
        self.init(text: bytes.map(String.init).joined(separator: "."), counted: bytes)
    }

    private init(text: String, counted: [UInt8]) {
        self.text = text
        self.counted = counted
    }
}
