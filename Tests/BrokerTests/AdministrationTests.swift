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
        let lab = try await world.furnish(size: 0)[0]
        // The subnet is written here.
        let plan = AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!)
        let clock = SimulatedClock(speed: 50)
        let connection = SimulatedConnection(to: SimulatedServer(seed: 1, clock: clock, plan: plan))
        let broker = Broker(
            store: world.store, host: connection, disks: connection, network: connection, addresses: plan, clock: BrokerClock(clock),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let running = Task { try await broker.run() }
        await broker.adopted()
        let administration = Administration(broker, store: world.store)
        for round in 1...30 {
            async let processors = administration.changeLab(lab.name, LabChange(vcpus: 1 + round % 2))
            async let grace = administration.changeLab(lab.name, LabChange(grace: .seconds(round)))
            _ = try await (processors, grace)
            let stored = try #require(try await world.store.room().labs.first)
            #expect(stored.profile.vcpus == 1 + round % 2)
            #expect(stored.grace == .seconds(round))
            #expect(await broker.room.labs[lab.id] == stored)
        }
        running.cancel()
        try? await running.value
    }

    @Test func aVersionOfAnImageIsMeantByItsExactNameFirst() async throws {
        let world = try World()
        _ = try await world.furnish(size: 0)
        for (image, version) in [("debian", 2), ("debian-1", 1), ("debian-1", 7)] {
            _ = try await world.store.addImage(
                NewImageVersion(
                    image: image, version: version, boot: .pv, disk: "/disk", kernel: "/kernel", ramdisk: "/ramdisk", blankOverlay: "/blank",
                    commandLine: "console=hvc0", account: Account(user: "student", password: "secret"), checksum: String(repeating: "0", count: 64),
                    diskSize: .gibibytes(2), minimumMemory: .mebibytes(256), hasGuest: false))
        }
        let room = try await History(world).room
        #expect(try room.image(named: "debian").name == "debian-2")
        let first = try room.image(named: "debian-1")
        #expect(first.image == "debian" && first.version == 1, "not the newest of the image that is called so")
        #expect(try room.image(named: "debian-1-1").version == 1)
        #expect(try room.image(named: "debian-1-7").name == "debian-1-7")
        #expect(throws: BrokerError.unknownImage("debian-3")) { try room.image(named: "debian-3") }
    }
}
