import Broker
import DesktopModel
import DesktopStore
import FoundationEssentials
import Hypervisor
import Logging

/// The daemon's own reducer, actors and database, with a lab and its seats, on a host of domains that the trial chooses.
struct ClaimRoom {
    let sessions: SessionBroker
    let seats: [SeatID]
    private let administration: Administration
    private let running: Task<Void, any Error>

    /// Begins to fill the lab. The database lies in `folder`, which is emptied first.
    init(
        host: any DomainHost, network: any AddressBook, subnet: IPv4Subnet, boot: BootMode, memory: ByteCount, desktops: Int, seats: Int, atOnce: Int,
        folder: String
    ) async throws {
        var logger = Logger(label: "punnet-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        try? FileManager.default.removeItem(atPath: folder)
        let store = try DesktopStore(path: "\(folder)/punnet.db")
        var settings = BrokerSettings()
        settings.atOnce = atOnce
        let broker = Broker(
            store: store, host: host, disks: NoDisks(), network: network, addresses: AddressPlan(subnet: subnet), settings: settings,
            readiness: Readiness { _ in [UInt8](repeating: 1, count: 32) }, logger: logger)
        let image = try await store.addImage(
            NewImageVersion(
                image: "bench", version: 1, boot: boot, disk: "/", kernel: "/", ramdisk: "/", blankOverlay: "/", commandLine: "",
                account: Account(user: "bench", password: "bench"), checksum: String(repeating: "0", count: 64), diskSize: .mebibytes(1),
                minimumMemory: memory))
        let lab = try await store.addLab(
            Lab(id: LabID(rawValue: 0), name: "bench", image: image.id, profile: Profile(vcpus: 1, memory: memory), size: desktops, grace: .seconds(60),
            afterSession: .claimAgain))
        var ids: [SeatID] = []
        for number in 1...seats {
            let word = (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
            ids.append(try await store.addSeat(name: "bench-\(number)", lab: lab.id, wordHash: word, wordExpires: 1).id)
        }
        self.seats = ids
        sessions = SessionBroker(broker)
        administration = Administration(broker, store: store)
        running = Task { try await broker.run() }
    }

    /// Waits until every desktop stands ready. It asks seldom where that takes long, since asking takes time too.
    func stands() async throws {
        var pause = Duration.milliseconds(1)
        while true {
            let desktops = (try? await administration.desktops(lab: nil)) ?? []
            if !desktops.isEmpty, desktops.allSatisfy({ $0.state == .ready }) { return }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(500))
        }
    }

    func close() { running.cancel() }
}

/// No overlays: whatever runs keeps its own.
private struct NoDisks: DiskStore {
    func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String { overlay.fileName }
    func removeOverlay(_ overlay: OverlayName) async throws(HypervisorError) {}
    func overlays() async throws(HypervisorError) -> [OverlayName] { [] }
    func takeIn(
        _ image: ImageFiles, as name: String, version: Int, progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> StoredImage { throw .unavailable("the bench takes in no image this way") }
    func removeImage(_ name: String, version: Int) async throws(HypervisorError) {}
    func beginCheckpoint(_ id: CheckpointID) async throws(HypervisorError) -> String { memory(of: id) }
    func sealCheckpoint(_ id: CheckpointID, from overlay: OverlayName) async throws(HypervisorError) {}
    func layOverlay(over checkpoint: CheckpointID, for overlay: OverlayName) async throws(HypervisorError) -> String { overlay.fileName }
    func memory(of checkpoint: CheckpointID) -> String { "/\(checkpoint)" }
    func removeCheckpoint(_ id: CheckpointID) async throws(HypervisorError) {}
    func checkpoints() async throws(HypervisorError) -> [CheckpointID] { [] }
    func space() async throws(HypervisorError) -> DiskSpace { DiskSpace(total: .gibibytes(64), free: .gibibytes(64), overlays: .zero) }
}
