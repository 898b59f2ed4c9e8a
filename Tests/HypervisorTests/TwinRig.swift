import DesktopModel
import Hypervisor
import HypervisorContract
import Synchronization

/// The twin under test, by a clock that goes on some hundred times as fast as a wall's.
final class TwinRig: DomainRig, DiskRig, AddressRig {
    private static let installation: UInt64 = 0x7077_696e
    private static let foreign = DomainUUID(installation: 0xfeed, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))
    /// How often a guest says that it lives.
    private static let pace = Duration.milliseconds(200)

    let server: SimulatedServer
    let connection: SimulatedConnection
    let events: EventLog
    let subnet: IPv4Subnet
    let rounds = 12
    let crowd = 12
    let blank = SimulatedServer.folder + "own.blank.qcow2"
    let rubbish = SimulatedServer.folder + "rubbish"
    private let pacemaker: Task<Void, Never>
    private let deeds: Deeds
    private let anew = Mutex<[SimulatedConnection]>([])

    private final class Deeds: Sendable {
        let numbers = Mutex<UInt32>(0)
        let wanted = Mutex<[DomainUUID: GuestDeed]>([:])
        /// Set once, before the first deed.
        let server = Mutex<SimulatedServer?>(nil)

        func next() -> UInt32 {
            numbers.withLock { number in
                number += 1
                return number
            }
        }

        /// A guest that is let run does what it is for.
        func see(_ deed: SimulatedServer.Deed) {
            guard case .letRun(let uuid) = deed, let server = server.withLock({ $0 }) else { return }
            switch wanted.withLock({ $0[uuid] }) {
            case .poweroff, .reboot: server.guestEnds(uuid, .shutDown)
            case .crash: server.guestEnds(uuid, .crashed)
            case .idle: server.guestIgnoresIdentity(uuid)
            case .takesOver, nil: break
            }
        }
    }

    init() {
        let clock = SimulatedClock()
        let deeds = Deeds()
        subnet = IPv4Subnet("10.88.0.0/24")!  // the text is a network
        server = SimulatedServer(seed: .random(in: 0...UInt64.max), clock: clock, plan: AddressPlan(subnet: subnet)) { deeds.see($0) }
        deeds.server.withLock { [server] in $0 = server }
        self.deeds = deeds
        connection = SimulatedConnection(to: server)
        events = EventLog(connection.events)
        pacemaker = Task {
            while !Task.isCancelled {
                // By small steps, so that all who are awake do what they are about to before what sleeps long is over.
                try? await Task.sleep(for: .microseconds(200))
                let next = clock.now.advanced(by: .milliseconds(50))
                while let deadline = clock.nextDeadline, deadline <= next { clock.advance() }
                if clock.now < next { clock.pass(clock.now.duration(to: next)) }
            }
        }
        server.setFile(rubbish, .init(kind: .other, content: "rubbish", size: .kibibytes(4)))
        server.setFile(blank, .init(kind: .disk, content: "blank", size: .kibibytes(196)))
    }

    func stop() { pacemaker.cancel() }

    // MARK: Domains

    var host: any DomainHost { connection }

    func plan(_ desktop: UInt32, does deed: GuestDeed, memory: ByteCount?) async throws -> DomainPlan {
        let id = DesktopID(rawValue: desktop)
        let generation = Generation(rawValue: deeds.next())
        let overlay = try await connection.layOverlay(of: blank, for: OverlayName(desktop: id, generation: generation))
        guard let addresses = connection.addresses(of: Place(rawValue: Int(desktop))) else { throw Broken("the network is too small") }
        let uuid = DomainUUID(installation: Self.installation, desktop: id, generation: generation)
        deeds.wanted.withLock { $0[uuid] = deed }
        return DomainPlan(
            uuid: uuid, name: "twin-\(desktop)-g\(generation)", boot: .pv, kernel: "/kernel", ramdisk: "/ramdisk", commandLine: "",
            profile: Profile(vcpus: 1, memory: memory ?? .mebibytes(160)), overlay: overlay, mac: addresses.mac, address: addresses.address)
    }

    func heartbeat(of plan: DomainPlan) async throws -> Heartbeat? {
        guard let domain = server.domains[plan.uuid], let mac = domain.mac, domain.runs > 0 else { return nil }
        let ran = domain.hasRun + (domain.runsSince.map { server.clock.now.offset - $0 } ?? .zero)
        let count = Int(ran / Self.pace)
        return count > 0 ? Heartbeat(count: count, mac: mac) : nil
    }

    func letPass(_ time: Duration) async throws { try await server.clock.sleep(for: time) }

    func endFromOutside(_ domain: RunningDomain) async throws { server.endFromOutside(domain.uuid) }

    func startForeign() async throws -> DomainUUID {
        server.addForeign(Self.foreign, name: "foreign", memory: .mebibytes(160))
        return Self.foreign
    }

    func connectAnew() async throws -> any DomainHost {
        let connection = SimulatedConnection(to: server)
        anew.withLock { $0.append(connection) }
        return connection
    }

    func freshPath() -> String { "\(SimulatedServer.folder)fresh-\(deeds.next())" }
    func fileExists(_ path: String) -> Bool { server.files[path] != nil }

    func remains() async throws -> [String] { server.domains.values.map(\.name) }

    func sweep() async throws {
        for domain in try await connection.domains() { try await connection.destroy(domain.uuid) }
        for connection in anew.withLock({ $0 }) { connection.cut() }
        for overlay in server.overlays { try await connection.removeOverlay(overlay) }
        for path in try imageFiles() { server.setFile(path, nil) }
        for checkpoint in try await connection.checkpoints() { try await connection.removeCheckpoint(checkpoint) }
    }

    // MARK: Disks

    var disks: any DiskStore { connection }

    func given() async throws -> ImageFiles {
        let stem = freshPath()
        let image = ImageFiles(disk: "\(stem).qcow2", kernel: "\(stem).kernel", ramdisk: "\(stem).ramdisk", diskChecksum: nil)
        server.setFile(image.disk, .init(kind: .disk, content: "golden", size: .mebibytes(640)))
        server.setFile(image.kernel, .init(kind: .kernel, content: "kernel", size: .mebibytes(8)))
        server.setFile(image.ramdisk, .init(kind: .ramdisk, content: "ramdisk", size: .mebibytes(8)))
        return image
    }

    func remove(_ path: String) throws { server.setFile(path, nil) }

    func spoil(_ path: String) throws { server.setFile(path, .init(kind: .other, content: "spoilt", size: .kibibytes(1))) }

    func putMemory(at path: String) throws { server.setFile(path, .init(kind: .other, content: "memory", size: .mebibytes(160))) }

    func content(of path: String) throws -> String? { server.files[path]?.content }

    func write(into path: String) throws {
        guard var file = server.files[path] else { throw Broken("'\(path)' is gone") }
        file.content += ", written to"
        file.size += .mebibytes(1)
        server.setFile(path, file)
    }

    func addStray(_ name: String) throws { server.setFile(name, .init(kind: .other, content: "stray", size: .kibibytes(1))) }

    func whileFull(_ body: () async throws -> Void) async throws {
        server.setFreeDisk(.zero)
        defer { server.setFreeDisk(server.disk.free) }
        try await body()
    }

    func imageFiles() throws -> Set<String> { Set(server.files.keys.filter { $0.hasPrefix(SimulatedServer.folder + "images/") }) }

    // MARK: Addresses

    var network: any AddressBook { connection }
    func connectAnew() async throws -> any AddressBook { SimulatedConnection(to: server) }
    func online() async throws -> Set<IPv4Address> { server.online }
}
