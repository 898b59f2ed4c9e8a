import ArgumentParser
import DesktopModel
import FoundationEssentials
import Hypervisor

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
        let room = try await ClaimRoom(
            host: ParkedDomain(host: rig.host, uuid: plan.uuid), network: rig.network, subnet: rig.subnet, boot: plan.boot, memory: .mebibytes(16),
            desktops: 4, seats: 1, atOnce: 2, folder: folder)
        let durations = try await handOuts(in: room)
        room.close()
        print("{\"count\": \(count), \"handout\": \(Figures(durations).json)}")
        try? FileManager.default.removeItem(atPath: folder)
        await rig.clean()
    }

    private func handOuts(in room: ClaimRoom) async throws -> [Duration] {
        let clock = ContinuousClock()
        var durations: [Duration] = []
        while durations.count < count {
            let began = clock.now
            guard case .leased(let lease)? = try? await room.sessions.claim(room.seats[0], bootID: "boot-\(durations.count)", from: "10.77.0.101")
            else {
                try await Task.sleep(for: .milliseconds(5))
                continue
            }
            durations.append(clock.now - began)
            try await room.sessions.end(lease.session, of: room.seats[0], reason: .logOff)
            // The next one claims when the desktops stand again, as in a room at rest.
            try await room.stands()
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
    func serve(_ domain: DomainUUID, with profile: Profile) async throws(HypervisorError) {}
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
