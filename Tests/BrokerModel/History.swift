import Broker
import DesktopModel
import DesktopStore
import Foundation
import Glibc
import Hypervisor
import Logging
import Relay
import Synchronization

/// One daemon from its start to its end: the real broker over the real database, on the twin.
private final class Incarnation {
    let killer = Killer()
    let gate: CommitGate
    let store: DesktopStore
    let connection: SimulatedConnection
    let broker: Broker
    let sessions: SessionBroker
    let administration: Administration
    let running: Task<Void, any Error>
    /// Whether the daemon has ended by itself: systemd starts it anew.
    let hasEnded = Flag()

    init(path: String, server: SimulatedServer, settings: BrokerSettings) throws {
        let clock = server.clock
        let killer = killer
        gate = CommitGate(killer)
        let store = try DesktopStore(path: path, clock: { 1_700_000_000 + clock.now.offset.components.seconds })
        store.pool.add(transactionObserver: gate, extent: .databaseLifetime)
        self.store = store
        connection = SimulatedConnection(to: server) { killer.pass() }
        broker = Broker(
            store: store, host: connection, disks: connection, network: connection, addresses: server.plan, settings: settings,
            readiness: Readiness { try server.askRDP($0) }, clock: BrokerClock(MortalClock(clock, killer)),
            logger: Logger(label: "model") { _ in SwiftLogNoOpLogHandler() })
        sessions = SessionBroker(broker)
        administration = Administration(broker, store: store)
        let hasEnded = hasEnded
        running = Task { [broker] in
            defer { hasEnded.set() }
            try await broker.run()
        }
    }

    /// Lets everything happen that is due now.
    func settle() {
        JobLoop.drain {
            // What the database's threads have to say is said before the next job, so that their pace decides nothing.
            while store.callsUnderWay.load(ordering: .sequentiallyConsistent) > 0 { sched_yield() }
        }
    }

    /// Nothing of it is done any more.
    func bury() {
        connection.cut()
        settle()
        try? store.pool.close()
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
private final class Box<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
}

/// A history of one room: what happens to it, the daemons it has had, and what was seen that must never be.
final class History {
    private let folder: String
    private let path: String
    private let clock = SimulatedClock()
    private let server: SimulatedServer
    private let watch: Watch
    private var incarnation: Incarnation
    private let settings: BrokerSettings
    private var labNames: [String] = []
    private var seats: [SeatID] = []
    private var streams: [SeatID: Task<Void, Never>] = [:]
    private(set) var kills = 0

    var digest: Int { watch.digest }

    /// What must never be, and was.
    var violations: [String] { watch.violations.withLock { $0 } }

    init(seed: UInt64, folder: String, template: String) throws {
        var random = SplitMix(seed: seed)
        self.folder = folder
        path = folder + "/punnet.db"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: template, toPath: path)
        let watch = Watch(path: path)
        self.watch = watch
        // The subnet is written here.
        let plan = AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!)
        // In some rooms more desktops are wanted than fit at once.
        let memory = ByteCount.mebibytes([3_900, 4_400, 6_144].randomElement(using: &random) ?? 6_144)
        let server = SimulatedServer(seed: random.next(), clock: clock, plan: plan, totalMemory: memory) { watch.see($0) }
        self.server = server
        watch.server.withLock { $0 = server }
        server.addForeign(Watch.foreign, name: "foreign", memory: .mebibytes(256))
        settings = BrokerSettings()
        incarnation = try Incarnation(path: path, server: server, settings: settings)
        try furnish(labs: Int.random(in: 1...2, using: &random), &random)
    }

    deinit {
        incarnation.bury()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func furnish(labs: Int, _ random: inout SplitMix) throws {
        advance(milliseconds: 10_000)
        for number in 1...labs {
            let size = Int.random(in: 1...3, using: &random)
            let name = "room\(number)"
            let furnished = ask { daemon -> Result<[SeatID], any Error> in
                do {
                    let draft = LabDraft(
                        name: name, image: "debian", vcpus: 1, memory: .mebibytes(512), size: 0, grace: .seconds(60),
                        afterSession: .claimAgain)
                    let lab = try await daemon.administration.createLab(draft).lab.id
                    // Refused where it does not fit.
                    _ = try? await daemon.administration.changeLab(name, LabChange(size: size))
                    for seat in 1...3 { _ = try await daemon.seats.add("\(name)-\(seat)", lab: name) }
                    return .success(try await daemon.store.seats().filter { $0.lab == lab }.map(\.id))
                } catch {
                    return .failure(error)
                }
            }
            guard let furnished else { throw ModelError("the room is not furnished within a minute") }
            let added = try furnished.get()
            labNames.append(name)
            seats += added
        }
    }

    // MARK: What happens

    func happen(_ action: Action) throws {
        switch action {
        case .passTime(let milliseconds): advance(milliseconds: milliseconds)
        case .claim(let number, let boot):
            let seat = seats[number % seats.count]
            begin { incarnation in _ = try? await incarnation.sessions.claim(seat, bootID: "boot-\(boot)", from: "10.77.0.101") }
        case .end(let number, let reason):
            guard let session = pick(number, openSessions) else { return }
            begin { try? await $0.sessions.end(session.id, of: session.seat, reason: reason) }
        case .openLink(let number, let link):
            guard let session = pick(number, openSessions) else { return }
            begin { await $0.broker.linkOpened(LinkID(rawValue: link), session: session.id.rawValue) }
        case .closeLink(let number, let link):
            guard let session = pick(number, openSessions) else { return }
            begin { await $0.broker.linkClosed(LinkID(rawValue: link), session: session.id.rawValue, cause: .seatClosed) }
        case .comes(let number):
            let seat = seats[number % seats.count]
            let sessions = incarnation.sessions
            streams[seat]?.cancel()
            streams[seat] = Task { for await _ in await sessions.events(of: seat) {} }
            settle()
        case .leaves(let number):
            streams.removeValue(forKey: seats[number % seats.count])?.cancel()
            settle()
        case .guestEnds(let number, let kind):
            if let guest = pick(number, ours) { server.guestEnds(guest, kind) }
            settle()
        case .guestHangs(let number):
            if let guest = pick(number, ours) { server.guestHangs(guest) }
        case .endFromOutside(let number):
            if let guest = pick(number, ours) { server.endFromOutside(guest) }
            settle()
        case .remake(let number):
            guard let name = pick(number, watch.desktops().map(\.name)) else { return }
            begin { try? await $0.administration.remakeDesktop(name) }
        case .resize(let number, let size):
            let name = labNames[number % labNames.count]
            begin { _ = try? await $0.administration.changeLab(name, LabChange(size: size)) }
        case .faults(let failures, let lies, let silences, let hangs):
            var faults = SimulatedServer.Faults()
            faults.failures = failures ? 0.15 : 0
            faults.lies = lies ? 0.1 : 0
            faults.silences = silences ? 0.05 : 0
            faults.hangs = hangs ? 0.3 : 0
            server.setFaults(faults)
        case .faultsEnd: server.setFaults(SimulatedServer.Faults())
        case .diskFull(let full): incarnation.gate.setDiskFull(full)
        case .kill(let moments): incarnation.killer.arm(moments)
        case .losePower:
            incarnation.killer.arm(1)
            _ = incarnation.killer.pass()
            server.losePower()
            try revive()
        }
        try revive()
    }

    /// Starts the daemon anew where it was killed or has ended.
    private func revive() throws {
        while incarnation.killer.isDead || incarnation.hasEnded.isSet {
            kills += 1
            for stream in streams.values { stream.cancel() }
            streams = [:]
            incarnation.bury()
            clock.pass(.seconds(1))
            incarnation = try Incarnation(path: path, server: server, settings: settings)
            settle()
        }
    }

    private func settle() { incarnation.settle() }

    private func advance(milliseconds: Int) {
        let target = clock.now.advanced(by: .milliseconds(milliseconds))
        settle()
        while let next = clock.nextDeadline, next <= target {
            clock.advance()
            settle()
            // A daemon that was killed is started anew before the time goes on.
            do { try revive() } catch { watch.add("the daemon does not start: \(error)") }
        }
        if clock.now < target { clock.pass(clock.now.duration(to: target)) }
    }

    /// Asks for something whose answer nobody waits for.
    private func begin(_ body: @escaping @Sendable (Conversation) async -> Void) {
        let conversation = Conversation(incarnation)
        Task { await body(conversation) }
        settle()
    }

    /// Asks for something and lets time pass until it is answered; nil where it is not within a minute.
    private func ask<Answer: Sendable>(_ body: @escaping @Sendable (Conversation) async -> Answer) -> Answer? {
        let conversation = Conversation(incarnation)
        let box = Box<Answer>()
        Task {
            let answer = await body(conversation)
            box.value.withLock { $0 = answer }
        }
        settle()
        for _ in 0..<600 {
            if let answer = box.value.withLock({ $0 }) { return answer }
            advance(milliseconds: 100)
        }
        return box.value.withLock { $0 }
    }

    private var openSessions: [(id: SessionID, seat: SeatID)] { watch.openSessions() }
    private var ours: [DomainUUID] {
        server.domains.keys.filter { $0 != Watch.foreign }.sorted { ($0.desktop, $0.generation) < ($1.desktop, $1.generation) }
    }

    private func pick<Element>(_ number: Int, _ among: [Element]) -> Element? {
        among.isEmpty ? nil : among[number % among.count]
    }

    // MARK: The end

    /// Once faults stop, every desktop is ready again in bounded time, and whoever asks is served.
    func conclude() throws {
        server.setFaults(SimulatedServer.Faults())
        incarnation.gate.setDiskFull(false)
        incarnation.killer.disarm()
        advance(milliseconds: 300_000)
        try revive()
        advance(milliseconds: 60_000)
        for lease in watch.openLeases() {
            guard let domain = server.domains[lease.domain], domain.activity == .running else {
                watch.add("session \(lease.session) goes on though its desktop does not run")
                continue
            }
        }
        let limit = clock.now.advanced(by: .seconds(2 * 3600))
        while clock.now < limit {
            for session in openSessions { begin { try? await $0.administration.endSession(session.id) } }
            advance(milliseconds: 30_000)
            try revive()
            if openSessions.isEmpty, isWhole { break }
        }
        guard isWhole else {
            return watch.add(
                "not whole again two hours after the faults: \(watch.desktops()), \(server.domains.count) domains, \(server.overlays.count) overlays"
            )
        }
        watch.concludes()
        // Who waited without taking what was offered gives its place up.
        for stream in streams.values { stream.cancel() }
        streams = [:]
        advance(milliseconds: 60_000)
        // A seat whose lab has a desktop is given it.
        for (index, lab) in labNames.enumerated() where watch.desktops().contains(where: { $0.name.hasPrefix(lab + "-") }) {
            let seat = seats[index * 3]
            let answer = ask { daemon -> Result<ClaimAnswer, any Error> in
                do { return .success(try await daemon.sessions.claim(seat, bootID: "boot-9", from: "10.77.0.102")) } catch {
                    return .failure(error)
                }
            }
            guard case .success(.leased) = answer else {
                watch.add("a seat is not given the ready desktop: \(String(describing: answer))")
                continue
            }
        }
    }

    private var isWhole: Bool {
        let desktops = watch.desktops()
        return desktops.count == watch.wanted() && desktops.allSatisfy { $0.state == "ready" } && ours.count == desktops.count
            && server.overlays.count == desktops.count && ours.allSatisfy { server.domains[$0]?.activity == .paused }
    }
}

/// What is asked of a daemon.
private struct Conversation: Sendable {
    let broker: Broker
    let store: DesktopStore
    let sessions: SessionBroker
    let seats: SeatRegistry
    let administration: Administration

    init(_ incarnation: Incarnation) {
        broker = incarnation.broker
        store = incarnation.store
        sessions = incarnation.sessions
        seats = SeatRegistry(broker, store: store)
        administration = incarnation.administration
    }
}

struct ModelError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
