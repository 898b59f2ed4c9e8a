import Glibc
import Hypervisor
import Logging

@testable import XenHypervisor

/// A folder of one test's own, removed with everything in it.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/punnet-disks-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("no folder can be made in /tmp") }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { Self.remove(path) }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = "\(path)/\(name)"
        guard let handle = fopen(file, "w") else { throw FileFailure.error("fopen", file) }
        defer { fclose(handle) }
        guard fwrite(bytes, 1, bytes.count, handle) == bytes.count else { throw FileFailure.error("fwrite", file) }
        return file
    }

    /// Writes other bytes into a file that is there, whatever its mode.
    func overwrite(_ file: String, _ bytes: [UInt8]) throws {
        chmod(file, 0o600)
        guard let handle = fopen(file, "r+") else { throw FileFailure.error("fopen", file) }
        defer { fclose(handle) }
        guard fwrite(bytes, 1, bytes.count, handle) == bytes.count else { throw FileFailure.error("fwrite", file) }
    }

    /// Runs qemu-img, as it is installed.
    func qemuImage(_ arguments: String...) async throws { try await Program.run("qemu-img", arguments) }

    /// All names below, folders left out.
    func files(in folder: String) throws -> [String] { try DiskFiles.names(in: "\(path)/\(folder)").sorted() }

    private static func remove(_ path: String) {
        if let names = try? DiskFiles.names(in: path) { for name in names { remove("\(path)/\(name)") } }
        if unlink(path) != 0 { rmdir(path) }
    }
}

/// A logger that says nothing.
let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
