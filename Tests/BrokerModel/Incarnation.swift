import Broker
import DesktopModel
import DesktopStore
import Hypervisor
import Logging
import Synchronization

/// One daemon from its start to its end: the real broker over the real database, on the twin.
final class Incarnation: Sendable {
    let killer = Killer()
    let gate: CommitGate
    let store: DesktopStore
    let connection: SimulatedConnection
    let broker: Broker
    let sessions: SessionBroker
    let seats: SeatRegistry
    let administration: Administration
    let running: Task<Void, any Error>
    /// Whether the daemon has ended by itself: systemd starts it anew.
    let hasEnded = Flag()

    init(path: String, server: SimulatedServer, settings: BrokerSettings) throws {
        let clock = server.clock
        let killer = killer
        gate = CommitGate(killer)
        let store = try DesktopStore(path: path, clock: { Int64(Watch.calendarStart) + clock.now.offset.components.seconds })
        store.pool.add(transactionObserver: gate, extent: .databaseLifetime)
        self.store = store
        connection = SimulatedConnection(to: server) { killer.pass() }
        broker = Broker(
            store: store, host: connection, disks: connection, network: connection, addresses: server.plan, settings: settings,
            identities: Self.identities, readiness: Readiness { try server.askRDP($0) }, clock: BrokerClock(MortalClock(clock, killer)),
            logger: Logger(label: "model") { _ in SwiftLogNoOpLogHandler() })
        sessions = SessionBroker(broker)
        seats = SeatRegistry(broker, store: store)
        administration = Administration(broker, store: store)
        let hasEnded = hasEnded
        running = Task { [broker] in
            defer { hasEnded.set() }
            try await broker.run()
        }
    }

    /// Another one each time, without the time that crypt(3) takes: its hash is the password's own text.
    private static let identities = Identities { hostname, user in
        let number = drawn.add(1, ordering: .relaxed).newValue
        let digits = String(number, radix: 16)
        let identity = DesktopIdentity(
            hostname: hostname, user: user, passwordHash: "password-\(number)", entropy: [UInt8](repeating: 0, count: 64),
            call: String(repeating: "0", count: 32 - digits.count) + digits)
        return Identities.Drawn(identity: identity, password: "password-\(number)")
    }
    private static let drawn = Atomic<UInt64>(0)

    /// Lets everything happen that is due now.
    func settle() {
        JobLoop.drain {
            // What the database's threads have to say is said before the next job, so that their pace decides nothing.
            while store.callsUnderWay.load(ordering: .sequentiallyConsistent) > 0 {
                try? store.pool.barrierWriteWithoutTransaction { _ in }
            }
        }
    }

    /// Nothing of it is done any more.
    func bury() {
        connection.cut()
        settle()
        do { try store.pool.close() } catch { fatalError("a dead daemon's database cannot be closed: \(error)") }
    }
}

/// Time for a daemon that may be killed: who sleeps then is never woken.
private struct MortalClock: Clock {
    typealias Instant = SimulatedClock.Instant
    private let clock: SimulatedClock
    private let killer: Killer

    init(_ clock: SimulatedClock, _ killer: Killer) {
        self.clock = clock
        self.killer = killer
    }

    var now: Instant { clock.now }
    var minimumResolution: Duration { .zero }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        let outcome: Result<Void, any Error>
        do {
            try await clock.sleep(until: deadline)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        if killer.isDead { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
        try outcome.get()
    }
}

/// What a task says to those outside of it.
final class Flag: Sendable {
    private let value = Atomic(false)
    func set() { value.store(true, ordering: .sequentiallyConsistent) }
    var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
}

/// A value that a task leaves for those outside of it.
final class Box<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
}
