import FoundationEssentials

/// A moment of the calendar, whole seconds since 1970; in JSON an RFC 3339 string in UTC, `2026-03-02T08:15:00Z`.
public struct Moment: Hashable, Sendable, Codable, CustomStringConvertible {
    public let seconds: Int64
    public init(seconds: Int64) { self.seconds = seconds }

    /// Reads an RFC 3339 string; nil where it is none.
    public init?(rfc3339: String) {
        guard let date = try? Date(rfc3339, strategy: .iso8601) else { return nil }
        self.init(seconds: Int64(date.timeIntervalSince1970.rounded(.down)))
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let moment = Moment(rfc3339: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not a time of RFC 3339")
        }
        self = moment
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
    }
}
