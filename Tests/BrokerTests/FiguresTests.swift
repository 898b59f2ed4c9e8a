import DesktopModel
import Hypervisor
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
