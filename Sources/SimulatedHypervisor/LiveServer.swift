import DesktopModel
import Hypervisor
import Identity
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A simulated server that lives by the real time, with a real RDP port for each of its desktops.
///
/// A desktop that has booted listens at its own loopback address and answers RDP's handshake with TLS, with a certificate that each generation
/// makes for itself. While its domain does not run, its connections are accepted and get no answer; when the domain is gone they are closed.
/// A guest that hangs at boot never listens. Domains and overlays live in this process: they are gone with it, as after a power cut.
public final class LiveServer: Service {
    /// How large the server is, where its desktops are, and how fast it works.
    public struct Settings: Sendable {
        public var memory: ByteCount
        public var processors: Int
        public var disk: ByteCount
        public var plan: AddressPlan
        /// Whether its desktops' network leads to the internet. No desktop of it has anything to look for there.
        public var leadsToInternet: Bool
        /// How many times as fast as a real server it builds, boots and ends desktops.
        public var speed: Double
        /// The port at which desktops answer.
        public var port: Int
        /// From what boot times and the like are drawn.
        public var seed: UInt64

        public init(
            memory: ByteCount, processors: Int, disk: ByteCount, plan: AddressPlan, leadsToInternet: Bool = false, speed: Double = 1, port: Int = 3389,
            seed: UInt64 = .random(in: .min ... .max)
        ) {
            self.memory = memory
            self.processors = processors
            self.disk = disk
            self.plan = plan
            self.leadsToInternet = leadsToInternet
            self.speed = speed
            self.port = port
            self.seed = seed
        }
    }

    /// What a daemon does to its domains and asks of its addresses.
    public let connection: SimulatedConnection
    public let disks: LiveDisks

    private let settings: Settings
    private let logger: Logger
    private let clock: SimulatedClock
    private let server: SimulatedServer
    private let changes: AsyncStream<DomainUUID>
    private let changed: AsyncStream<DomainUUID>.Continuation

    public init(_ settings: Settings, logger: Logger) {
        self.settings = settings
        self.logger = logger
        clock = SimulatedClock(speed: settings.speed)
        let (changes, changed) = AsyncStream.makeStream(of: DomainUUID.self)
        self.changes = changes
        self.changed = changed
        server = SimulatedServer(
            seed: settings.seed, clock: clock, plan: settings.plan, leadsToInternet: settings.leadsToInternet, totalMemory: settings.memory,
            // What dom0 has on a server of that size.
            controlMemory: max(.gibibytes(2), ByteCount(rawValue: settings.memory.rawValue / 8)), processors: settings.processors,
            disk: DiskSpace(total: settings.disk, free: settings.disk, overlays: .zero)
        ) { deed in
            switch deed {
            case .built(let domain, _), .letRun(let domain), .paused(let domain), .destroyed(let domain): changed.yield(domain)
            case .laid, .removed, .hadNoMemory, .restored, .sealed, .dropped: break
            }
        }
        connection = SimulatedConnection(to: server)
        disks = LiveDisks(connection)
    }

    /// The domains there are now.
    public var domains: [DomainUUID: SimulatedServer.Domain] { server.domains }

    /// Keeps the desktops' ports until it is cancelled or shut down; then all of them are closed.
    public func run() async throws {
        var ports: [DomainUUID: DesktopPort] = [:]
        try await withThrowingDiscardingTaskGroup { boots in
            for await domain in changes.cancelOnGracefulShutdown() {
                await settle(domain, &ports) { instant in
                    boots.addTask { [clock, changed] in
                        try? await clock.sleep(until: instant)
                        changed.yield(domain)
                    }
                }
            }
            boots.cancelAll()
        }
        for port in ports.values { await port.close() }
    }

    /// Brings a desktop's port to what its domain is now.
    private func settle(
        _ uuid: DomainUUID, _ ports: inout [DomainUUID: DesktopPort], onceBooted: (SimulatedClock.Instant) -> Void
    ) async {
        guard let domain = server.domains[uuid], let address = domain.address else {
            await ports.removeValue(forKey: uuid)?.close()
            return
        }
        let hasBooted = domain.answersFrom.map { $0 <= clock.now.offset } ?? false
        let answers = hasBooted && domain.activity == .running
        if let port = ports[uuid] { return port.answers(answers) }
        guard domain.activity == .running, let booted = domain.answersFrom else { return }
        guard answers else { return onceBooted(SimulatedClock.Instant(offset: booted)) }
        do {
            let certificate = try SelfSignedCertificate(names: [domain.name, address.description])
            ports[uuid] = try await DesktopPort.open(at: address, settings.port, certificate: certificate)
        } catch {
            logger.error(
                "a simulated desktop has no RDP port",
                metadata: ["desktop": "\(domain.name)", "address": "\(address):\(settings.port)", "cause": "\(error)"])
        }
    }

    // MARK: What happens to guests

    /// A guest stops doing anything, and says nothing of it.
    public func guestHangs(_ domain: DomainUUID) {
        server.guestHangs(domain)
        changed.yield(domain)
    }

    /// A guest switches itself off, asks to be started anew or crashes.
    public func guestEnds(_ domain: DomainUUID, _ kind: DomainEvent.Kind) {
        server.guestEnds(domain, kind)
        changed.yield(domain)
    }

    /// Somebody ends a domain behind the daemon's back.
    public func endFromOutside(_ domain: DomainUUID) {
        server.endFromOutside(domain)
        changed.yield(domain)
    }

    /// How often things go wrong from now on.
    public func setFaults(_ faults: SimulatedServer.Faults) { server.setFaults(faults) }
}
