import Glibc
import NIOCore
import NIOPosix

/// Who is at the other end of a Unix socket, as the kernel noted it when the connection was made.
struct PeerCredentials: Hashable, Sendable {
    let process: pid_t
    let user: uid_t
    let group: gid_t

    /// Whether the peer may administer: it is root, or a member of the group by its own group or by the system's databases.
    ///
    /// Reads the databases, which may block: not on an event loop.
    func mayAdminister(group name: String) -> Bool {
        if user == 0 { return true }
        guard let administrators = groupID(name) else { return false }
        return group == administrators || groups(of: user).contains(administrators)
    }

    /// The peer's account by its name, by its number where it has none.
    func account() async throws -> String {
        try await NIOThreadPool.singleton.runIfActive { name(of: user) ?? "\(user)" }
    }

    /// Reads the credentials of a connection.
    static func read(_ channel: any Channel) -> EventLoopFuture<PeerCredentials> {
        guard let provider = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        let record: EventLoopFuture<Record> = provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return record.map { PeerCredentials(process: $0.process, user: $0.user, group: $0.group) }
    }

    /// The kernel's `struct ucred`, which Glibc's module leaves out.
    private struct Record: Sendable {
        var process: pid_t
        var user: uid_t
        var group: gid_t
    }
}

private func name(of user: uid_t) -> String? {
    var record = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 65_536)
    guard getpwuid_r(user, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
    return String(cString: record.pw_name)
}

private func groups(of user: uid_t) -> [gid_t] {
    var record = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 65_536)
    guard getpwuid_r(user, &record, &buffer, buffer.count, &found) == 0, found != nil else { return [] }
    var groups = [gid_t](repeating: 0, count: 256)
    var count = Int32(groups.count)
    // More groups than fit: the list is then cut, which at worst refuses.
    _ = getgrouplist(record.pw_name, record.pw_gid, &groups, &count)
    return Array(groups.prefix(min(Int(count), groups.count)))
}
