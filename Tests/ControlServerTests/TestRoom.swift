import DesktopModel
import DesktopStore
import Hypervisor
import Identity
import Logging
import ServiceLifecycle
import Synchronization

@testable import Broker

/// A real broker over a real database, on a server where no desktop can be started: its seats wait.
struct TestRoom: Sendable {
    let broker: Broker
    let seats: SeatRegistry
    let administration: Administration
    let people: PeopleRegistry
    /// The code for the first start that was drawn last.
    let code: ShownCode
    private let store: DesktopStore

    /// One lab `room1` of one desktop, made of one version of one image.
    static func make(in folder: String, leadsToInternet: Bool = true) async throws -> TestRoom {
        let store = try DesktopStore(path: folder + "/data/punnet.db")
        let image = try await store.addImage(Self.image(1))
        _ = try await store.addLab(
            Lab(
                id: LabID(rawValue: 0), name: "room1", image: image.id, profile: Profile(vcpus: 1, memory: .mebibytes(512)), size: 1,
                grace: .seconds(60), afterSession: .claimAgain))
        guard let subnet = IPv4Subnet("10.88.0.0/24") else { preconditionFailure("the subnet is written here") }
        let server = ServerWithoutXen(plan: AddressPlan(subnet: subnet), leadsToInternet: leadsToInternet)
        let broker = Broker(
            store: store, host: server, disks: server, network: server, addresses: server.plan,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let code = ShownCode()
        return TestRoom(
            broker: broker, seats: SeatRegistry(broker, store: store), administration: Administration(broker, store: store),
            people: PeopleRegistry(broker, store: store) { code.show($0) }, code: code, store: store)
    }

    private static func image(_ version: Int) -> NewImageVersion {
        NewImageVersion(
            image: "debian-desktop", version: version, boot: .pv, disk: "/none/disk.qcow2", kernel: "/none/vmlinuz", ramdisk: "/none/initrd",
            blankOverlay: "/none/blank.qcow2", commandLine: "root=/dev/xvda", account: Account(user: "student", password: "secret"),
            checksum: String(repeating: "0", count: 64), diskSize: .gibibytes(4), minimumMemory: .mebibytes(256))
    }

    /// Another version of the image, as if it had been taken in.
    func addImage(_ version: Int) async throws {
        await broker.deliver(.imageIs(try await store.addImage(Self.image(version))))
    }
}

/// What the server's console shows.
final class ShownCode: Sendable {
    private let shown = Mutex<String?>(nil)
    var text: String? { shown.withLock(\.self) }
    func show(_ code: String?) { shown.withLock { $0 = code } }
}

/// A server with memory and disk whose Xen does not answer.
struct ServerWithoutXen: DomainHost, DiskStore, AddressBook {
    let plan: AddressPlan
    let leadsToInternet: Bool
    private let absent = HypervisorError.unavailable("there is no Xen here")

    init(plan: AddressPlan, leadsToInternet: Bool = true) {
        self.plan = plan
        self.leadsToInternet = leadsToInternet
    }

    func create(_: DomainPlan) async throws(HypervisorError) { throw absent }
    func restore(_: DomainPlan, from _: String) async throws(HypervisorError) { throw absent }
    func save(_: DomainUUID, to _: String) async throws(HypervisorError) { throw absent }
    func shrink(_: DomainUUID) async throws(HypervisorError) -> ByteCount { throw absent }
    func serve(_: DomainUUID, with _: Profile) async throws(HypervisorError) { throw absent }
    func pause(_: DomainUUID) async throws(HypervisorError) { throw absent }
    func unpause(_: DomainUUID) async throws(HypervisorError) { throw absent }
    func destroy(_: DomainUUID) async throws(HypervisorError) {}
    func announce(_: DesktopIdentity, to _: DomainUUID) async throws(HypervisorError) { throw absent }
    func settled(_: DomainUUID, call _: String) async throws { throw absent }
    func domains() async throws(HypervisorError) -> [RunningDomain] { [] }
    func capacity() async throws(HypervisorError) -> HostCapacity {
        HostCapacity(totalMemory: .gibibytes(4), freeMemory: .gibibytes(2), controlMemory: .gibibytes(2), processors: 2)
    }
    func consoleTail(of _: String) async throws(HypervisorError) -> [String] { [] }
    func removeConsole(of _: String) async throws(HypervisorError) {}
    func consoles() async throws(HypervisorError) -> [String] { [] }
    var events: AsyncStream<DomainEvent> { AsyncStream { _ in } }

    func layOverlay(of _: String, for overlay: OverlayName) async throws(HypervisorError) -> String { "/none/\(overlay)" }
    func removeOverlay(_: OverlayName) async throws(HypervisorError) {}
    func overlays() async throws(HypervisorError) -> [OverlayName] { [] }
    /// The image `slow` is taken in until that is cancelled.
    func takeIn(
        _: ImageFiles, as name: String, version _: Int, progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> StoredImage {
        progress(.gibibytes(1), .gibibytes(4))
        while name == "slow", !Task.isCancelled { try? await Task.sleep(for: .seconds(60)) }
        throw absent
    }
    func removeImage(_: String, version _: Int) async throws(HypervisorError) {}
    func beginCheckpoint(_: CheckpointID) async throws(HypervisorError) -> String { throw absent }
    func sealCheckpoint(_: CheckpointID, from _: OverlayName) async throws(HypervisorError) { throw absent }
    func layOverlay(over _: CheckpointID, for overlay: OverlayName) async throws(HypervisorError) -> String { "/none/\(overlay)" }
    func memory(of checkpoint: CheckpointID) -> String { "/none/\(checkpoint)" }
    func removeCheckpoint(_: CheckpointID) async throws(HypervisorError) {}
    func checkpoints() async throws(HypervisorError) -> [CheckpointID] { [] }
    func space() async throws(HypervisorError) -> DiskSpace {
        DiskSpace(total: .gibibytes(100), free: .gibibytes(90), overlays: .zero)
    }

    func prepare() async throws(HypervisorError) {}
    func openInternet(to _: Set<Place>) async throws(HypervisorError) {}
    func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }
    var places: Int { plan.places }
}
