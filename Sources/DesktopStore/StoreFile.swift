import GRDB
import Glibc

/// The database's file, its folder, and the copies beside it.
struct StoreFile: Sendable {
    let path: String

    /// Makes the folder (mode 0700) and the file (0600) where they are missing, and takes from others what they may do with the file.
    ///
    /// SQLite gives its journal the mode of the database.
    func prepare() throws(StoreError) {
        let slash = path.lastIndex(of: "/")
        if let slash, slash != path.startIndex {
            let folder = String(path[..<slash])
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else { throw failure("mkdir", folder) }
        }
        try makePrivate(path)
    }

    /// Writes a consistent copy of the database, as it is now, to `<path>.before-<migration>`: whole or not at all.
    func keepCopy(of writer: some DatabaseWriter, before migration: String) throws {
        let copy = path + ".before-" + migration
        let next = copy + ".new"
        guard unlink(next) == 0 || errno == ENOENT else { throw failure("unlink", next) }
        try makePrivate(next)
        do {
            try writer.vacuum(into: next)
            try synchronize(next)
            guard rename(next, copy) == 0 else { throw failure("rename", copy) }
        } catch {
            unlink(next)
            throw error
        }
        try synchronize(copy.lastIndex(of: "/").map { String(copy[...$0]) } ?? ".")
    }

    /// Whether the file system has no block left.
    var isOnFullDisk: Bool {
        var facts = statvfs()
        return statvfs(path, &facts) == 0 && facts.f_bavail == 0
    }

    private func makePrivate(_ path: String) throws(StoreError) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("open", path) }
        defer { close(file) }
        guard fchmod(file, 0o600) == 0 else { throw failure("fchmod", path) }
    }

    private func synchronize(_ path: String) throws(StoreError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure("open", path) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw failure("fsync", path) }
    }

    private func failure(_ call: String, _ path: String) -> StoreError {
        let code = errno
        if code == ENOSPC { return .fullDisk(path: path) }
        return .file(path: path, call: call, errno: code, reason: String(cString: strerror(code)))
    }
}
