import DesktopModel
import Glibc
import Hypervisor
import Synchronization

/// A store whose images and overlays are files in two folders of this machine.
public final class FileDiskRig: DiskRig {
    public let disks: any DiskStore
    public let blank: String
    private let folders: (images: String, desktops: String, work: String)
    private let golden: String
    private let given = Mutex(0)
    /// The image that `blank` belongs to.
    private static let own = "contract"
    /// The files of images that are none of the checks'.
    private let others: Set<String>

    /// - Parameters:
    ///   - work: A folder for the givers' files, which is there.
    ///   - golden: A small qcow2 disk without a backing file.
    public init(_ disks: any DiskStore, images: String, desktops: String, work: String, golden: String) async throws {
        self.disks = disks
        folders = (images, desktops, work)
        self.golden = golden
        try await disks.removeImage(Self.own, version: 1)
        others = try Self.names(in: images)
        let kernel = "\(work)/own.kernel"
        try Self.write([1], to: kernel)
        defer { unlink(kernel) }
        let image = ImageFiles(disk: golden, kernel: kernel, ramdisk: kernel, diskChecksum: nil)
        blank = try await disks.takeIn(image, as: Self.own, version: 1) { _, _ in }.blankOverlay
    }

    public func given() async throws -> ImageFiles {
        let number = given.withLock { number in
            number += 1
            return number
        }
        let stem = "\(folders.work)/given-\(number)"
        let image = ImageFiles(disk: "\(stem).qcow2", kernel: "\(stem).kernel", ramdisk: "\(stem).ramdisk", diskChecksum: nil)
        guard let bytes = try Self.read(golden) else { throw Broken("'\(golden)' is gone") }
        try Self.write(bytes, to: image.disk)
        try Self.write([1, 2, 3], to: image.kernel)
        try Self.write([4, 5], to: image.ramdisk)
        return image
    }

    public func remove(_ path: String) throws {
        guard unlink(path) == 0 else { throw Broken("'\(path)' cannot be removed: \(errno)") }
    }

    public func spoil(_ path: String) throws {
        try Self.write(Array("json:{\"file.filename\":\"/etc/shadow\"}".utf8) + [UInt8](repeating: 0, count: 600), to: path)
    }

    public func putMemory(at path: String) throws { try Self.write([UInt8](repeating: 0x4d, count: 4096), to: path) }

    public func content(of path: String) throws -> String? {
        guard let bytes = try Self.read(path) else { return nil }
        // FNV-1a.
        let hash = bytes.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        return "\(bytes.count) bytes, \(String(hash, radix: 16))"
    }

    public func write(into path: String) throws { try Self.write([UInt8](repeating: 0xa5, count: 1 << 20), to: path, mode: "a") }

    public func addStray(_ name: String) throws { try Self.write([1], to: "\(folders.desktops)/\(name)") }

    /// A file system of 64 KiB lies over the folder meanwhile: that needs root.
    public func whileFull(_ body: () async throws -> Void) async throws {
        guard mount("punnet-contract", folders.desktops, "tmpfs", 0, "size=64k") == 0 else {
            throw Broken("nothing can be mounted over '\(folders.desktops)': \(errno)")
        }
        defer { umount2(folders.desktops, Int32(MNT_DETACH)) }
        try await body()
    }

    public func imageFiles() throws -> Set<String> { try Self.names(in: folders.images) }

    public func sweep() async throws {
        for checkpoint in try await disks.checkpoints() { try await disks.removeCheckpoint(checkpoint) }
        for overlay in try await disks.overlays() { try await disks.removeOverlay(overlay) }
        for name in try Self.names(in: folders.desktops) { try remove("\(folders.desktops)/\(name)") }
        for name in try Self.names(in: folders.work) where name.hasPrefix("given-") { try remove("\(folders.work)/\(name)") }
        for name in try imageFiles().subtracting(others) where name.hasSuffix(".blank.qcow2") {
            let parts = name.dropLast(".blank.qcow2".count).split(separator: "-")
            guard parts.count == 2, parts[0] != Self.own, let version = Int(parts[1]) else { continue }
            try await disks.removeImage(String(parts[0]), version: version)
        }
    }

    /// Removes the rig's own image, after the last check.
    public func close() async throws { try await disks.removeImage(Self.own, version: 1) }

    // MARK: - Files

    private static func read(_ path: String) throws -> [UInt8]? {
        guard let file = fopen(path, "r") else {
            guard errno == ENOENT else { throw Broken("'\(path)' cannot be read: \(errno)") }
            return nil
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = fread(&block, 1, block.count, file)
            if got == 0 { return bytes }
            bytes.append(contentsOf: block[..<got])
        }
    }

    private static func write(_ bytes: [UInt8], to path: String, mode: String = "w") throws {
        guard let file = fopen(path, mode) else { throw Broken("'\(path)' cannot be opened: \(errno)") }
        defer { fclose(file) }
        guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Broken("'\(path)' cannot be written: \(errno)") }
    }

    private static func names(in folder: String) throws -> Set<String> {
        guard let handle = opendir(folder) else { throw Broken("'\(folder)' cannot be read: \(errno)") }
        defer { closedir(handle) }
        var names: Set<String> = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.insert(name) }
        }
        return names
    }
}
