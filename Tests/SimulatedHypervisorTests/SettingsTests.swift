import DesktopModel
import Hypervisor
import Testing

@testable import punnetd

@Suite struct SettingsTests {
    private func read(_ flags: String..., environment: [String: String] = [:]) async throws -> DaemonSettings {
        try await DaemonSettings.read(
            file: "/nowhere/punnet.yaml", mayBeMissing: true, environment: environment, flags: try DaemonSettings.flags(flags))
    }

    @Test func theServerIsRealUnlessItIsSaidToBeSimulated() async throws {
        #expect(try await read().server == .xen)
        #expect(try await read("hypervisor=simulated").server == .simulated)
        #expect(try await read(environment: ["PUNNET_HYPERVISOR": "simulated"]).server == .simulated)
        await #expect(throws: DaemonSettings.Refusal.value(key: "hypervisor", value: "kvm", range: "xen or simulated")) {
            try await read("hypervisor=kvm")
        }
    }

    @Test func aSimulatedServersDesktopsAreOnLoopbackAndRealOnesAreNot() async throws {
        #expect(try await read().subnet == IPv4Subnet("10.88.0.0/24"))
        #expect(try await read("hypervisor=simulated").subnet == IPv4Subnet("127.88.0.0/24"))
        #expect(try await read("hypervisor=simulated", "network.subnet=127.99.0.0/16").subnet == IPv4Subnet("127.99.0.0/16"))
        await #expect(throws: DaemonSettings.Refusal.self) { try await read("hypervisor=simulated", "network.subnet=10.88.0.0/24") }
        await #expect(throws: DaemonSettings.Refusal.self) { try await read("network.subnet=127.88.0.0/24") }
    }

    @Test func aSimulatedServerIsAsLargeAndAsFastAsItIsSaidToBe() async throws {
        let settings = try await read(
            "hypervisor=simulated", "simulated.memory=24GiB", "simulated.disk=2TiB", "simulated.speed=2.5",
            environment: ["PUNNET_SIMULATED_PROCESSORS": "3"])
        #expect(settings.simulatedMemory == .gibibytes(24))
        #expect(settings.simulatedDisk == .gibibytes(2048))
        #expect(settings.simulatedSpeed == 2.5)
        #expect(settings.simulatedProcessors == 3)
    }

    @Test func asManyDesktopsAreMadeAtOnceAsSuitTheServerUnlessItIsSaid() async throws {
        #expect(try await read().atOnce == nil)
        #expect(try await read("pool.atOnce=auto").atOnce == nil)
        #expect(try await read("pool.atOnce=16").atOnce == 16)
        for wrong in ["0", "17", "all", ""] {
            await #expect(throws: DaemonSettings.Refusal.self, "\(wrong)") { try await read("pool.atOnce=\(wrong)") }
        }
        #expect([1, 8, 16, 64].map { HostCapacity.preparations(onProcessors: $0) } == [2, 2, 4, 8])
    }

    @Test(arguments: [
        "simulated.memory=1GiB", "simulated.memory=lots", "simulated.processors=0", "simulated.disk=0", "simulated.speed=0",
        "simulated.speed=nan",
    ])
    func whatNoServerIsLikeIsRefused(_ flag: String) async throws {
        await #expect(throws: DaemonSettings.Refusal.self) { try await read("hypervisor=simulated", flag) }
    }
}
