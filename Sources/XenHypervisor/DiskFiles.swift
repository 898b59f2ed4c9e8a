import DesktopModel
import Glibc
import Hypervisor
import Identity

/// Plain files, done so that a crash leaves either the whole file under its name or none.
enum DiskFiles {
    private static let block = 1 << 20

    /// Copies a file to a new one, for its owner only, and gives the SHA-256 of what was copied where it is asked for.
    ///
    /// A file that is already there stays as it is (`alreadyExists`); on any other failure the new one is removed. What `progress` throws, with the
    /// bytes copied so far, ends it.
    @discardableResult
    static func copy(
        _ source: String, to target: String, durably: Bool, hashing: Bool = false,
        progress: (Int64) throws(HypervisorError) -> Void = { _ throws(HypervisorError) in }
    ) throws(HypervisorError) -> [UInt8]? {
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw FileFailure.error("open", source) }
        defer { close(input) }
        try requireRegularFile(input, source)
        let output = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw FileFailure.error("open", target) }
        defer { close(output) }
        do throws(HypervisorError) {
            let sum = try pump(input, source, output, target, hashing, progress)
            if durably, fsync(output) != 0 { throw FileFailure.error("fsync", target) }
            return sum
        } catch {
            unlink(target)
            throw error
        }
    }

    /// Removes a file; one that is gone is no error.
    static func remove(_ path: String) throws(HypervisorError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw FileFailure.error("unlink", path) }
    }

    /// Gives a finished file its name, unless the name is taken.
    static func rename(_ old: String, to new: String) throws(HypervisorError) {
        guard link(old, new) == 0 else { throw FileFailure.error("link", new) }
        try remove(old)
    }

    /// What a file takes of its file system; nothing where it is gone.
    static func allocated(_ path: String) -> ByteCount {
        var status = stat()
        guard stat(path, &status) == 0 else { return .zero }
        return ByteCount(rawValue: Int64(status.st_blocks) * 512)
    }

    /// Makes names in a folder survive a power cut.
    static func syncFolder(_ folder: String) throws(HypervisorError) {
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw FileFailure.error("open", folder) }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw FileFailure.error("fsync", folder) }
    }

    /// Makes a file's content survive a power cut.
    static func sync(_ path: String) throws(HypervisorError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileFailure.error("open", path) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw FileFailure.error("fsync", path) }
    }

    /// Makes a folder for its owner only, with those above it, unless it is there.
    static func makeFolder(_ folder: String) throws(HypervisorError) {
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/" + part
            guard mkdir(path, path == folder ? 0o700 : 0o755) == 0 || errno == EEXIST else { throw FileFailure.error("mkdir", path) }
        }
    }

    /// Removes a folder and the files in it. One that is gone is no error.
    static func removeFolder(_ folder: String) throws(HypervisorError) {
        let names: [String]
        do throws(HypervisorError) {
            names = try Self.names(in: folder)
        } catch {
            if case .missingFile = error { return }
            throw error
        }
        for name in names { try remove("\(folder)/\(name)") }
        guard rmdir(folder) == 0 || errno == ENOENT else { throw FileFailure.error("rmdir", folder) }
    }

    /// The names in a folder, without `.` and `..`.
    static func names(in folder: String) throws(HypervisorError) -> [String] {
        guard let handle = opendir(folder) else { throw FileFailure.error("opendir", folder) }
        defer { closedir(handle) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(handle) else {
                if errno != 0 { throw FileFailure.error("readdir", folder) }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    /// The size of a regular file, in bytes.
    static func size(of path: String) throws(HypervisorError) -> Int64 {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileFailure.error("stat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .failed(call: "stat(\(path))", code: 0, detail: "it is no regular file")
        }
        return Int64(status.st_size)
    }

    /// A regular file's inode, size and times of change, as text.
    static func appearance(of path: String) throws(HypervisorError) -> String {
        _ = try size(of: path)
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileFailure.error("stat", path) }
        let (written, changed) = (status.st_mtim, status.st_ctim)
        return "\(status.st_ino) \(status.st_size) \(written.tv_sec).\(written.tv_nsec) \(changed.tv_sec).\(changed.tv_nsec)"
    }

    /// A file's SHA-256, 32 bytes.
    static func checksum(of path: String) throws(HypervisorError) -> [UInt8] {
        let input = open(path, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw FileFailure.error("open", path) }
        defer { close(input) }
        var sum = SHA256Stream()
        try read(input, path) { bytes throws(HypervisorError) in sum.update(bytes) }
        return sum.finish()
    }

    /// The first bytes of a file, fewer where it is shorter.
    static func head(of path: String, count: Int) throws(HypervisorError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw FileFailure.error("open", path) }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: count)
        let got = pread(file, &bytes, count, 0)
        guard got >= 0 else { throw FileFailure.error("read", path) }
        return Array(bytes.prefix(got))
    }

    /// The last bytes of a regular file, and whether there are more before them.
    static func end(of path: String, count: Int) throws(HypervisorError) -> (bytes: [UInt8], isCut: Bool) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { throw FileFailure.error("open", path) }
        defer { close(file) }
        try requireRegularFile(file, path)
        return try end(of: file, path, count)
    }

    private static func end(of file: Int32, _ path: String, _ count: Int) throws(HypervisorError) -> (bytes: [UInt8], isCut: Bool) {
        let size = lseek(file, 0, SEEK_END)
        guard size >= 0 else { throw FileFailure.error("lseek", path) }
        var bytes = [UInt8](repeating: 0, count: min(count, Int(size)))
        let start = Int(size) - bytes.count
        let got = pread(file, &bytes, bytes.count, off_t(start))
        guard got >= 0 else { throw FileFailure.error("read", path) }
        return (Array(bytes.prefix(got)), start > 0)
    }

    /// Cuts a file to which another program appends back to its end, where it is larger than the bound; tells whether it was.
    ///
    /// What is appended in that very moment may be lost, or stand before older lines.
    static func cutBack(_ path: String, above bound: Int, to count: Int) throws(HypervisorError) -> Bool {
        guard try size(of: path) > bound else { return false }
        let file = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { throw FileFailure.error("open", path) }
        defer { close(file) }
        try requireRegularFile(file, path)
        let kept = try end(of: file, path, count).bytes
        guard ftruncate(file, 0) == 0 else { throw FileFailure.error("ftruncate", path) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: kept.count, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: kept)
        try writeAll(file, UnsafeRawBufferPointer(buffer), path)
        return true
    }

    /// Writes a small file under its name in one step, over what was there.
    static func replace(_ path: String, with text: String, mode: mode_t) throws(HypervisorError) {
        let partial = path + ".new"
        let file = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw FileFailure.error("open", partial) }
        defer { close(file) }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        defer { bytes.deallocate() }
        bytes.copyBytes(from: text.utf8)
        try writeAll(file, UnsafeRawBufferPointer(bytes), partial)
        guard fsync(file) == 0 else { throw FileFailure.error("fsync", partial) }
        guard Glibc.rename(partial, path) == 0 else { throw FileFailure.error("rename", path) }
    }

    /// A small file's text; nil where there is none.
    static func text(of path: String) throws(HypervisorError) -> String? {
        do throws(HypervisorError) {
            return String(decoding: try head(of: path, count: Int(try size(of: path))), as: UTF8.self)
        } catch {
            if case .missingFile = error { return nil }
            throw error
        }
    }

    private static func requireRegularFile(_ file: Int32, _ path: String) throws(HypervisorError) {
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileFailure.error("fstat", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .failed(call: "open(\(path))", code: 0, detail: "it is no regular file")
        }
    }

    private static func pump(
        _ input: Int32, _ source: String, _ output: Int32, _ target: String, _ hashing: Bool,
        _ progress: (Int64) throws(HypervisorError) -> Void
    ) throws(HypervisorError) -> [UInt8]? {
        var sum = SHA256Stream()
        var total: Int64 = 0
        try read(input, source) { bytes throws(HypervisorError) in
            if hashing { sum.update(bytes) }
            try writeAll(output, bytes, target)
            total += Int64(bytes.count)
            try progress(total)
        }
        return hashing ? sum.finish() : nil
    }

    /// Reads to the file's end, a block at a time.
    private static func read(
        _ input: Int32, _ path: String, _ take: (UnsafeRawBufferPointer) throws(HypervisorError) -> Void
    ) throws(HypervisorError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: block, alignment: 4096)
        defer { buffer.deallocate() }
        while true {
            let got = Glibc.read(input, buffer.baseAddress, block)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw FileFailure.error("read", path) }
            if got == 0 { return }
            try take(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
        }
    }

    private static func writeAll(_ output: Int32, _ bytes: UnsafeRawBufferPointer, _ path: String) throws(HypervisorError) {
        var rest = bytes
        while !rest.isEmpty {
            let written = write(output, rest.baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw FileFailure.error("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }
}
