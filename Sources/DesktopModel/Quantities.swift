/// An amount of memory or disk, in bytes.
public struct ByteCount: RawRepresentable, Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    public let rawValue: Int64
    public init(rawValue: Int64) { self.rawValue = rawValue }

    public static let zero = ByteCount(rawValue: 0)
    public static func kibibytes(_ count: Int64) -> ByteCount { ByteCount(rawValue: count << 10) }
    public static func mebibytes(_ count: Int64) -> ByteCount { ByteCount(rawValue: count << 20) }
    public static func gibibytes(_ count: Int64) -> ByteCount { ByteCount(rawValue: count << 30) }

    /// Whole kibibytes, rounded down; the unit in which libxl counts memory.
    public var kibibytes: Int64 { rawValue >> 10 }
    /// Whole mebibytes, rounded down.
    public var mebibytes: Int64 { rawValue >> 20 }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    public static func + (left: Self, right: Self) -> Self { Self(rawValue: left.rawValue + right.rawValue) }
    public static func - (left: Self, right: Self) -> Self { Self(rawValue: left.rawValue - right.rawValue) }
    public static func * (left: Self, right: Int) -> Self { Self(rawValue: left.rawValue * Int64(right)) }
    public static func += (left: inout Self, right: Self) { left = left + right }

    /// As people write it: `512 MiB`, `1.5 GiB`, `640 KiB`; one digit after the point at most, rounded.
    public var description: String {
        for (unit, shift) in [("TiB", Int64(40)), ("GiB", 30), ("MiB", 20), ("KiB", 10)] where rawValue >= 1 << shift {
            let rest = rawValue & ((1 << shift) - 1)
            let tenths = (rawValue >> shift) * 10 + ((rest * 10 + (1 << (shift - 1))) >> shift)
            return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(rawValue) B"
    }

    /// The same without rounding, in the largest unit of which it is a whole number: `1280 MiB`.
    public var exact: String {
        for (unit, shift) in [("GiB", Int64(30)), ("MiB", 20), ("KiB", 10)] where rawValue != 0 && rawValue & ((1 << shift) - 1) == 0 {
            return "\(rawValue >> shift) \(unit)"
        }
        return "\(rawValue) B"
    }
}

/// A moment on the daemon's own clock, which never steps: the time since some start that means nothing by itself.
///
/// What people are shown as a date comes from the calendar, at the edge; deadlines are counted on this clock only.
public struct Instant: Hashable, Sendable, Comparable {
    public let sinceStart: Duration
    public init(sinceStart: Duration) { self.sinceStart = sinceStart }
    public static func < (left: Self, right: Self) -> Bool { left.sinceStart < right.sinceStart }
    public static func + (left: Self, right: Duration) -> Self { Self(sinceStart: left.sinceStart + right) }
    public static func - (left: Self, right: Self) -> Duration { left.sinceStart - right.sinceStart }
}
