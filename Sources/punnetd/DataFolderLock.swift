import Glibc

/// The one daemon that works in a data folder: two would each destroy what the other vouches for.
///
/// Held while it lives; the kernel lets go of it when the process ends, however it ends. It is a lock of the process, not of the open file:
/// what libxl forked to start a domain's disk server may outlive a killed daemon, with all of its files, and must not keep out the next one.
final class DataFolderLock: Sendable {
    private let file: Int32

    init(_ path: String) throws {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw DataFolderLockError(path: path, reason: String(cString: strerror(errno))) }
        var whole = flock()
        whole.l_type = Int16(F_WRLCK)
        whole.l_whence = Int16(SEEK_SET)
        guard fcntl(file, F_SETLK, &whole) == 0 else {
            let reason = errno == EACCES || errno == EAGAIN ? "another punnetd works there; stop it first" : String(cString: strerror(errno))
            close(file)
            throw DataFolderLockError(path: path, reason: reason)
        }
    }

    deinit { close(file) }
}

struct DataFolderLockError: Error, CustomStringConvertible {
    let path: String
    let reason: String
    var description: String { "'\(path)' cannot be locked: \(reason)" }
}
