import DesktopModel
import DesktopStore

/// Writes what the room decides to the store, in order, in as few commits as the disk's pace allows.
///
/// What comes while a commit runs goes into the next one together. A decision that cannot be written is reported and forgotten; a fact is
/// owed, and goes with the next attempt, before everything that came after it.
actor Recorder {
    private struct Entry {
        let changes: [StoreChange]
        let milestone: Milestone
    }

    private let store: DesktopStore
    private let report: @Sendable (RoomEvent) async -> Void
    private var entries: [Entry] = []
    private var isWriting = false
    private var settling: [CheckedContinuation<Void, Never>] = []
    /// How long to wait before owed facts are tried again.
    private let pause: Duration
    private let clock: BrokerClock

    init(store: DesktopStore, clock: BrokerClock, pause: Duration = .seconds(2), report: @escaping @Sendable (RoomEvent) async -> Void) {
        self.store = store
        self.pause = pause
        self.clock = clock
        self.report = report
    }

    /// Takes in what is to be written and returns; `recorded` or `notRecorded` is reported later, in the order of the calls.
    func add(_ changes: [StoreChange], _ milestone: Milestone) {
        entries.append(Entry(changes: changes, milestone: milestone))
        guard !isWriting else { return }
        isWriting = true
        Task { await write() }
    }

    /// Waits until everything that was taken in has been written or has failed to be.
    func settled() async {
        guard isWriting else { return }
        await withCheckedContinuation { settling.append($0) }
    }

    private func write() async {
        while !entries.isEmpty {
            let batch = entries
            do {
                try await store.apply(batch.flatMap(\.changes))
                entries.removeFirst(batch.count)
                for entry in batch { await report(.recorded(entry.milestone)) }
            } catch {
                await writeOneByOne(batch)
            }
        }
        isWriting = false
        let settled = settling
        settling = []
        for waiting in settled { waiting.resume() }
    }

    /// After a batch has failed: finds out what can be written, so that one change that the store refuses does not hold up the others.
    private func writeOneByOne(_ batch: [Entry]) async {
        entries.removeFirst(batch.count)
        var owed: [Entry] = []
        for entry in batch {
            do {
                try await store.apply((owed + [entry]).flatMap(\.changes))
                for written in owed + [entry] { await report(.recorded(written.milestone)) }
                owed = []
            } catch {
                if entry.milestone.isFact {
                    owed.append(entry)
                } else {
                    await report(.notRecorded(entry.milestone, cause: Sentence(error)))
                }
            }
        }
        guard !owed.isEmpty else { return }
        entries.insert(contentsOf: owed, at: 0)
        try? await clock.sleep(for: pause)
    }
}
