import Glibc

/// A user of this system, looked up by name.
public struct SystemUser: Hashable, Sendable {
    public let id: UInt32
    /// The user's own group.
    public let group: UInt32

    /// The user of the name; nil where there is none. Reads the system's user database, so it may block; any thread.
    public init?(named name: String) {
        var record = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var texts = [CChar](repeating: 0, count: 4096)
        guard getpwnam_r(name, &record, &texts, texts.count, &found) == 0, found != nil else { return nil }
        id = record.pw_uid
        group = record.pw_gid
    }

    /// The user that this process runs as.
    public static var current: SystemUser { SystemUser(id: geteuid(), group: getegid()) }

    private init(id: UInt32, group: UInt32) {
        self.id = id
        self.group = group
    }
}
