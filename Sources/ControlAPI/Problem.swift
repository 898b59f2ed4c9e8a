import DesktopModel

/// What went wrong, as RFC 9457 says it (`application/problem+json`).
public struct Problem: Error, Hashable, Sendable, Codable {
    /// The media type of a body that holds a problem.
    public static let mediaType = "application/problem+json"

    /// What kind of problem it is, for programs: `tag:punnet,2026:<kind>`.
    public let type: String
    /// The same for people; constant for a type.
    public let title: String
    /// The HTTP status.
    public let status: Int
    /// What failed this time, with the value.
    public let detail: Sentence
    /// The field of the request that was not possible, where one was.
    public let field: String?
    /// The value that was not possible, as it was sent.
    public let value: String?
    /// What to do, where that is known and the detail does not say it.
    public let remedy: Sentence?
    /// When to try again, in seconds, where waiting helps. Also in the header `Retry-After`.
    public let retryAfterSeconds: Int?

    public init(
        kind: String, title: String, status: Int, detail: Sentence, field: String? = nil, value: String? = nil, remedy: Sentence? = nil,
        retryAfterSeconds: Int? = nil
    ) {
        self.type = Self.typePrefix + kind
        self.title = title
        self.status = status
        self.detail = detail
        self.field = field
        self.value = value
        self.remedy = remedy
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The last part of `type`.
    public var kind: String {
        type.hasPrefix(Self.typePrefix) ? String(type.dropFirst(Self.typePrefix.count)) : type
    }

    private static let typePrefix = "tag:punnet,2026:"
}
