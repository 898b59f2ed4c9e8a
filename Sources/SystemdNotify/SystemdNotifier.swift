import Glibc

/// Tells systemd how the process is, by datagrams to the socket that it names in the environment.
///
/// Without such a socket nothing happens, so it can be called everywhere. A word that cannot be delivered is dropped: systemd's own
/// deadlines are the net. Does not block; any thread.
/// - SeeAlso: sd_notify(3)
public struct SystemdNotifier: Sendable {
    private let path: String?

    /// A notifier to the given socket; by default to the one that systemd named when it started the process.
    public init(socket path: String? = getenv("NOTIFY_SOCKET").map { String(cString: $0) }) {
        self.path = path
    }

    /// The process does what it is there for.
    public func ready() { send("READY=1") }

    /// The process has begun to stop.
    public func stopping() { send("STOPPING=1") }

    /// One line for people, shown by `systemctl status`.
    public func status(_ line: String) {
        send("STATUS=" + line.split(separator: "\n", omittingEmptySubsequences: true).joined(separator: " "))
    }

    private func send(_ word: String) {
        guard let path, path.hasPrefix("/") || path.hasPrefix("@") else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // A name that begins with @ lives in no file system: its first byte is 0.
        var name = Array(path.utf8)
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard name.count < room else { return }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let size = MemoryLayout<sockaddr_un>.size - room + name.count

        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(word.utf8)
        _ = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, socklen_t(size))
            }
        }
    }
}
