import ArgumentParser
import Broker
import DesktopModel
import DesktopStore
import FoundationEssentials
import Hypervisor
import Logging

/// Times the hand-out inside punnetd: from a claim to its answer, with the lease on the disk and a real domain let run.
///
/// Reducer, store and Xen are the daemon's own. Only the making of a desktop is left out, which would take a minute each time: all desktops stand for
/// one small parked domain, which is paused again where it would be made anew.
struct HandOutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "handout", abstract: "Times hand-outs with the lease on the disk, as JSON.")
    @OptionGroup var options: XenOptions
    @Option(help: "How often.")
    var count = 1000

    func run() async throws {
        let rig = try await options.rig()
        let plan = try await rig.plan(desktop: 1, generation: 1, does: .idle)
        try await rig.host.create(plan)
        let folder = "\(options.work)/handout"
        try? FileManager.default.removeItem(atPath: folder)
        let durations = try await handOuts(rig, plan, folder)
        print("{\"count\": \(count), \"handout\": \(Figures(durations).json)}")
        try? FileManager.default.removeItem(atPath: folder)
        await rig.clean()
    }

    private func handOuts(_ rig: Rig, _ plan: DomainPlan, _ folder: String) async throws -> [Duration] {
        var logger = Logger(label: "punnet-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        guard let subnet = IPv4Subnet(options.subnet) else { throw ValidationError("'\(options.subnet)' is no network") }
        let store = try DesktopStore(path: "\(folder)/punnet.db")
        let parked = ParkedDomain(host: rig.host, uuid: plan.uuid)
        let broker = Broker(
            store: store, host: parked, disks: NoDisks(), network: rig.network, addresses: AddressPlan(subnet: subnet),
            readiness: Readiness { _ in [UInt8](repeating: 1, count: 32) }, logger: logger)
        let image = try await store.addImage(
            NewImageVersion(
                image: "bench", version: 1, boot: plan.boot, disk: "/", kernel: plan.kernel, ramdisk: plan.ramdisk, blankOverlay: "/",
                commandLine: plan.commandLine, account: Account(user: "bench", password: "bench"), checksum: String(repeating: "0", count: 64),
                diskSize: .mebibytes(1), minimumMemory: .mebibytes(16)))
        let lab = try await store.addLab(
            name: "bench", image: image.id, profile: Profile(vcpus: 1, memory: .mebibytes(16)), size: 4, grace: .seconds(60),
            afterSession: .claimAgain)
        let seat = try await store.addSeat(name: "bench", lab: lab.id, wordHash: [UInt8](repeating: 1, count: 32), wordExpires: 1)
        let running = Task { try await broker.run() }
        defer { running.cancel() }

        let sessions = SessionBroker(broker)
        let administration = Administration(broker, store: store)
        let clock = ContinuousClock()
        var durations: [Duration] = []
        while durations.count < count {
            let began = clock.now
            guard case .leased(let lease)? = try? await sessions.claim(seat.id, bootID: "boot-\(durations.count)", from: "10.77.0.101") else {
                try await Task.sleep(for: .milliseconds(5))
                continue
            }
            durations.append(clock.now - began)
            try await sessions.end(lease.session, of: seat.id, reason: .logOff)
            // The next one claims when the desktops stand again, as in a room at rest.
            while try await administration.desktops(lab: nil).contains(where: { $0.state != .ready }) {
                try await Task.sleep(for: .milliseconds(2))
            }
        }
        return durations
    }
}

/// One real parked domain in the place of all desktops' domains.
private final class ParkedDomain: DomainHost {
    private let host: any DomainHost
    private let uuid: DomainUUID
    let events = AsyncStream<DomainEvent> { _ in }

    init(host: any DomainHost, uuid: DomainUUID) {
        self.host = host
        self.uuid = uuid
    }

    func create(_ plan: DomainPlan) async throws(HypervisorError) {}
    func restore(_ plan: DomainPlan, from save: String) async throws(HypervisorError) {}
    func save(_ domain: DomainUUID, to file: String) async throws(HypervisorError) {}
    func shrink(_ domain: DomainUUID) async throws(HypervisorError) -> ByteCount { .zero }
    func serve(_ domain: DomainUUID, with memory: ByteCount) async throws(HypervisorError) {}
    func pause(_ domain: DomainUUID) async throws(HypervisorError) { try await host.pause(uuid) }
    func unpause(_ domain: DomainUUID) async throws(HypervisorError) { try await host.unpause(uuid) }
    func destroy(_ domain: DomainUUID) async throws(HypervisorError) { try await host.pause(uuid) }
    func announce(_ identity: DesktopIdentity, to domain: DomainUUID) async throws(HypervisorError) {}
    func settled(_ domain: DomainUUID, call: String) async throws {}
    func domains() async throws(HypervisorError) -> [RunningDomain] { [] }
    func capacity() async throws(HypervisorError) -> HostCapacity { try await host.capacity() }
    func consoleTail(of name: String) async throws(HypervisorError) -> [String] { [] }
    func removeConsole(of name: String) async throws(HypervisorError) {}
    func consoles() async throws(HypervisorError) -> [String] { [] }
}

/// No overlays: the parked domain keeps its own.
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
    func space() async throws(HypervisorError) -> DiskSpace { DiskSpace(total: .gibibytes(8), free: .gibibytes(8), overlays: .zero) }
}
