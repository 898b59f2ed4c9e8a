import Logging
import NIOCore
import Synchronization

/// Counts incidents, and logs them at a bounded rate: the first of a quiet time at once, those that follow as numbers.
///
/// No timer runs while nothing happens. Safe from any thread.
final class IncidentBook: Sendable {
    private struct Pages {
        var all: [DoorIncident: Int] = [:]
        var unlogged: [DoorIncident: Int] = [:]
        var isQuiet = true
    }

    private let pages = Mutex(Pages())
    private let logger: Logger
    private let interval: TimeAmount
    private let loop: any EventLoop

    init(logger: Logger, interval: TimeAmount, loop: any EventLoop) {
        self.logger = logger
        self.interval = interval
        self.loop = loop
    }

    /// How often each has happened since the start.
    var counts: [DoorIncident: Int] { pages.withLock { $0.all } }

    /// Writes an incident down. The detail names no byte that was sent.
    func write(_ incident: DoorIncident, from address: String, detail: String? = nil) {
        let isFirst = pages.withLock { pages in
            pages.all[incident, default: 0] += 1
            guard pages.isQuiet else {
                pages.unlogged[incident, default: 0] += 1
                return false
            }
            pages.isQuiet = false
            return true
        }
        guard isFirst else { return }
        var facts: Logger.Metadata = ["cause": "\(incident.rawValue)", "address": "\(address)"]
        if let detail { facts["detail"] = "\(detail)" }
        logger.warning("a connection was closed at the door", metadata: facts)
        wait()
    }

    private func wait() {
        loop.scheduleTask(in: interval) { self.sumUp() }
    }

    private func sumUp() {
        let counts = pages.withLock { pages in
            let counts = pages.unlogged
            pages.unlogged = [:]
            if counts.isEmpty { pages.isQuiet = true }
            return counts
        }
        guard !counts.isEmpty else { return }
        logger.warning(
            "connections were closed at the door",
            metadata: Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, "\($0.value)") }))
        wait()
    }
}
