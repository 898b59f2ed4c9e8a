import Glibc

/// Small files that must be there whole or not at all, also after a crash.
enum KeptFile {
    /// The text of a file of at most 64 KiB; nil where there is none.
    static func read(_ path: String) throws(IdentityError) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("open", path)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = Glibc.read(file, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path) }
            guard count > 0 else { break }
            bytes += piece.prefix(count)
            guard bytes.count <= 64 << 10 else { throw .unreadable(path: path, detail: "it is larger than 64 KiB") }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes a new file beside the old one, waits for the disk, and puts it in the old one's place.
    static func write(_ text: String, to path: String, mode: mode_t) throws(IdentityError) {
        let next = path + ".new"
        guard unlink(next) == 0 || errno == ENOENT else { throw failure("unlink", next) }
        let file = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw failure("open", next) }
        do throws(IdentityError) {
            defer { close(file) }
            guard fchmod(file, mode) == 0 else { throw failure("fchmod", next) }
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw failure("write", next) }
                rest = rest.dropFirst(count)
            }
            guard fsync(file) == 0 else { throw failure("fsync", next) }
        } catch {
            unlink(next)
            throw error
        }
        guard rename(next, path) == 0 else { throw failure("rename", path) }
        try synchronize(folderOf: path)
    }

    /// Removes a file for good; that there is none is no error.
    static func remove(_ path: String) throws(IdentityError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("unlink", path) }
        try synchronize(folderOf: path)
    }

    /// Refuses a file whose group or others may do anything with it.
    static func refuseExposed(_ path: String) throws(IdentityError) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { throw failure("stat", path) }
        guard facts.st_mode & 0o077 == 0 else { throw .keyExposed(path: path, mode: facts.st_mode & 0o777) }
    }

    private static func synchronize(folderOf path: String) throws(IdentityError) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw failure("open", folder) }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw failure("fsync", folder) }
    }

    private static func failure(_ call: String, _ path: String) -> IdentityError {
        let code = errno
        return .file(path: path, call: call, errno: code, reason: String(cString: strerror(code)))
    }
}
