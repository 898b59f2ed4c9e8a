import DesktopModel
import DesktopStore
import Foundation
import Hypervisor

@testable import Broker

/// What is outside the daemon and outlives it: Xen's domains, the overlays, and the real store on a real file. Effects are done to it, and
/// what must never happen there is looked for at every deed.
final class World {
    struct FakeDomain {
        var isPaused: Bool
        /// What it holds, and what it is to have of its desktop's profile.
        var memory: ByteCount
        var promised: ByteCount
        var vcpus: Int
        var overlay: String
    }

    let store: DesktopStore
    let folder: URL
    var domains: [DomainUUID: FakeDomain] = [:]
    var overlays: Set<OverlayName> = []
    /// What guests wrote to their consoles, by their domains' names.
    var consoles: [String: [String]] = [:]
    /// Names that domains have instead of their usual ones.
    var names: [DomainUUID: String] = [:]
    /// Every overlay that was ever laid: none is laid twice.
    var everLaid: Set<OverlayName> = []
    /// Which session each domain was ever leased to.
    var leasedTo: [DomainUUID: SessionID] = [:]
    var totalMemory = ByteCount.gibibytes(6)
    var controlMemory = ByteCount.gibibytes(2)
    /// What Xen holds and no list of domains shows.
    var heldByXen = ByteCount.zero
    var diskFree = ByteCount.gibibytes(80)
    var subnet = "10.88.0.0/24"
    var foreign = DomainUUID(installation: 0xfeed, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))
    var checkpoints: Set<CheckpointID> = []
    /// What a guest keeps of its memory when it is frozen.
    static let kept = ByteCount.mebibytes(192)
    /// Which hypervisor, processor and kernel it is.
    var mark = "world"
    /// Which parked desktops were aired, in their order.
    var aired: [DomainUUID] = []
    /// Whether it leads to the internet, and to which places that is open.
    var leadsToInternet = true
    var online: Set<Place> = []
    /// What must not be; empty at the end.
    var violations: [String] = []

    init(clock: (@Sendable () -> StoredSeconds)? = nil) throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("punnet-broker-\(UUID().uuidString)")
        let path = folder.appendingPathComponent("punnet.db").path
        store = try clock.map { try DesktopStore(path: path, clock: $0) } ?? DesktopStore(path: path)
        domains[foreign] = FakeDomain(isPaused: false, memory: .mebibytes(256), promised: .mebibytes(256), vcpus: 1, overlay: "foreign")
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// One image and one lab, in the store.
    func furnish(
        labs: Int = 1, size: Int, memory: ByteCount = .mebibytes(512), blank: String = "/blank", hasGuest: Bool = false, internet: Bool = false
    ) async throws
        -> [Lab]
    {
        let image = try await store.addImage(
            NewImageVersion(
                image: "debian", version: 1, boot: .pv, disk: "/disk", kernel: "/kernel", ramdisk: "/ramdisk", blankOverlay: blank,
                commandLine: "console=hvc0", account: Account(user: "student", password: "secret"),
                checksum: String(repeating: "0", count: 64), diskSize: .gibibytes(2), minimumMemory: .mebibytes(256),
                hasGuest: hasGuest))
        var result: [Lab] = []
        for number in 1...labs {
            result.append(
                try await store.addLab(
                    Lab(
                        id: LabID(rawValue: 0), name: "room\(number)", image: image.id, profile: Profile(vcpus: 1, memory: memory), size: size,
                        grace: .seconds(60), afterSession: .claimAgain, internet: internet)))
        }
        return result
    }

    func addSeats(_ count: Int, lab: Lab) async throws -> [SeatID] {
        var seats: [SeatID] = []
        for number in 1...count {
            let hash = (0..<32).map { UInt8(truncatingIfNeeded: number &* 7 &+ $0 &+ Int(lab.id.rawValue) &* 101) }
            seats.append(
                try await store.addSeat(name: "\(lab.name)-seat-\(number)", lab: lab.id, wordHash: hash, wordExpires: 4_000_000_000).id)
        }
        return seats
    }

    func newRoom(settings: BrokerSettings = BrokerSettings()) -> Room {
        Room(
            installation: store.installation, settings: settings, addresses: AddressPlan(subnet: IPv4Subnet(subnet)!), leadsToInternet: leadsToInternet,
            now: Instant(sinceStart: .zero))
    }

    func snapshot() async throws -> Snapshot {
        Snapshot(
            stored: try await store.room(),
            seats: Dictionary(uniqueKeysWithValues: try await store.seats().map { ($0.id, RoomSeat(name: $0.name, lab: $0.lab)) }),
            domains: running(), overlays: Array(overlays).sorted { $0.fileName < $1.fileName }, consoles: consoles.keys.sorted(),
            checkpoints: checkpoints.sorted())
    }

    func running() -> [RunningDomain] {
        domains.map { uuid, domain in
            RunningDomain(uuid: uuid, name: names[uuid] ?? "\(uuid)", activity: domain.isPaused ? .paused : .running, memory: domain.memory,
                vcpus: domain.vcpus)
        }.sorted { $0.name < $1.name }
    }

    func measurement() -> ServerMeasurement {
        let used = domains.values.reduce(ByteCount.zero) { $0 + $1.memory }
        return ServerMeasurement(
            host: HostCapacity(
                totalMemory: totalMemory, freeMemory: totalMemory - used - controlMemory - heldByXen, controlMemory: controlMemory,
                processors: 2, mark: mark),
            domains: running(), disk: DiskSpace(total: .gibibytes(100), free: diskFree, overlays: .zero))
    }

    func require(_ holds: Bool, _ what: @autoclosure () -> String) {
        if !holds { violations.append(what()) }
    }

    /// Does a step to the world and tells what came of it.
    func carryOut(_ step: Step, of desktop: DesktopID, _ generation: Generation) -> RoomEvent {
        switch step {
        case .layOverlay(_, let name):
            require(everLaid.insert(name).inserted, "overlay \(name) is laid twice")
            overlays.insert(name)
            return .stepDone(desktop, generation, .overlayLaid(path: name.fileName))
        case .layOverlayOver(let checkpoint, let name):
            require(checkpoints.contains(checkpoint), "a disk is laid over checkpoint \(checkpoint), which is gone")
            require(everLaid.insert(name).inserted, "overlay \(name) is laid twice")
            overlays.insert(name)
            return .stepDone(desktop, generation, .overlayLaid(path: name.fileName))
        case .freeze(let uuid, let overlay, let checkpoint):
            guard domains[uuid] != nil, overlays.remove(overlay) != nil else { return .stepFailed(desktop, generation, step.kind, cause: "gone") }
            domains[uuid] = nil
            checkpoints.insert(checkpoint)
            return .stepDone(desktop, generation, .frozen(memory: Self.kept))
        case .restore(let plan, _), .build(let plan):
            let first = if case .restore = step { Self.kept } else { plan.profile.memory }
            require(plan.memory == first, "desktop \(desktop) begins with \(plan.memory)")
            require(plan.uuid.installation == store.installation, "a domain without our mark is built")
            require(!domains.values.contains { $0.overlay == plan.overlay }, "overlay \(plan.overlay) serves two domains")
            require(!domains.keys.contains { $0.desktop == plan.uuid.desktop && $0 != foreign }, "desktop \(desktop) has two domains")
            let used = domains.values.reduce(ByteCount.zero) { $0 + $1.promised } + plan.profile.memory
            require(used + controlMemory + heldByXen <= totalMemory, "a domain is built that does not fit")
            domains[plan.uuid] = FakeDomain(isPaused: true, memory: plan.memory, promised: plan.profile.memory, vcpus: plan.profile.vcpus,
                overlay: plan.overlay)
            consoles[plan.name] = ["\(plan.name) boots"]
            return .stepDone(desktop, generation, .domainBuilt)
        case .settle(let uuid, let hostname, _):
            guard domains[uuid] != nil else { return .stepFailed(desktop, generation, step.kind, cause: "gone") }
            require(leasedTo[uuid] == nil, "domain \(uuid) was leased and is given another identity")
            domains[uuid]?.isPaused = false
            return .stepDone(desktop, generation, .settled(password: "\(hostname)-g\(generation)"))
        case .awaitReadiness(let uuid, _):
            guard domains[uuid] != nil else { return .stepFailed(desktop, generation, step.kind, cause: "gone") }
            require(leasedTo[uuid] == nil, "domain \(uuid) was leased and is probed again")
            domains[uuid]?.isPaused = false
            return .stepDone(desktop, generation, .answered(fingerprint: [UInt8](repeating: 7, count: 32)))
        case .air(let uuid, _, _):
            guard domains[uuid] != nil else { return .stepFailed(desktop, generation, step.kind, cause: "gone") }
            require(leasedTo[uuid] == nil, "domain \(uuid) is aired under its session")
            domains[uuid]?.isPaused = true
            aired.append(uuid)
            return .stepDone(desktop, generation, .aired)
        case .pause(let uuid):
            guard domains[uuid] != nil else { return .stepFailed(desktop, generation, step.kind, cause: "gone") }
            domains[uuid]?.isPaused = true
            return .stepDone(desktop, generation, .paused)
        case .remove(let uuid, let overlay):
            require(uuid != foreign, "the foreign domain is ended")
            domains[uuid] = nil
            overlays.remove(overlay)
            return .stepDone(desktop, generation, .removed)
        }
    }

    /// Lets a leased desktop run. Its lease must be on the disk, and it was never another session's.
    func unpause(_ session: SessionID, _ uuid: DomainUUID) async throws -> RoomEvent {
        // It may have ended meanwhile: then the domain is on its way out, and tainted since its lease was committed.
        let leases = try await store.sessions(openOnly: false, limit: 10_000)
        require(
            leases.contains { $0.id == session && $0.desktop == uuid.desktop },
            "session \(session) is handed out without a lease on the disk")
        require(leasedTo[uuid, default: session] == session, "domain \(uuid) is leased a second time")
        leasedTo[uuid] = session
        guard domains[uuid] != nil else { return .notUnpaused(session, cause: "gone") }
        domains[uuid]?.isPaused = false
        return .unpaused(session)
    }

    /// What must be true of a room at every moment.
    func inspect(_ room: Room) {
        recount(room)
        let open = room.desktops.values.filter { leadsToInternet && room.labs[$0.lab]?.internet == true }.map(\.place)
        require(online == Set(open), "the internet is open to places \(online), not to \(open)")
        var addresses: Set<Place> = []
        var underWay = 0
        for desktop in room.desktops.values {
            require(addresses.insert(desktop.place).inserted, "two desktops have place \(desktop.place)")
            let uuid = room.uuid(of: desktop)
            switch desktop.state {
            case .ready: require(leasedTo[uuid] == nil, "desktop \(desktop.name) is ready after it was leased in the same generation")
            case .leased(let session): require(room.sessions[session]?.session.desktop == desktop.id, "a lease without a session")
            case .preparing: underWay += 1
            case .empty, .retiring, .quarantined: break
            }
        }
        require(underWay <= room.settings.atOnce, "\(underWay) desktops are being made at once")
        if let capacity = room.capacity {
            let promised = room.promised
            require(promised.memory <= capacity.memory, "more memory is promised than there is")
            require(promised.disk <= capacity.disk, "more disk is promised than there is")
        }
        for session in room.sessions.values {
            require(
                room.desktops[session.session.desktop]?.state == .leased(session.session.id), "session \(session.session.id) has no desktop")
        }
        require(domains[foreign] != nil, "the foreign domain is gone")
    }
}

extension BrokerSettings {
    /// Every desktop is booted, whatever its image holds.
    static var booting: BrokerSettings {
        var settings = BrokerSettings()
        settings.usesCheckpoints = false
        return settings
    }
}
