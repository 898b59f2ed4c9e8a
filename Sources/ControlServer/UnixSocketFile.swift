import Glibc

/// The file of a Unix socket: how it comes to stand under its name, and how it goes.
///
/// The socket is bound beside its name, given its mode and group, and only then renamed: whoever finds it under its name finds it with the
/// right mode. A file left by a process that was killed is replaced; a living server's is not.
struct UnixSocketFile: Sendable {
    let path: String
    /// The group that may connect; where it does not exist, root alone may.
    let group: String

    private var temporary: String { path + ".new" }

    /// Looks whether the place may be taken, and gives the path to bind.
    func prepare() throws(ControlServerError) -> String {
        let limit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1
        guard temporary.utf8.count <= limit else { throw .socketPathTooLong(path: path, limit: limit - 4) }
        try yieldStale(path)
        try yieldStale(temporary)
        unlink(temporary)
        return temporary
    }

    /// Gives the bound socket its mode, its group and its name.
    func publish() throws(ControlServerError) -> PublishedSocket {
        var mode: mode_t = 0o600
        if let id = groupID(group) {
            guard chown(temporary, uid_t.max, id) == 0 else { throw refused("chown to group \(group)") }
            mode = 0o660
        }
        guard chmod(temporary, mode) == 0 else { throw refused("chmod") }
        var facts = stat()
        guard lstat(temporary, &facts) == 0 else { throw refused("stat") }
        guard rename(temporary, path) == 0 else { throw refused("rename") }
        return PublishedSocket(path: path, device: facts.st_dev, inode: facts.st_ino)
    }

    private func refused(_ call: String) -> ControlServerError {
        .cannotListen(on: path, reason: "\(call): \(String(cString: strerror(errno)))")
    }

    /// - Throws: where what stands there is no socket, or one on which somebody answers.
    private func yieldStale(_ path: String) throws(ControlServerError) {
        var facts = stat()
        guard lstat(path, &facts) == 0 else { return }
        guard facts.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path: path) }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { throw refused("socket") }
        defer { close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
        // A full queue of a living server answers EAGAIN; a file without a server, ECONNREFUSED.
        guard connected != 0, errno == ECONNREFUSED else { throw .socketInUse(path: path) }
    }
}

/// A socket's file that stands under its name, known by its inode so that only this very one is removed.
struct PublishedSocket: Sendable {
    let path: String
    let device: dev_t
    let inode: ino_t

    func remove() {
        var facts = stat()
        guard lstat(path, &facts) == 0, facts.st_dev == device, facts.st_ino == inode else { return }
        unlink(path)
    }
}

/// The group's number, or nil where there is no such group. Reads the system's databases: may block.
func groupID(_ name: String) -> gid_t? {
    var record = group()
    var found: UnsafeMutablePointer<group>?
    var buffer = [CChar](repeating: 0, count: 65_536)
    guard getgrnam_r(name, &record, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
    return record.gr_gid
}
