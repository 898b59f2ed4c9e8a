import DesktopModel
import DesktopStore
import Hypervisor
import Logging
import Synchronization
import Testing

@testable import Broker

/// To whom the internet is open: the desktops of the labs that say so. That it is so after each event of every history, `World` looks.
struct InternetTests {
    private let world: World
    init() throws { world = try World() }

    private func places(_ history: History, _ labs: Lab...) -> Set<Place> {
        Set(history.room.desktops.values.filter { desktop in labs.contains { $0.id == desktop.lab } }.map(\.place))
    }

    private func change(_ lab: Lab, in history: inout History, _ change: (inout Lab) -> Void) async throws -> Lab {
        var changed = lab
        change(&changed)
        try await world.store.updateLab(changed)
        history.take(.labChanged(changed))
        return changed
    }

    @Test func itIsOpenToTheDesktopsOfTheLabsThatSaySo() async throws {
        let labs = try await world.furnish(labs: 2, size: 2)
        var history = try await History(world)
        try await history.settle()
        #expect(world.online.isEmpty, "a new lab's are kept from it")
        let states = history.states()
        let first = try await change(labs[0], in: &history) { $0.internet = true }
        #expect(world.online == places(history, first) && world.online.count == 2)
        let second = try await change(labs[1], in: &history) { $0.internet = true }
        #expect(world.online == places(history, first, second) && world.online.count == 4)
        let closed = try await change(first, in: &history) { $0.internet = false }
        #expect(world.online == places(history, second))
        #expect(history.states() == states, "no desktop is made anew for it")
        _ = try await change(closed, in: &history) { $0.grace = .seconds(5) }
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func itFollowsDesktopsThatComeAndGo() async throws {
        let lab = try await world.furnish(size: 1, internet: true)[0]
        var history = try await History(world)
        try await history.settle()
        let larger = try await change(lab, in: &history) { $0.size = 3 }
        try await history.settle()
        #expect(world.online.count == 3)
        // A place that was left is another lab's now, which has no internet.
        _ = try await change(larger, in: &history) { $0.size = 0 }
        try await history.settle()
        #expect(world.online.isEmpty)
        let other = try await world.store.addLab(
            Lab(
                id: LabID(rawValue: 0), name: "other", image: lab.image, profile: lab.profile, size: 2, grace: .seconds(60), afterSession: .claimAgain))
        history.take(.labChanged(other))
        try await history.settle()
        #expect(places(history, other).count == 2 && world.online.isEmpty)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aDaemonThatStartsSaysItAnewOnceItHasAdopted() async throws {
        let lab = try await world.furnish(size: 2, internet: true)[0]
        var history = try await History(world)
        try await history.settle()
        let before = world.online
        #expect(before == places(history, lab) && before.count == 2)
        // Whatever the set has become meanwhile.
        for meanwhile in [[], [Place(rawValue: 200)], before] {
            world.online = meanwhile
            try await history.crash()
            #expect(world.online == before)
        }
        // The lab was changed, and the daemon was killed before it did anything about it.
        var closed = lab
        closed.internet = false
        try await world.store.updateLab(closed)
        try await history.crash()
        #expect(world.online.isEmpty)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aDaemonWithoutAnythingToAdoptClosesWhatWasLeftOpen() async throws {
        world.online = [Place(rawValue: 3)]
        _ = try await History(world)
        #expect(world.online.isEmpty)
    }

    @Test func aServerThatDoesNotLeadThereOpensItToNobodyAndRefusesTheWish() async throws {
        world.leadsToInternet = false
        let lab = try await world.furnish(size: 1, internet: true)[0]
        var history = try await History(world)
        try await history.settle()
        #expect(world.online.isEmpty)
        let room = history.room
        let refusal = #expect(throws: BrokerError.self) { try room.lab(named: lab.name, after: LabChange(internet: true)) }
        #expect(refusal?.description.contains("network.internet: true") == true)
        #expect(try room.lab(named: lab.name, after: LabChange(grace: .seconds(5))).internet, "what it has said before may stay")
        #expect(try !room.lab(named: lab.name, after: LabChange(internet: false)).internet)
    }

    @Test func whatAChangeMeansIsToldBefore() async throws {
        let lab = try await world.furnish(size: 1)[0]
        var history = try await History(world)
        try await history.settle()
        let room = history.room
        #expect(try room.consequences(of: room.lab(named: lab.name, after: LabChange(internet: true))) == [.internetOpened])
        let open = try await change(lab, in: &history) { $0.internet = true }
        #expect(try history.room.consequences(of: lab) == [.internetClosed])
        #expect(try history.room.consequences(of: open) == [.nothing])
    }

    // MARK: A network that lives

    /// A network whose rules cannot be changed for a while, and whose rules were gone when it is first prepared.
    private final class Network: AddressBook {
        struct State {
            var fails = 0
            /// To whom it is open; nil until that was said.
            var online: Set<Place>?
            var isPrepared = false
        }

        let plan = AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!)  // the text is a network
        let state = Mutex(State())
        var places: Int { plan.places }
        var leadsToInternet: Bool { true }
        func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }

        func prepare() async throws(HypervisorError) {
            while state.withLock({ $0.online == nil }) { try? await Task.sleep(for: .milliseconds(1)) }
            state.withLock { state in
                state.online = []
                state.isPrepared = true
            }
        }

        func openInternet(to places: Set<Place>) async throws(HypervisorError) {
            try? await Task.sleep(for: .milliseconds(20))
            let fails = state.withLock { state in
                state.fails -= 1
                if state.fails < 0 { state.online = places }
                return state.fails >= 0
            }
            if fails { throw .failed(call: "nft", code: 1, detail: "busy") }
        }
    }

    @Test(.timeLimit(.minutes(2))) func whatCouldNotBeSetIsToldAndTriedAgainUntilItIs() async throws {
        let lab = try await world.furnish(size: 2, internet: true)[0]
        let network = Network()
        let clock = SimulatedClock(speed: 20)
        let server = SimulatedServer(seed: 1, clock: clock, plan: network.plan)
        let connection = SimulatedConnection(to: server)
        network.state.withLock { $0.fails = 3 }
        let broker = Broker(
            store: world.store, host: connection, disks: connection, network: network, addresses: network.plan, clock: BrokerClock(clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await broker.run() }
        defer { running.cancel() }
        while await broker.troubles["internet"]?.contains("busy") != true { try await Task.sleep(for: .milliseconds(1)) }
        while await broker.troubles["internet"] != nil { try await Task.sleep(for: .milliseconds(1)) }
        let wanted = Set([Place(rawValue: 1), Place(rawValue: 2)])
        while network.state.withLock({ !$0.isPrepared || $0.online != wanted }) { try await Task.sleep(for: .milliseconds(1)) }

        let administration = Administration(broker, store: world.store)
        _ = try await administration.changeLab(lab.name, LabChange(internet: false))
        #expect(network.state.withLock { $0.online } == [], "it is so once that is answered")
        #expect(try await world.store.room().labs.map(\.internet) == [false])
        _ = try await administration.changeLab(lab.name, LabChange(internet: true))
        #expect(network.state.withLock { $0.online } == wanted)
        network.state.withLock { $0.fails = 1 }
        #expect(try await !administration.changeLab(lab.name, LabChange(internet: false)).lab.internet)
        let trouble = await broker.troubles["internet"]
        #expect(trouble?.contains("busy") == true, "what was asked for is kept, and that it is not so yet is told")
        while network.state.withLock({ $0.online }) != [] { try await Task.sleep(for: .milliseconds(1)) }
    }
}
