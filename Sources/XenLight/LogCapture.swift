import CXenLight
import Glibc
import Synchronization

/// A logger for libxl that keeps the last warnings and errors, so that an error can say what led to it.
///
/// libxl calls it on any thread. It must outlive the context it is given to; `logger` is freed with this object.
final class LogCapture: Sendable {
    private static let kept = 12
    private let kept = Mutex<[String]>([])
    private nonisolated(unsafe) let lineLogger: UnsafeMutablePointer<punnet_line_logger>

    /// What `libxl_ctx_alloc` takes: the first member of the line logger, so both have one address.
    var logger: UnsafeMutablePointer<xentoollog_logger> {
        UnsafeMutableRawPointer(lineLogger).assumingMemoryBound(to: xentoollog_logger.self)
    }

    init() {
        lineLogger = .allocate(capacity: 1)
        lineLogger.initialize(to: punnet_line_logger())
        punnet_line_logger_init(lineLogger)
        lineLogger.pointee.owner = Unmanaged.passUnretained(self).toOpaque()
        lineLogger.pointee.line = { owner, _, errno, context, text in
            guard let owner, let text else { return }
            var line = String(cString: text)
            if let context { line = String(cString: context) + ": " + line }
            if errno >= 0, let reason = strerror(errno) { line += ": " + String(cString: reason) }
            Unmanaged<LogCapture>.fromOpaque(owner).takeUnretainedValue().add(line)
        }
    }

    deinit { lineLogger.deallocate() }

    /// The lines since the last `forget`, oldest first.
    var lines: [String] { kept.withLock { $0 } }

    /// Begins anew: what is kept from now on belongs to the next call.
    func forget() { kept.withLock { $0.removeAll(keepingCapacity: true) } }

    private func add(_ line: String) {
        kept.withLock { lines in
            if lines.count == Self.kept { lines.removeFirst() }
            lines.append(line)
        }
    }
}
