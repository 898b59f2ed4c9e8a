import DesktopModel
import DesktopStore
import Hypervisor
import Logging
import Synchronization
import Testing

@testable import Broker

/// The desktops' network, and one that answers for it but is slow, or away.
struct NetworkTests {
    /// A network that stood when it was first asked for; from then on nobody answers.
    private final class SilentNetwork: AddressBook {
        let plan: AddressPlan
        private let asked = Mutex(0)
        private let silence = AsyncStream.makeStream(of: Never.self)

        init(_ plan: AddressPlan) { self.plan = plan }

        var timesAsked: Int { asked.withLock { $0 } }
        var places: Int { plan.places }
        func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }

        func prepare() async throws(HypervisorError) {
            let count = asked.withLock { asked in
                asked += 1
                return asked
            }
            guard count > 1 else { return }
            for await _ in silence.stream {}
        }

        func speak() { silence.continuation.finish() }
    }

    @Test(.timeLimit(.minutes(2)))
    func desktopsAreMadeThoughNobodyAnswersForANetworkThatStood() async throws {
        let clock = SimulatedClock(speed: 20)
        let server = SimulatedServer(seed: 1, clock: clock, plan: AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!))
        let connection = SimulatedConnection(to: server)
        let network = SilentNetwork(server.plan)
        defer { network.speak() }
        let world = try World()
        let blank = SimulatedServer.folder + "blank"
        let image = try await world.store.addImage(
            NewImageVersion(
                image: "debian", version: 1, boot: .pv, disk: "/disk", kernel: "/kernel", ramdisk: "/ramdisk", blankOverlay: blank,
                commandLine: "console=hvc0", account: Account(user: "student", password: "secret"),
                checksum: String(repeating: "0", count: 64), diskSize: .gibibytes(2), minimumMemory: .mebibytes(256)))
        _ = try await world.store.addLab(
            name: "room", image: image.id, profile: Profile(vcpus: 1, memory: .mebibytes(512)), size: 1, grace: .seconds(60),
            afterSession: .claimAgain)
        let broker = Broker(
            store: world.store, host: connection, disks: connection, network: network, addresses: server.plan,
            readiness: Readiness { try server.askRDP($0) }, clock: BrokerClock(clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await broker.run() }
        defer { running.cancel() }
        // Its overlay cannot be laid, which may be for want of anything: the network is looked after, and nobody answers.
        await broker.wait { $0.desktops.values.contains { $0.failure?.count ?? 0 > 1 } }
        #expect(network.timesAsked == 2, "one question waits for its answer; none is added to it")
        server.setFile(blank, SimulatedServer.File(kind: .disk, content: "blank", size: .mebibytes(1)))
        await broker.wait { $0.desktops.values.contains { $0.state == .ready } }
        #expect(network.timesAsked == 2)
    }
}
