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
        public var overlayMaker: OverlayMaker

        public init(
            images: String, desktops: String, overlayMaker: OverlayMaker = .storagePool(uri: "storage:///system", name: "punnet-images")
        ) {
            self.images = images
            self.desktops = desktops
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
    }

    public func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String {
        let target = path(of: overlay)
        // Not synced: after a power cut no domain is left that could use it, and it is swept away with the other overlays.
        try await overlayLane.run { () throws(HypervisorError) in
            // QEMU would find out only when the domain is built, and say less.
            if let golden = try QcowHeader.backingFile(of: blank), access(golden, R_OK) != 0 { throw .missingFile(path: golden) }
            _ = try DiskFiles.copy(blank, to: target, durably: false)
        }
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
            let checksum = try await copy(image, files, progress)
            // Read again from the copy: the giver's file may have been changed since, ours cannot be.
            let copied = try QcowHeader(untrusted: try DiskFiles.head(of: files.partialDisk, count: QcowHeader.length), path: image.disk)
            guard copied == header else { throw .failed(call: "copy(\(image.disk))", code: 0, detail: "it changed while it was copied") }
            try await Program.run("qemu-img", ["info", "-f", "qcow2", files.partialDisk])
            try await publish(files)
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

    /// Copies the three files under hidden names and gives the disk's checksum.
    private func copy(
        _ image: ImageFiles, _ files: VersionFiles, _ progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> String {
        let sizes = (try DiskFiles.size(of: image.disk), try DiskFiles.size(of: image.kernel), try DiskFiles.size(of: image.ramdisk))
        let total = ByteCount(rawValue: sizes.0 + sizes.1 + sizes.2)
        if try await space().free < total { throw .outOfDisk(path: settings.images) }
        let (copied, teller) = AsyncStream.makeStream(of: ByteCount.self, bufferingPolicy: .bufferingNewest(1))
        async let checksum: Result<String, HypervisorError> = imageLane.run { () -> Result<String, HypervisorError> in
            defer { teller.finish() }
            do throws(HypervisorError) {
                try DiskFiles.copy(image.kernel, to: files.partialKernel, durably: true)
                try DiskFiles.copy(image.ramdisk, to: files.partialRamdisk, durably: true)
                let before = sizes.1 + sizes.2
                let sum = try DiskFiles.copy(image.disk, to: files.partialDisk, durably: true, hashing: true) { copied in
                    teller.yield(ByteCount(rawValue: before + copied))
                }
                return .success(Hex.text(of: sum ?? []))
            } catch {
                return .failure(error)
            }
        }
        for await bytes in copied { progress(bytes, total) }
        let found = try await checksum.get()
        if let named = image.diskChecksum, named != found {
            throw .failed(
                call: "sha256(\(image.disk))", code: 0,
                detail: "it is \(found), not \(named): the file is damaged or another one, fetch it again")
        }
        return found
    }

    /// Gives the copied files their names, the disk's last.
    private func publish(_ files: VersionFiles) async throws(HypervisorError) {
        let folder = settings.images
        try await imageLane.run { () throws(HypervisorError) in
            for (partial, finished) in files.pairs {
                guard chmod(partial, 0o400) == 0 else { throw FileFailure.error("chmod", partial) }
                try DiskFiles.rename(partial, to: finished)
            }
            try DiskFiles.syncFolder(folder)
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

/// The names of one version's files, finished and in the making.
private struct VersionFiles: Hashable, Sendable {
    let disk, kernel, ramdisk, blank: String
    let partialDisk, partialKernel, partialRamdisk: String
    let blankName: String

    init(folder: String, image: String, version: Int) throws(HypervisorError) {
        let letters = image.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        guard letters, !image.isEmpty, image.utf8.count <= 64, version > 0 else {
            throw .failed(
                call: "takeIn", code: 0,
                detail: "'\(image)' version \(version) is no name: lower-case letters, digits, hyphens, at most 64, and a version from 1")
        }
        let stem = "\(image)-\(version)"
        disk = "\(folder)/\(stem).qcow2"
        kernel = "\(folder)/\(stem).kernel"
        ramdisk = "\(folder)/\(stem).ramdisk"
        blankName = "\(stem).blank.qcow2"
        blank = "\(folder)/\(blankName)"
        partialDisk = "\(folder)/.\(stem).qcow2.partial"
        partialKernel = "\(folder)/.\(stem).kernel.partial"
        partialRamdisk = "\(folder)/.\(stem).ramdisk.partial"
    }

    var finished: [String] { [blank, disk, kernel, ramdisk] }
    var partial: [String] { [partialDisk, partialKernel, partialRamdisk] }
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
