/// The number of one connection through the relay; never used twice, not even by another start of the relay.
public struct LinkID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Sixteen hexadecimal digits: the upper half names the start of the relay, the lower half counts its connections.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
