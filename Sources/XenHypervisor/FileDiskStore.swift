import DesktopModel
import Glibc
import Hypervisor
import Identity
import Libvirt
import Logging
import Synchronization

/// Overlays and golden disks as files in the data folder; blank overlays are made by libvirt's storage pool.
///
/// Everything is readable by root only. Golden disks are written once and never changed. Files outlive the process; a copy that a crash cut
/// short lies under a hidden name and is swept away when the same version is taken in or removed.
public final class FileDiskStore: DiskStore {
    /// Who makes an image's blank overlay.
    public enum OverlayMaker: Hashable, Sendable {
        /// libvirt's storage pool of this name, over the images folder; it then also shows up in virsh.
        case storagePool(uri: String, name: String)
        /// qemu-img, where libvirt cannot run.
        case qemuImg
    }

    /// Where things are; absolute paths.
    public struct Settings: Hashable, Sendable {
        public var images: String
        public var desktops: String
        public var checkpoints: String
        public var overlayMaker: OverlayMaker

        public init(
            images: String, desktops: String, checkpoints: String,
            overlayMaker: OverlayMaker = .storagePool(uri: "storage:///system", name: "punnet-images")
        ) {
            self.images = images
            self.desktops = desktops
            self.checkpoints = checkpoints
            self.overlayMaker = overlayMaker
        }
    }

    private let settings: Settings
    private let logger: Logger
    /// Overlays are small and must not wait while a golden disk is copied.
    private let overlayLane = BlockingLane("disks.overlays")
    private let imageLane = BlockingLane("disks.images")
    /// Versions that are being taken in: two at once would sweep away each other's files.
    private let takingIn = Mutex<Set<String>>([])

    /// Makes the folders, where they are missing.
    public init(_ settings: Settings, logger: Logger) throws(HypervisorError) {
        self.settings = settings
        self.logger = logger
        try DiskFiles.makeFolder(settings.images)
        try DiskFiles.makeFolder(settings.desktops)
        try DiskFiles.makeFolder(settings.checkpoints)
    }

    public func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String {
        _ = try await backingFile(of: blank)
        if let files = VersionFiles(blank: blank, in: settings.images) { try await requireUnchanged(files) }
        return try await lay(blank, for: overlay)
    }

    public func layOverlay(over checkpoint: CheckpointID, for overlay: OverlayName) async throws(HypervisorError) -> String {
        let files = CheckpointFiles(checkpoint, in: settings.checkpoints)
        for path in files.golden where access(path, R_OK) != 0 { throw .spoiltCheckpoint(path: path) }
        guard let golden = try await backingFile(of: files.disk), let image = VersionFiles(disk: golden, in: settings.images) else {
            throw .spoiltCheckpoint(path: files.disk)
        }
        try await requireUnchanged(image)
        do throws(HypervisorError) {
            try await requireUnchanged(files)
        } catch {
            switch error {
            case .changedFile(let path), .missingFile(let path): throw .spoiltCheckpoint(path: path)
            default: throw error
            }
        }
        return try await lay(files.blank, for: overlay)
    }

    /// The disk that a disk lies over, which is there; nil where it lies over none.
    private func backingFile(of path: String) async throws(HypervisorError) -> String? {
        try await overlayLane.run { () throws(HypervisorError) in
            // QEMU would find out only when the domain is built, and say less.
            guard let below = try QcowHeader.backingFile(of: path) else { return nil }
            guard access(below, R_OK) == 0 else { throw .missingFile(path: below) }
            return below
        }
    }

    private func lay(_ blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String {
        let target = path(of: overlay)
        // Not synced: after a power cut no domain is left that could use it, and it is swept away with the other overlays.
        try await overlayLane.run { () throws(HypervisorError) in _ = try DiskFiles.copy(blank, to: target, durably: false) }
        return target
    }

    public func removeOverlay(_ overlay: OverlayName) async throws(HypervisorError) {
        let target = path(of: overlay)
        try await overlayLane.run { () throws(HypervisorError) in try DiskFiles.remove(target) }
    }

    public func overlays() async throws(HypervisorError) -> [OverlayName] {
        let folder = settings.desktops
        return try await overlayLane.run { () throws(HypervisorError) in
            try DiskFiles.names(in: folder).compactMap { OverlayName(fileName: $0) }
        }
    }

    public func beginCheckpoint(_ id: CheckpointID) async throws(HypervisorError) -> String {
        let files = CheckpointFiles(id, in: settings.checkpoints)
        try await imageLane.run { () throws(HypervisorError) in
            try DiskFiles.removeFolder(files.folder)
            try DiskFiles.makeFolder(files.folder)
        }
        return files.memory
    }

    public func sealCheckpoint(_ id: CheckpointID, from overlay: OverlayName) async throws(HypervisorError) {
        let files = CheckpointFiles(id, in: settings.checkpoints)
        let source = path(of: overlay)
        try await imageLane.run { () throws(HypervisorError) in
            for path in [files.memory, source] { _ = try DiskFiles.size(of: path) }
            try DiskFiles.rename(source, to: files.disk)
        }
        try await Program.run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", files.disk, "-F", "qcow2", files.blank])
        try await imageLane.run { () throws(HypervisorError) in
            var lines = ""
            for path in files.golden {
                guard chmod(path, 0o400) == 0 else { throw FileFailure.error("chmod", path) }
                try DiskFiles.sync(path)
            }
            for path in files.golden { lines += "\(Hex.text(of: try DiskFiles.checksum(of: path)))  \(fileName(path))\n" }
            try DiskFiles.replace(files.sums, with: lines, mode: 0o400)
            try DiskFiles.replace(files.seen, with: try files.appearance(), mode: 0o400)
            try DiskFiles.syncFolder(files.folder)
        }
    }

    public func memory(of checkpoint: CheckpointID) -> String { CheckpointFiles(checkpoint, in: settings.checkpoints).memory }

    public func removeCheckpoint(_ id: CheckpointID) async throws(HypervisorError) {
        let files = CheckpointFiles(id, in: settings.checkpoints)
        try await imageLane.run { () throws(HypervisorError) in try DiskFiles.removeFolder(files.folder) }
    }

    public func checkpoints() async throws(HypervisorError) -> [CheckpointID] {
        let folder = settings.checkpoints
        return try await imageLane.run { () throws(HypervisorError) in
            try DiskFiles.names(in: folder).compactMap { name in
                UInt32(name).flatMap { String($0) == name ? CheckpointID(rawValue: $0) : nil }
            }
        }
    }

    public func space() async throws(HypervisorError) -> DiskSpace {
        let folder = settings.desktops
        return try await overlayLane.run { () throws(HypervisorError) in
            var status = statvfs()
            guard statvfs(folder, &status) == 0 else { throw FileFailure.error("statvfs", folder) }
            let block = Int64(status.f_frsize)
            let overlays = try DiskFiles.names(in: folder).filter { OverlayName(fileName: $0) != nil }
            return DiskSpace(
                total: ByteCount(rawValue: Int64(status.f_blocks) * block), free: ByteCount(rawValue: Int64(status.f_bavail) * block),
                overlays: overlays.reduce(.zero) { $0 + DiskFiles.allocated("\(folder)/\($1)") })
        }
    }

    /// As `DiskStore` says; a version whose files are there is an error (`alreadyExists`): remove it first.
    public func takeIn(
        _ image: ImageFiles, as name: String, version: Int, progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> StoredImage {
        let files = try VersionFiles(folder: settings.images, image: name, version: version)
        guard takingIn.withLock({ $0.insert(files.blank).inserted }) else { throw .alreadyExists(name: files.blank) }
        defer { takingIn.withLock { _ = $0.remove(files.blank) } }
        for path in files.finished where access(path, F_OK) == 0 { throw .alreadyExists(name: path) }
        try await sweep(files.partial)
        do throws(HypervisorError) {
            let header = try QcowHeader(untrusted: try DiskFiles.head(of: image.disk, count: QcowHeader.length), path: image.disk)
            let sums = try await copy(image, files, progress)
            let checksum = sums.disk
            // Read again from the copy: the giver's file may have been changed since, ours cannot be.
            let copied = try QcowHeader(untrusted: try DiskFiles.head(of: files.partialDisk, count: QcowHeader.length), path: image.disk)
            guard copied == header else { throw .failed(call: "copy(\(image.disk))", code: 0, detail: "it changed while it was copied") }
            try await Program.run("qemu-img", ["info", "-f", "qcow2", files.partialDisk])
            guard !Task.isCancelled else { throw .stopped(image.disk) }
            try await publish(files, sums)
            try await makeBlankOverlay(files, size: copied.diskSize)
            logger.notice("image taken in", metadata: ["image": "\(name)", "version": "\(version)", "sha256": "\(checksum)"])
            return StoredImage(
                disk: files.disk, kernel: files.kernel, ramdisk: files.ramdisk, blankOverlay: files.blank, checksum: checksum,
                diskSize: ByteCount(rawValue: copied.diskSize))
        } catch {
            // What was there before this call is not: it was refused above.
            do { try await sweep(files.partial + files.finished) } catch {
                logger.error("remains of a failed image not removed", metadata: ["image": "\(name)", "error": "\(error)"])
            }
            throw error
        }
    }

    public func removeImage(_ name: String, version: Int) async throws(HypervisorError) {
        let files = try VersionFiles(folder: settings.images, image: name, version: version)
        try await sweep(files.finished + files.partial)
    }

    // MARK: - Taking in

    /// Copies the three files under hidden names and gives their checksums.
    private func copy(
        _ image: ImageFiles, _ files: VersionFiles, _ progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> Checksums {
        let sizes = (try DiskFiles.size(of: image.disk), try DiskFiles.size(of: image.kernel), try DiskFiles.size(of: image.ramdisk))
        let total = ByteCount(rawValue: sizes.0 + sizes.1 + sizes.2)
        if try await space().free < total { throw .outOfDisk(path: settings.images) }
        let (copied, teller) = AsyncStream.makeStream(of: ByteCount.self, bufferingPolicy: .bufferingNewest(1))
        let stop = StopSign()
        let found = try await withTaskCancellationHandler { () -> Result<Checksums, HypervisorError> in
            async let checksums: Result<Checksums, HypervisorError> = imageLane.run { () -> Result<Checksums, HypervisorError> in
                defer { teller.finish() }
                do throws(HypervisorError) {
                    func copy(_ source: String, _ target: String, after before: Int64) throws(HypervisorError) -> String {
                        let sum = try DiskFiles.copy(source, to: target, durably: true, hashing: true) { copied throws(HypervisorError) in
                            if stop.isAsked { throw .stopped(source) }
                            teller.yield(ByteCount(rawValue: before + copied))
                        }
                        return Hex.text(of: sum ?? [])
                    }
                    let kernel = try copy(image.kernel, files.partialKernel, after: 0)
                    let ramdisk = try copy(image.ramdisk, files.partialRamdisk, after: sizes.1)
                    let disk = try copy(image.disk, files.partialDisk, after: sizes.1 + sizes.2)
                    return .success(Checksums(disk: disk, kernel: kernel, ramdisk: ramdisk))
                } catch {
                    return .failure(error)
                }
            }
            for await bytes in copied { progress(bytes, total) }
            return await checksums
        } onCancel: {
            stop.ask()
        }.get()
        if let named = image.diskChecksum, named != found.disk {
            throw .failed(
                call: "sha256(\(image.disk))", code: 0,
                detail: "it is \(found.disk), not \(named): the file is damaged or another one, fetch it again")
        }
        return found
    }

    /// Gives the copied files their names, the disk's last, and keeps their checksums beside them, in the form that `sha256sum` checks.
    private func publish(_ files: VersionFiles, _ sums: Checksums) async throws(HypervisorError) {
        let folder = settings.images
        try await imageLane.run { () throws(HypervisorError) in
            for (partial, finished) in files.pairs {
                guard chmod(partial, 0o400) == 0 else { throw FileFailure.error("chmod", partial) }
                try DiskFiles.rename(partial, to: finished)
            }
            let lines = [(sums.disk, files.disk), (sums.kernel, files.kernel), (sums.ramdisk, files.ramdisk)]
            try DiskFiles.replace(files.sums, with: lines.map { "\($0)  \(fileName($1))\n" }.joined(), mode: 0o400)
            try DiskFiles.replace(files.seen, with: try files.appearance(), mode: 0o400)
            try DiskFiles.syncFolder(folder)
        }
    }

    // MARK: - Staying the same

    /// Sees that a version's files are those that were taken in.
    ///
    /// As long as they look as they did when they last were, their sizes, inodes and times of change, that is enough. Otherwise they are read:
    /// minutes for a large disk.
    private func requireUnchanged(_ files: some SealedFiles) async throws(HypervisorError) {
        if try await overlayLane.run({ () throws(HypervisorError) in try files.lookAsSeen() }) { return }
        let logger = logger
        try await imageLane.run { () throws(HypervisorError) in
            // Another desktop's turn may have come first.
            if try files.lookAsSeen() { return }
            let before = try files.appearance()
            guard let known = try DiskFiles.text(of: files.sums) else { throw .missingFile(path: files.sums) }
            let lines = Set(known.split(separator: "\n").map(String.init))
            for path in files.golden {
                guard lines.contains("\(Hex.text(of: try DiskFiles.checksum(of: path)))  \(fileName(path))") else { throw .changedFile(path: path) }
            }
            try DiskFiles.replace(files.seen, with: before, mode: 0o400)
            logger.notice("files were read again, and are what they were", metadata: ["disk": "\(files.disk)"])
        }
    }

    private func makeBlankOverlay(_ files: VersionFiles, size: Int64) async throws(HypervisorError) {
        switch settings.overlayMaker {
        case .qemuImg:
            try await Program.run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", files.disk, "-F", "qcow2", files.blank])
        case .storagePool(let uri, let poolName):
            let folder = settings.images
            let name = files.blankName
            let disk = files.disk
            try await imageLane.run { () throws(HypervisorError) in
                do throws(LibvirtError) {
                    let connection = try LibvirtConnection(uri)
                    let pool = try Self.pool(poolName, folder, connection)
                    try pool.refresh()
                    if let left = try pool.volume(named: name) { try left.delete() }
                    _ = try pool.createOverlay(named: name, over: disk, capacity: size)
                } catch {
                    throw HypervisorError(error)
                }
            }
        }
        let (folder, blank) = (settings.images, files.blank)
        try await imageLane.run { () throws(HypervisorError) in
            // A pool of that name that lies elsewhere would have made it there.
            _ = try DiskFiles.size(of: blank)
            guard chmod(blank, 0o400) == 0 else { throw FileFailure.error("chmod", blank) }
            try DiskFiles.sync(blank)
            try DiskFiles.syncFolder(folder)
        }
    }

    private static func pool(_ name: String, _ folder: String, _ connection: LibvirtConnection) throws(LibvirtError) -> StoragePool {
        let pool: StoragePool
        if let found = try connection.storagePool(named: name) {
            pool = found
        } else {
            pool = try connection.defineFolderPool(named: name, folder: folder)
            try pool.setStartsByItself(true)
        }
        if try !pool.isActive { try pool.start() }
        return pool
    }

    private func sweep(_ paths: [String]) async throws(HypervisorError) {
        try await imageLane.run { () throws(HypervisorError) in for path in paths { try DiskFiles.remove(path) } }
    }

    private func path(of overlay: OverlayName) -> String { "\(settings.desktops)/\(overlay.fileName)" }
}

/// SHA-256 of each file of a version, lower-case hexadecimal.
private struct Checksums: Sendable {
    let disk, kernel, ramdisk: String
}

private func fileName(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }

/// Files that never change once they are finished, with what proves that they did not.
private protocol SealedFiles: Hashable, Sendable {
    var disk: String { get }
    /// What a desktop is made from, beside its overlay.
    var golden: [String] { get }
    /// Their checksums, in the form that `sha256sum` checks; and how they looked when they were last known to have them.
    var sums: String { get }
    var seen: String { get }
}

extension SealedFiles {
    /// How the golden files look from outside: what cannot stay the same when one is written or put in another's place.
    func appearance() throws(HypervisorError) -> String {
        var lines = ""
        for path in golden { lines += "\(fileName(path)) \(try DiskFiles.appearance(of: path))\n" }
        return lines
    }

    func lookAsSeen() throws(HypervisorError) -> Bool { try DiskFiles.text(of: seen) == (try appearance()) }
}

/// The files of one checkpoint, in a folder of its own.
private struct CheckpointFiles: SealedFiles {
    let folder, disk, memory, blank, sums, seen: String

    init(_ id: CheckpointID, in checkpoints: String) {
        folder = "\(checkpoints)/\(id)"
        disk = folder + "/disk.qcow2"
        memory = folder + "/memory"
        blank = folder + "/blank.qcow2"
        sums = folder + "/sha256"
        seen = folder + "/seen"
    }

    var golden: [String] { [disk, memory, blank] }
}

/// The names of one version's files, finished and in the making.
private struct VersionFiles: SealedFiles {
    let disk, kernel, ramdisk, blank: String
    /// The checksums of disk, kernel and ramdisk, and how these looked when they were last known to have them.
    let sums, seen: String
    let partialDisk, partialKernel, partialRamdisk: String
    let blankName: String

    init(folder: String, image: String, version: Int) throws(HypervisorError) {
        let letters = image.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        guard letters, !image.isEmpty, image.utf8.count <= 64, version > 0 else {
            throw .failed(
                call: "takeIn", code: 0,
                detail: "'\(image)' version \(version) is no name: lower-case letters, digits, hyphens, at most 64, and a version from 1")
        }
        self.init(folder: folder, stem: "\(image)-\(version)")
    }

    /// The version whose blank overlay it is; nil for a file of another name or in another folder.
    init?(blank: String, in folder: String) {
        guard blank.hasPrefix(folder + "/"), blank.hasSuffix(Self.blankEnd) else { return nil }
        self.init(folder: folder, stem: String(blank.dropFirst(folder.count + 1).dropLast(Self.blankEnd.count)))
    }

    /// The version whose golden disk it is; nil for a file of another name or in another folder.
    init?(disk: String, in folder: String) {
        guard disk.hasPrefix(folder + "/"), disk.hasSuffix(".qcow2"), !disk.hasSuffix(Self.blankEnd) else { return nil }
        self.init(folder: folder, stem: String(disk.dropFirst(folder.count + 1).dropLast(".qcow2".count)))
    }

    private static let blankEnd = ".blank.qcow2"

    private init(folder: String, stem: String) {
        disk = "\(folder)/\(stem).qcow2"
        kernel = "\(folder)/\(stem).kernel"
        ramdisk = "\(folder)/\(stem).ramdisk"
        blankName = stem + Self.blankEnd
        blank = "\(folder)/\(blankName)"
        sums = "\(folder)/\(stem).sha256"
        seen = "\(folder)/\(stem).seen"
        partialDisk = "\(folder)/.\(stem).qcow2.partial"
        partialKernel = "\(folder)/.\(stem).kernel.partial"
        partialRamdisk = "\(folder)/.\(stem).ramdisk.partial"
    }

    /// What a desktop is made from, beside its overlay.
    var golden: [String] { [disk, kernel, ramdisk] }

    var finished: [String] { [blank, disk, kernel, ramdisk, sums, seen] }
    var partial: [String] { [partialDisk, partialKernel, partialRamdisk, sums + ".new", seen + ".new"] }
    var pairs: [(String, String)] { [(partialKernel, kernel), (partialRamdisk, ramdisk), (partialDisk, disk)] }
}

extension HypervisorError {
    /// libvirt's error as the broker can act on it.
    init(_ error: LibvirtError) {
        self = error.cause == .unreachable
            ? .unavailable("libvirt: \(error). Is libvirtd running?")
            : .failed(call: error.call, code: Int(error.code), detail: error.message)
    }
}

/// Asks work on another thread to end.
private final class StopSign: Sendable {
    private let sign = Atomic(false)
    var isAsked: Bool { sign.load(ordering: .relaxed) }
    func ask() { sign.store(true, ordering: .relaxed) }
}
