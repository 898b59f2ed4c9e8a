import Glibc
import NIOCore

/// The place of the desk's socket in the file system.
package struct DeskSocket: Sendable {
    package let path: String

    package init(path: String) { self.path = path }

    /// Takes away what an ended process left at the path. Refuses what is no socket, and a socket at which somebody listens. Blocks.
    package func clear() throws(RelayError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT else { throw unusable() }
            return
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .socketUnusable(path: path, reason: "something lies there that is no socket")
        }
        guard try !isListenedAt() else { throw .socketTaken(path: path) }
        guard unlink(path) == 0 || errno == ENOENT else { throw unusable() }
    }

    /// Lets the owner and the group connect, and nobody else. The kernel's word on who connects is asked besides.
    package func restrict(toGroup group: UInt32?) throws(RelayError) {
        if let group, chown(path, uid_t.max, group) != 0 { throw unusable() }
        guard chmod(path, 0o660) == 0 else { throw unusable() }
    }

    /// Takes the socket's file away, where it is there.
    package func remove() { unlink(path) }

    private func isListenedAt() throws(RelayError) -> Bool {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw unusable() }
        defer { close(descriptor) }
        let address: SocketAddress
        do {
            address = try SocketAddress(unixDomainSocketPath: path)
        } catch {
            throw .socketUnusable(path: path, reason: "the path is too long for a socket")
        }
        return address.withSockAddr { pointer, size in
            connect(descriptor, pointer, socklen_t(size)) == 0 || errno == EAGAIN
        }
    }

    private func unusable() -> RelayError {
        .socketUnusable(path: path, reason: String(cString: strerror(errno)))
    }
}
