import DesktopModel
import Dispatch
import Glibc
import Hypervisor
import Logging
import Synchronization

/// The files in which xenconsoled keeps what guests write to their consoles: one for each domain's name, `guest-<name>.log`.
///
/// xenconsoled appends to them without end, so those that are named to `hold` are cut back to their last lines when they grow beyond a
/// bound: whenever something was written, and no more than once a second. A file may be larger than its bound by what a guest writes in a
/// second. The files outlive this object and the process. Any thread.
/// - SeeAlso: xen tools/console/daemon/io.c, `create_domain_log`
final class ConsoleLogs: Sendable {
    /// How much of a file is read for its last lines.
    private static let tail = 16 << 10

    private let folder: String
    private let bound: Int
    private let held = Mutex<Set<String>>([])
    private let logger: Logger
    private let lane = BlockingLane("xen.consoles")
    private let queue = DispatchQueue(label: "punnet.xen.consoles.watch")
    /// Touched by `init`, `deinit` and its own queue only.
    private nonisolated(unsafe) let source: any DispatchSourceRead
    private let notifier: Int32

    /// Makes the folder where it is missing, and begins to watch it.
    init(folder: String, bound: ByteCount, logger: Logger) throws(HypervisorError) {
        try DiskFiles.makeFolder(folder)
        let notifier = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard notifier >= 0 else { throw FileFailure.error("inotify_init1", folder) }
        guard inotify_add_watch(notifier, folder, UInt32(IN_MODIFY | IN_ONLYDIR)) >= 0 else {
            let error = FileFailure.error("inotify_add_watch", folder)
            close(notifier)
            throw error
        }
        self.folder = folder
        self.bound = Int(bound.rawValue)
        self.logger = logger
        self.notifier = notifier
        source = DispatchSource.makeReadSource(fileDescriptor: notifier, queue: queue)
        source.setCancelHandler { close(notifier) }
        source.setEventHandler { [weak self] in self?.look() }
        source.activate()
    }

    deinit { source.cancel() }

    /// Keeps the file of a domain of this name under the bound from now on.
    func hold(_ name: String) {
        held.withLock { _ = $0.insert(name) }
        queue.async { [weak self] in self?.cutBack(name) }
    }

    /// Removes what earlier domains of this name left, and keeps the next one's file under the bound. Blocks shortly.
    func beginAnew(_ name: String) throws(HypervisorError) {
        try DiskFiles.remove(try path(of: name))
        hold(name)
    }

    /// The last lines of a domain of this name.
    func lastLines(of name: String) async throws(HypervisorError) -> [String] {
        let path = try path(of: name)
        return try await lane.run { () throws(HypervisorError) in
            do throws(HypervisorError) {
                let (bytes, isCut) = try DiskFiles.end(of: path, count: Self.tail)
                return ConsoleText.lines(of: bytes, isCut: isCut)
            } catch .missingFile {
                return []
            }
        }
    }

    func remove(_ name: String) async throws(HypervisorError) {
        let path = try path(of: name)
        try await lane.run { () throws(HypervisorError) in try DiskFiles.remove(path) }
        held.withLock { _ = $0.remove(name) }
    }

    /// The names of all domains that have a file.
    func names() async throws(HypervisorError) -> [String] {
        try await lane.run { [folder] () throws(HypervisorError) in
            try DiskFiles.names(in: folder).filter { $0.hasPrefix("guest-") && $0.hasSuffix(".log") }.map { String($0.dropFirst(6).dropLast(4)) }
        }
    }

    private func path(of name: String) throws(HypervisorError) -> String {
        // A name comes from xenstore too, where dom0's root may write anything.
        guard !name.isEmpty, !name.utf8.contains(where: { $0 == 0 || $0 == UInt8(ascii: "/") }), name.utf8.count < 200 else {
            throw .failed(call: "console", code: 0, detail: "'\(name)' is no domain's name")
        }
        return "\(folder)/guest-\(name).log"
    }

    // MARK: - The bound

    /// Looks at all files that are held, on the queue; what is written in the next second is looked at after it.
    private func look() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { buffer.deallocate() }
        while read(notifier, buffer.baseAddress, buffer.count) > 0 {}
        for name in held.withLock(\.self) { cutBack(name) }
        nonisolated(unsafe) let source = source
        source.suspend()
        // It holds the source, which must not be let go of while it is suspended.
        queue.asyncAfter(deadline: .now() + 1) { source.resume() }
    }

    private func cutBack(_ name: String) {
        do throws(HypervisorError) {
            if try DiskFiles.cutBack(try path(of: name), above: bound, to: bound / 4) {
                logger.debug("a console's log was cut back", metadata: ["domain": "\(name)"])
            }
        } catch .missingFile {
            // xenconsoled has not made it yet.
        } catch {
            logger.warning("a console's log cannot be held under its bound", metadata: ["domain": "\(name)", "error": "\(error)"])
        }
    }
}
