import ArgumentParser
import DesktopModel
import FoundationEssentials
import Hypervisor

/// Times claims that come at once, with the lease on the disk: what punnetd itself adds, however many desktops there are.
///
/// Reducer, actors and database are the daemon's own. Behind them nothing is made and nothing takes time.
struct ClaimsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "claims", abstract: "Times claims at once, with the lease on the disk and no desktop behind it, as JSON.",
        discussion: """
            Each round all seats claim at once and end their sessions. Where they are more than half of the desktops, all desktops are ready \
            again before the next; else there are enough, and nothing looks at them.
            """)
    @Option(help: "How many desktops.")
    var desktops = 200
    @Option(help: "How many seats claim at once.")
    var seats = 200
    @Option(help: "How often they do.")
    var rounds = 5
    @Option(help: "A folder for the database; emptied at the end.")
    var work = "/var/tmp/punnet-claims"

    func validate() throws {
        guard (1...1000).contains(desktops) else { throw ValidationError("there may be 1 to 1000 desktops, not \(desktops)") }
        guard (1...desktops).contains(seats) else { throw ValidationError("there may be 1 to \(desktops) seats, one a desktop, not \(seats)") }
        guard rounds > 0 else { throw ValidationError("at least one round") }
    }

    func run() async throws {
        guard let subnet = IPv4Subnet("10.88.0.0/20") else { throw ExitCode(1) }
        let room = try await ClaimRoom(
            host: BareHost(), network: BareNetwork(plan: AddressPlan(subnet: subnet)), subnet: subnet, boot: .pv, memory: .mebibytes(16),
            desktops: desktops, seats: seats, atOnce: desktops, folder: work)
        var durations: [Duration] = []
        try await room.stands()
        for round in 1...rounds {
            if seats > desktops / 2 { try await room.stands() }
            durations += try await withThrowingTaskGroup(of: Duration.self) { claims in
                for seat in room.seats { claims.addTask { try await Self.claim(seat, in: room, round) } }
                return try await claims.reduce(into: []) { $0.append($1) }
            }
        }
        room.close()
        print("{\"desktops\": \(desktops), \"seats\": \(seats), \"rounds\": \(rounds), \"claim\": \(Figures(durations).json)}")
        try? FileManager.default.removeItem(atPath: work)
    }

    /// Claims, and ends what was given; tells how long the answer took.
    private static func claim(_ seat: SeatID, in room: ClaimRoom, _ round: Int) async throws -> Duration {
        let clock = ContinuousClock()
        let began = clock.now
        guard case .leased(let lease) = try await room.sessions.claim(seat, bootID: "boot-\(round)", from: "10.77.0.101") else {
            throw BenchError("a seat had to wait, though a desktop was ready for each")
        }
        let took = clock.now - began
        try await room.sessions.end(lease.session, of: seat, reason: .logOff)
        return took
    }
}

/// A server of 64 GiB on which whatever is asked for is done at once.
private final class BareHost: DomainHost {
    let events = AsyncStream<DomainEvent> { _ in }

    func create(_ plan: DomainPlan) async throws(HypervisorError) {}
    func restore(_ plan: DomainPlan, from save: String) async throws(HypervisorError) {}
    func save(_ domain: DomainUUID, to file: String) async throws(HypervisorError) {}
    func shrink(_ domain: DomainUUID) async throws(HypervisorError) -> ByteCount { .zero }
    func serve(_ domain: DomainUUID, with profile: Profile) async throws(HypervisorError) {}
    func pause(_ domain: DomainUUID) async throws(HypervisorError) {}
    func unpause(_ domain: DomainUUID) async throws(HypervisorError) {}
    func destroy(_ domain: DomainUUID) async throws(HypervisorError) {}
    func announce(_ identity: DesktopIdentity, to domain: DomainUUID) async throws(HypervisorError) {}
    func settled(_ domain: DomainUUID, call: String) async throws {}
    func domains() async throws(HypervisorError) -> [RunningDomain] { [] }
    func capacity() async throws(HypervisorError) -> HostCapacity {
        HostCapacity(totalMemory: .gibibytes(96), freeMemory: .gibibytes(64), controlMemory: .gibibytes(32), processors: 16)
    }
    func consoleTail(of name: String) async throws(HypervisorError) -> [String] { [] }
    func removeConsole(of name: String) async throws(HypervisorError) {}
    func consoles() async throws(HypervisorError) -> [String] { [] }
}

private struct BareNetwork: AddressBook {
    let plan: AddressPlan
    func prepare() async throws(HypervisorError) {}
    var leadsToInternet: Bool { false }
    func openInternet(to _: Set<Place>) async throws(HypervisorError) {}
    func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }
    var places: Int { plan.places }
}
