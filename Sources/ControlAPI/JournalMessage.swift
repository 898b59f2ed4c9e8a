/// `GET /api/v1/journal`: what somebody did, as the journal keeps it.
public struct JournalMessage: Hashable, Sendable, Codable {
    /// Counts up, without an end.
    public let id: Int64
    public let at: Moment
    /// The person's name, with the name of the token where it was a program; or the account on the server.
    public let who: String
    /// The address that it came from, or `server`.
    public let origin: String
    /// One word, such as `lab-change`.
    public let action: String
    /// What it was done to.
    public let subject: String
    public let detail: String

    public init(id: Int64, at: Moment, who: String, origin: String, action: String, subject: String, detail: String) {
        self.id = id
        self.at = at
        self.who = who
        self.origin = origin
        self.action = action
        self.subject = subject
        self.detail = detail
    }
}
