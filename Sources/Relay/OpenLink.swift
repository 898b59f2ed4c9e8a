/// A connection that the relay holds open between a seat and a desktop.
public struct OpenLink: Hashable, Sendable {
    public let link: LinkID
    /// The number of the session it belongs to.
    public let session: Int64
    /// When it was opened, in seconds since 1970, UTC.
    public let since: Int64

    public init(link: LinkID, session: Int64, since: Int64) {
        self.link = link
        self.session = session
        self.since = since
    }
}
