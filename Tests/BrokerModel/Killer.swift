import GRDB
import Synchronization

/// Decides at which moment a daemon is killed: before or after any call to the server, before or after any commit.
final class Killer: Sendable {
    private struct State {
        var countdown: Int?
        var isDead = false
    }

    private let state = Mutex(State())

    var isDead: Bool { state.withLock { $0.isDead } }

    /// Kills the daemon at the so-manieth moment from now.
    func arm(_ moments: Int) { state.withLock { $0.countdown = moments } }

    /// Lets a living daemon live.
    func disarm() { state.withLock { $0.countdown = nil } }

    /// A moment passes; whether the daemon is dead.
    func pass() -> Bool {
        state.withLock { state in
            guard !state.isDead, let left = state.countdown else { return state.isDead }
            state.countdown = left - 1
            state.isDead = left <= 1
            return state.isDead
        }
    }
}

/// Lets a dead daemon's commits come to nothing, and the disk be full for a while.
final class CommitGate: TransactionObserver, Sendable {
    private struct DeadMenWriteNothing: Error {}

    private let killer: Killer
    private let isDiskFull: Atomic<Bool>

    init(_ killer: Killer) {
        self.killer = killer
        isDiskFull = Atomic(false)
    }

    func setDiskFull(_ full: Bool) { isDiskFull.store(full, ordering: .sequentiallyConsistent) }

    func observes(eventsOfKind _: DatabaseEventKind) -> Bool { false }
    func databaseDidChange(with _: DatabaseEvent) {}
    func databaseWillCommit() throws {
        if killer.pass() { throw DeadMenWriteNothing() }
        if isDiskFull.load(ordering: .sequentiallyConsistent) { throw DatabaseError(resultCode: .SQLITE_FULL) }
    }
    func databaseDidCommit(_: Database) { _ = killer.pass() }
    func databaseDidRollback(_: Database) {}
}
