import DesktopModel

/// Where desktops' overlays and images' disks lie. One implementation is files in the data folder and libvirt's storage pool.
///
/// Every call may be made again. Calls may be made from any task and do not block its thread.
public protocol DiskStore: Sendable {
    /// Lays a copy of a blank overlay at the path that belongs to this desktop's generation, and tells the path.
    ///
    /// A file already there is an error (`alreadyExists`), since one overlay serves one domain. Where a file of the image beneath is gone or
    /// is not what was taken in, none is laid (`missingFile`, `changedFile`).
    func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String
    /// Removes an overlay. One that is gone is no error.
    func removeOverlay(_ overlay: OverlayName) async throws(HypervisorError)
    /// Every overlay there is; files with names that are no overlay's are not told.
    func overlays() async throws(HypervisorError) -> [OverlayName]
    /// Takes in a golden disk with its kernel and ramdisk: copies the files, checks their checksums, makes the blank overlay.
    ///
    /// A version that is there, or is being taken in: `alreadyExists`. On failure nothing of it is left behind. Minutes for a large disk;
    /// `progress` is told the bytes copied so far and in all. Cancelled, it either fails soon (`stopped`) or comes to its end.
    func takeIn(_ image: ImageFiles, as name: String, version: Int, progress: @Sendable (ByteCount, ByteCount) -> Void)
        async throws(HypervisorError) -> StoredImage
    /// Removes a version's files. What is gone is no error.
    func removeImage(_ name: String, version: Int) async throws(HypervisorError)
    /// Makes an empty place for a checkpoint, and tells where its memory is to be saved. What a making that was cut off left there goes.
    func beginCheckpoint(_ id: CheckpointID) async throws(HypervisorError) -> String
    /// Takes an overlay that no domain uses any more as the disk of a checkpoint whose memory is saved, and lays a blank one over it.
    ///
    /// The two belong together from then on, and neither changes any more; the overlay is no longer listed as one. Where the memory or the
    /// overlay is missing: `missingFile`. Seconds: all of both is read for its checksum.
    func sealCheckpoint(_ id: CheckpointID, from overlay: OverlayName) async throws(HypervisorError)
    /// Lays a disk for a desktop that is to be restored from a checkpoint, as `layOverlay(of:for:)` does. Where its disk or its memory is gone
    /// or is not what was sealed, none is laid (`spoiltCheckpoint`); for the image beneath it is as it is there.
    func layOverlay(over checkpoint: CheckpointID, for overlay: OverlayName) async throws(HypervisorError) -> String
    /// Where the memory of a checkpoint lies.
    func memory(of checkpoint: CheckpointID) -> String
    /// Removes a checkpoint, which no desktop may use any more. One that is gone is no error.
    func removeCheckpoint(_ id: CheckpointID) async throws(HypervisorError)
    /// Every checkpoint there is, also what a making that was cut off left.
    func checkpoints() async throws(HypervisorError) -> [CheckpointID]
    /// What the file system that holds the overlays has, and has left.
    func space() async throws(HypervisorError) -> DiskSpace
}

/// The name of one overlay: `<desktop>-<generation>.qcow2`, the desktop by its number. A name is never used twice.
public struct OverlayName: Hashable, Sendable, CustomStringConvertible {
    public let desktop: DesktopID
    public let generation: Generation
    public init(desktop: DesktopID, generation: Generation) {
        self.desktop = desktop
        self.generation = generation
    }

    /// Reads a file's name; nil where it is no overlay's.
    public init?(fileName: String) {
        guard fileName.hasSuffix(".qcow2") else { return nil }
        let parts = fileName.dropLast(6).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let desktop = UInt32(parts[0]), let generation = UInt32(parts[1]) else { return nil }
        self.init(desktop: DesktopID(rawValue: desktop), generation: Generation(rawValue: generation))
        guard self.fileName == fileName else { return nil }
    }

    public var fileName: String { "\(desktop)-\(generation).qcow2" }
    public var description: String { fileName }
}

/// The files from which a version of an image is taken in.
public struct ImageFiles: Hashable, Sendable {
    /// Absolute paths.
    public let disk: String
    public let kernel: String
    public let ramdisk: String
    /// SHA-256 as lower-case hexadecimal, where the giver names it: it must then be so.
    public let diskChecksum: String?
    public init(disk: String, kernel: String, ramdisk: String, diskChecksum: String?) {
        self.disk = disk
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.diskChecksum = diskChecksum
    }
}

/// Where a version's files lie once taken in; absolute paths.
public struct StoredImage: Hashable, Sendable {
    public let disk: String
    public let kernel: String
    public let ramdisk: String
    public let blankOverlay: String
    /// SHA-256 of the disk, lower-case hexadecimal.
    public let checksum: String
    /// The size of the disk as a guest sees it.
    public let diskSize: ByteCount
    public init(disk: String, kernel: String, ramdisk: String, blankOverlay: String, checksum: String, diskSize: ByteCount) {
        self.disk = disk
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.blankOverlay = blankOverlay
        self.checksum = checksum
        self.diskSize = diskSize
    }
}

/// The size of a file system, what is left of it, and what overlays take of it now.
public struct DiskSpace: Hashable, Sendable {
    public let total: ByteCount
    public let free: ByteCount
    public let overlays: ByteCount
    public init(total: ByteCount, free: ByteCount, overlays: ByteCount) {
        self.total = total
        self.free = free
        self.overlays = overlays
    }
}
