import Broker
import ControlAPI
import DesktopModel
import FoundationEssentials
import Logging
import Synchronization

/// Slow work that was answered at once and can be watched. Kept in memory: what was under way ends with the process.
final class Operations: Sendable {
    typealias Progress = @Sendable (ByteCount, ByteCount) -> Void

    private struct Record {
        var message: OperationMessage
        var task: Task<Void, Never>?
        var isCancelled = false
        var watchers: [AsyncStream<Void>.Continuation] = []
    }

    private struct State {
        var records: [String: Record] = [:]
        /// Oldest first.
        var order: [String] = []
        var stopped = false
    }

    /// How many operations are remembered; running ones always are.
    private let remembered = 100
    private let state = Mutex(State())
    private let logger: Logger
    /// Told of every change, so that open pages follow.
    private let onChange: @Sendable () -> Void

    init(logger: Logger, onChange: @escaping @Sendable () -> Void = {}) {
        self.logger = logger
        self.onChange = onChange
    }

    /// Begins the work and gives its first description. The work is cancelled when the server stops.
    func begin(
        _ kind: String, of subject: String = "", _ work: @escaping @Sendable (_ progress: @escaping Progress) async throws -> ImageMessage
    ) throws(BrokerError) -> OperationMessage {
        let id = UUID().uuidString.lowercased()
        let message = OperationMessage(
            id: id, kind: kind, subject: subject, began: Moment(seconds: Int64(Date().timeIntervalSince1970)), state: .running, revision: 1)
        let accepted = state.withLock { state in
            guard !state.stopped else { return false }
            state.records[id] = Record(message: message)
            state.order.append(id)
            forget(&state)
            return true
        }
        guard accepted else { throw .unavailable }
        let task = Task { [self, logger] in
            do {
                let result = try await work { done, total in self.progressed(id, done: done.rawValue, total: total.rawValue) }
                change(id) { OperationMessage($0, state: .done, result: result) }
            } catch {
                guard !wasCancelled(id) else { return change(id) { OperationMessage($0, state: .cancelled) } }
                let problem = Problem(failure: error, audience: .administrator, logger: logger)
                change(id) { OperationMessage($0, state: .failed, problem: problem) }
            }
        }
        let late = state.withLock { state in
            state.records[id]?.task = task
            return state.stopped || state.records[id]?.isCancelled == true
        }
        if late { task.cancel() }
        return message
    }

    /// The operation as it is now; with `after`, once its revision is greater, its work is over, or the time is.
    func operation(_ id: String, after revision: Int? = nil, wait: Duration = .zero) async -> OperationMessage? {
        let (changes, watcher) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let now: OperationMessage? = state.withLock { state in
            guard let record = state.records[id] else { return nil }
            let mustWait = record.message.revision <= revision ?? record.message.revision && record.message.state == .running
            if mustWait, wait > .zero, !state.stopped {
                state.records[id]?.watchers.append(watcher)
            } else {
                watcher.finish()
            }
            return record.message
        }
        guard now != nil else { return nil }
        let timer = Task {
            try await Task.sleep(for: wait)
            watcher.finish()
        }
        for await _ in changes { break }
        timer.cancel()
        return state.withLock { $0.records[id]?.message }
    }

    /// Has the work of an operation end; nil where there is no such operation. What is over stays as it is. It is `cancelled` once its work has
    /// ended, unless that came to its end before.
    func cancel(_ id: String) -> OperationMessage? {
        let (message, task): (OperationMessage?, Task<Void, Never>?) = state.withLock { state in
            guard let record = state.records[id], record.message.state == .running else { return (state.records[id]?.message, nil) }
            state.records[id]?.isCancelled = true
            return (record.message, record.task)
        }
        task?.cancel()
        return message
    }

    private func wasCancelled(_ id: String) -> Bool { state.withLock { $0.records[id]?.isCancelled == true } }

    /// All that are remembered, the newest first.
    func all() -> [OperationMessage] {
        state.withLock { state in state.order.reversed().compactMap { state.records[$0]?.message } }
    }

    /// Those of a kind that run or failed, the oldest first.
    func unfinished(kind: String) -> [OperationMessage] {
        all().reversed().filter { $0.kind == kind && ($0.state == .running || $0.state == .failed) }
    }

    /// Cancels what runs and answers those who wait.
    func stop() {
        let (tasks, watchers) = state.withLock { state in
            state.stopped = true
            let records = state.records.values
            return (records.compactMap(\.task), records.flatMap(\.watchers))
        }
        tasks.forEach { $0.cancel() }
        watchers.forEach { $0.finish() }
    }

    /// Returns when nothing runs any more.
    func ended() async {
        for task in state.withLock({ $0.records.values.compactMap(\.task) }) { await task.value }
    }

    private func progressed(_ id: String, done: Int64, total: Int64) {
        change(id) { message in
            guard message.state == .running else { return nil }
            // A hundredth is news; every block that was copied is not.
            let before = message.progress.map { ($0.done, $0.total) } ?? (-1, total)
            guard before.1 != total || before.0 < 0 || done == total || done - before.0 >= max(total / 100, 1) else { return nil }
            return OperationMessage(message, progress: OperationMessage.Progress(done: done, total: total))
        }
    }

    private func change(_ id: String, _ next: (OperationMessage) -> OperationMessage?) {
        let watchers: [AsyncStream<Void>.Continuation] = state.withLock { state in
            guard var record = state.records[id], let message = next(record.message) else { return [] }
            record.message = message
            let watchers = record.watchers
            record.watchers = []
            state.records[id] = record
            return watchers
        }
        for watcher in watchers {
            watcher.yield()
            watcher.finish()
        }
        onChange()
    }

    private func forget(_ state: inout State) {
        let over = state.order.filter { state.records[$0]?.message.state != .running }
        for id in over.prefix(max(0, state.order.count - remembered)) {
            state.records[id] = nil
            state.order.removeAll { $0 == id }
        }
    }
}

extension OperationMessage {
    /// The next revision of a message, with what has changed.
    fileprivate init(
        _ before: OperationMessage, state: State? = nil, progress: Progress? = nil, problem: Problem? = nil, result: ImageMessage? = nil
    ) {
        self.init(
            id: before.id, kind: before.kind, subject: before.subject, began: before.began, state: state ?? before.state,
            revision: before.revision + 1, progress: progress ?? before.progress, problem: problem ?? before.problem, result: result ?? before.result)
    }
}
