import DesktopModel
import Foundation
import Hypervisor
import Logging
import Testing

@testable import Broker

@Suite struct ServerWorkTests {
    private func domain(_ number: UInt32, _ worked: Int, of installation: UInt64 = 1) -> RunningDomain {
        let uuid = DomainUUID(installation: installation, desktop: DesktopID(rawValue: number), generation: Generation(rawValue: 1))
        return RunningDomain(uuid: uuid, name: "\(number)", activity: .running, memory: .gibibytes(1), vcpus: 1, worked: .seconds(worked))
    }

    private func capacity(_ worked: Int) -> HostCapacity {
        HostCapacity(
            totalMemory: .gibibytes(4), freeMemory: .gibibytes(2), controlMemory: .gibibytes(2), processors: 8, controlWorked: .seconds(worked))
    }

    @Test func whatProcessorsWorkOnlyGrowsWhateverComesAndGoes() {
        var work = ServerWork()
        work.look(capacity(100), [domain(1, 5000), domain(9, 70, of: 2)], of: 1)
        #expect((work.processors, work.control) == (8, .seconds(100)))
        #expect((work.desktops, work.others) == (.zero, .zero), "what was there at first counts from then on")
        work.look(capacity(110), [domain(1, 5007), domain(2, 3), domain(9, 71, of: 2)], of: 1)
        #expect((work.control, work.desktops, work.others) == (.seconds(110), .seconds(10), .seconds(1)))
        // A desktop that is gone takes nothing back, and an answer that came late neither.
        work.look(capacity(109), [domain(2, 2)], of: 1)
        #expect((work.control, work.desktops, work.others) == (.seconds(110), .seconds(10), .seconds(1)))
        work.look(capacity(120), [domain(2, 5)], of: 1)
        #expect((work.control, work.desktops) == (.seconds(120), .seconds(12)))
    }
}

@Suite struct ServerLoadTests {
    @Test func howBusyTheProcessorsAreIsKnownWhileSomebodyWatches() async throws {
        let world = try World()
        let plan = AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!)
        let clock = SimulatedClock(speed: 50)
        let connection = SimulatedConnection(to: SimulatedServer(seed: 1, clock: clock, plan: plan))
        let broker = Broker(
            store: world.store, host: connection, disks: connection, network: connection, addresses: plan, clock: BrokerClock(clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await broker.run() }
        await broker.adopted()
        func load(is wanted: (ServerLoad?) -> Bool) async throws -> Bool {
            let end = ContinuousClock.now + .seconds(30)
            while ContinuousClock.now < end {
                if wanted(try await broker.roomReport().load) { return true }
                try await Task.sleep(for: .milliseconds(5))
            }
            return false
        }
        #expect(try await broker.roomReport().load == nil)
        let watching = Task { for await _ in await broker.changes() {} }
        let processors = try await connection.capacity().processors
        #expect(try await load { $0?.processors == processors && (0...1).contains($0?.share ?? -1) })
        watching.cancel()
        #expect(try await load { $0 == nil }, "nobody watches any more")
        running.cancel()
        try? await running.value
    }
}
