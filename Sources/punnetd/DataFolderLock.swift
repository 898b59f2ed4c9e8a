import Glibc

/// The one daemon that works in a data folder: two would each destroy what the other vouches for.
///
/// Held while it lives; the kernel lets go of it when the process ends, however it ends.
final class DataFolderLock: Sendable {
    private let file: Int32

    init(_ path: String) throws {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw DataFolderLockError(path: path, reason: String(cString: strerror(errno))) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw DataFolderLockError(path: path, reason: "another punnetd works there; stop it first")
        }
    }

    deinit { close(file) }
}

struct DataFolderLockError: Error, CustomStringConvertible {
    let path: String
    let reason: String
    var description: String { "'\(path)' cannot be locked: \(reason)" }
}
