/// How many bytes a link has carried.
public struct LinkBytes: Hashable, Sendable {
    public let fromSeat: UInt64
    public let toSeat: UInt64

    public init(fromSeat: UInt64, toSeat: UInt64) {
        self.fromSeat = fromSeat
        self.toSeat = toSeat
    }
}
