import DesktopModel
import DesktopStore
import Foundation
import Hypervisor
import Logging
import Testing

@testable import Broker

/// What administrators ask of a broker that lives, over its database and the twin of a server.
struct AdministrationTests {
    @Test func changesOfALabThatAreAskedForAtTheSameTimeAreAllKept() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        // The subnet is written here.
        let plan = AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!)
        let clock = SimulatedClock(speed: 10_000)
        let connection = SimulatedConnection(to: SimulatedServer(seed: 1, clock: clock, plan: plan))
        let broker = Broker(
            store: world.store, host: connection, disks: connection, network: connection, addresses: plan, clock: BrokerClock(clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await broker.run() }
        await broker.adopted()
        let administration = Administration(broker, store: world.store)
        for round in 1...30 {
            async let size = administration.changeLab(lab.name, LabChange(size: round % 3))
            async let grace = administration.changeLab(lab.name, LabChange(grace: .seconds(round)))
            _ = try await (size, grace)
            let stored = try #require(try await world.store.room().labs.first)
            #expect(stored.size == round % 3)
            #expect(stored.grace == .seconds(round))
            #expect(await broker.room.labs[lab.id] == stored)
        }
        running.cancel()
        try? await running.value
    }
}
