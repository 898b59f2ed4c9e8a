import DesktopModel
import Glibc
import Hypervisor
import Identity
import NIOPosix
import Synchronization

/// A simulated server's disks: overlays are names in memory. An image's files must really be there, and are read for their checksum, but
/// nothing of them is kept.
public final class LiveDisks: DiskStore {
    private let connection: SimulatedConnection
    private let images = Mutex<Set<String>>([])

    init(_ connection: SimulatedConnection) { self.connection = connection }

    public func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String {
        try await connection.layOverlay(of: blank, for: overlay)
    }

    public func removeOverlay(_ overlay: OverlayName) async throws(HypervisorError) { try await connection.removeOverlay(overlay) }
    public func overlays() async throws(HypervisorError) -> [OverlayName] { try await connection.overlays() }
    public func space() async throws(HypervisorError) -> DiskSpace { try await connection.space() }

    public func beginCheckpoint(_ id: CheckpointID) async throws(HypervisorError) -> String { try await connection.beginCheckpoint(id) }
    public func sealCheckpoint(_ id: CheckpointID, from overlay: OverlayName) async throws(HypervisorError) {
        try await connection.sealCheckpoint(id, from: overlay)
    }
    public func layOverlay(over checkpoint: CheckpointID, for overlay: OverlayName) async throws(HypervisorError) -> String {
        try await connection.layOverlay(over: checkpoint, for: overlay)
    }
    public func memory(of checkpoint: CheckpointID) -> String { connection.memory(of: checkpoint) }
    public func removeCheckpoint(_ id: CheckpointID) async throws(HypervisorError) { try await connection.removeCheckpoint(id) }
    public func checkpoints() async throws(HypervisorError) -> [CheckpointID] { try await connection.checkpoints() }

    public func takeIn(
        _ image: ImageFiles, as name: String, version: Int, progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> StoredImage {
        let stem = "\(name)-\(version)"
        guard !images.withLock({ $0.contains(stem) }) else { throw .alreadyExists(name: stem) }
        let (size, checksum) = try await read(image).get()
        if let named = image.diskChecksum, named != checksum {
            throw .failed(
                call: "sha256(\(image.disk))", code: 0,
                detail: "it is \(checksum), not \(named): the file is damaged or another one, fetch it again")
        }
        progress(size, size)
        guard images.withLock({ $0.insert(stem).inserted }) else { throw .alreadyExists(name: stem) }
        // No file of this machine is meant. They lie beside the server's own folder, where it believes what it is told: it forgets all files
        // with this process, and the database does not.
        let folder = "/images/\(stem)"
        return StoredImage(
            disk: "\(folder)/disk", kernel: "\(folder)/kernel", ramdisk: "\(folder)/ramdisk", blankOverlay: "\(folder)/blank",
            checksum: checksum, diskSize: size)
    }

    public func removeImage(_ name: String, version: Int) async throws(HypervisorError) {
        images.withLock { _ = $0.remove("\(name)-\(version)") }
    }

    /// The disk's size and checksum, read on a thread that may block.
    private func read(_ image: ImageFiles) async -> Result<(ByteCount, String), HypervisorError> {
        let stop = Atomic(false)
        return await withTaskCancellationHandler {
            await read(image) { stop.load(ordering: .relaxed) }
        } onCancel: {
            stop.store(true, ordering: .relaxed)
        }
    }

    private func read(_ image: ImageFiles, until isStopped: @escaping @Sendable () -> Bool) async -> Result<(ByteCount, String), HypervisorError> {
        do {
            return try await NIOThreadPool.singleton.runIfActive { () -> Result<(ByteCount, String), HypervisorError> in
                do throws(HypervisorError) {
                    for part in [image.kernel, image.ramdisk] { _ = try Self.size(of: part) }
                    return .success((try Self.size(of: image.disk), try Self.checksum(of: image.disk, until: isStopped)))
                } catch {
                    return .failure(error)
                }
            }
        } catch {
            return .failure(.unavailable("\(error)"))
        }
    }

    private static func size(of path: String) throws(HypervisorError) -> ByteCount {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .missingFile(path: path) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size > 0 else {
            throw .failed(call: "stat(\(path))", code: 0, detail: "it is no regular file, or empty")
        }
        return ByteCount(rawValue: Int64(status.st_size))
    }

    private static func checksum(of path: String, until isStopped: () -> Bool) throws(HypervisorError) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .failed(call: "open(\(path))", code: Int(errno), detail: String(cString: strerror(errno))) }
        defer { close(file) }
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { piece.deallocate() }
        var sum = SHA256Stream()
        while true {
            let count = Glibc.read(file, piece.baseAddress, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .failed(call: "read(\(path))", code: Int(errno), detail: String(cString: strerror(errno))) }
            if count == 0 { return Hex.text(of: sum.finish()) }
            if isStopped() { throw .stopped(path) }
            sum.update(UnsafeRawBufferPointer(rebasing: piece[..<count]))
        }
    }
}
