import DesktopModel
import Hypervisor
import Logging
import Synchronization
import Testing

@testable import Broker

/// The desktops' network, and one that answers for it but is slow, or away.
struct NetworkTests {
    /// A network that stood when it was first asked for, and then is as it is told to be.
    private final class Network: AddressBook {
        enum Answer { case none, failure, success }

        let plan: AddressPlan
        private let asked = Mutex(0)
        private let later: Mutex<Answer>
        private let silence = AsyncStream.makeStream(of: Never.self)

        init(_ plan: AddressPlan, later: Answer) {
            self.plan = plan
            self.later = Mutex(later)
        }

        var timesAsked: Int { asked.withLock { $0 } }
        var places: Int { plan.places }
        func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }
        var leadsToInternet: Bool { true }
        func openInternet(to _: Set<Place>) async throws(HypervisorError) {}

        func prepare() async throws(HypervisorError) {
            let count = asked.withLock { asked in
                asked += 1
                return asked
            }
            guard count > 1 else { return }
            switch later.withLock({ $0 }) {
            case .none: for await _ in silence.stream {}
            case .failure: throw .unavailable("libvirt")
            case .success: return
            }
        }

        func answer(_ answer: Answer) {
            later.withLock { $0 = answer }
            silence.continuation.finish()
        }
    }

    private let server = SimulatedServer(
        seed: 1, clock: SimulatedClock(speed: 20), plan: AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!))
    private let blank = SimulatedServer.folder + "blank"

    /// A room whose one desktop's overlay cannot be laid at first, which may be for want of anything: the network is looked after.
    private func withRoom(on network: Network, _ body: (Broker) async throws -> Void) async throws {
        let connection = SimulatedConnection(to: server)
        let world = try World()
        _ = try await world.furnish(size: 1, blank: blank)
        let broker = Broker(
            store: world.store, host: connection, disks: connection, network: network, addresses: server.plan,
            readiness: Readiness { [server] in try server.askRDP($0) }, clock: BrokerClock(server.clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await broker.run() }
        defer {
            network.answer(.success)
            running.cancel()
        }
        await broker.wait { $0.desktops.values.contains { $0.failure?.count ?? 0 > 1 } }
        try await body(broker)
    }

    /// What its overlay is laid of is there from now on; the desktop must become ready.
    private func becomesReady(_ broker: Broker) async {
        server.setFile(blank, SimulatedServer.File(kind: .disk, content: "blank", size: .mebibytes(1)))
        await broker.wait { $0.desktops.values.contains { $0.state == .ready } }
    }

    @Test(.timeLimit(.minutes(2)))
    func desktopsAreMadeThoughNobodyAnswersForANetworkThatStood() async throws {
        let network = Network(server.plan, later: .none)
        try await withRoom(on: network) { broker in
            #expect(network.timesAsked == 2, "one question waits for its answer; none is added to it")
            await becomesReady(broker)
            #expect(network.timesAsked == 2)
        }
    }

    @Test(.timeLimit(.minutes(2)))
    func whatWasWrongWithTheNetworkIsNotToldAnyMoreOnceItIsOver() async throws {
        let network = Network(server.plan, later: .failure)
        try await withRoom(on: network) { broker in
            await becomesReady(broker)
            #expect(await broker.troubles["network"]?.contains("libvirt") == true)
            network.answer(.success)
            while await broker.troubles["network"] != nil { try await Task.sleep(for: .milliseconds(5)) }
        }
    }
}
