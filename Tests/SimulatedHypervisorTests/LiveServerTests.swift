import DesktopModel
import Foundation
import Glibc
import Hypervisor
import Identity
import Logging
import Testing

@testable import SimulatedHypervisor

/// The twin by the real time: what its desktops' ports answer, and when. Each test has loopback addresses of its own.
@Suite(.timeLimit(.minutes(1))) struct LiveServerTests {
    /// A server a thousand times as fast as a real one, and what a daemon does with it.
    private struct Room {
        let server: LiveServer
        let subnet: IPv4Subnet

        func domain(_ generation: UInt32 = 1, desktop: UInt32 = 1) -> DomainUUID {
            DomainUUID(installation: 7, desktop: DesktopID(rawValue: desktop), generation: Generation(rawValue: generation))
        }

        func address(_ desktop: Int = 1) throws -> String {
            try #require(server.connection.addresses(of: Place(rawValue: desktop))).address.description
        }

        /// Builds a desktop's domain, parked as it is then.
        func build(_ generation: UInt32 = 1, desktop: UInt32 = 1) async throws -> DomainUUID {
            let name = OverlayName(desktop: DesktopID(rawValue: desktop), generation: Generation(rawValue: generation))
            let overlay = try await server.disks.layOverlay(of: "/blank", for: name)
            let place = try #require(server.connection.addresses(of: Place(rawValue: Int(desktop))))
            let uuid = domain(generation, desktop: desktop)
            try await server.connection.create(
                DomainPlan(
                    uuid: uuid, name: "\(desktop)-g\(generation)", boot: .pv, kernel: "/kernel", ramdisk: "/ramdisk", commandLine: "",
                    profile: Profile(vcpus: 1, memory: .mebibytes(512)), overlay: overlay, mac: place.mac, address: place.address))
            return uuid
        }

        /// Asks as the broker's readiness does.
        func ask(_ desktop: Int = 1, deadline: Duration = .seconds(10)) async throws -> [UInt8] {
            try await RDPProbe.fingerprint(host: try address(desktop), port: 3389, deadline: deadline)
        }

        /// Asks until it is answered.
        func answer(_ desktop: Int = 1) async throws -> [UInt8] {
            while true {
                do { return try await ask(desktop) } catch let error as ProbeError {
                    guard case .refused = error else { throw error }
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
        }

        /// Asks until nobody listens any more.
        func closed(_ desktop: Int = 1) async throws {
            while true {
                do { _ = try await ask(desktop) } catch ProbeError.refused { return } catch {}
                try await Task.sleep(for: .milliseconds(10))
            }
        }

        /// Asks until it is accepted and not answered.
        func silent(_ desktop: Int = 1) async throws {
            while true {
                do { _ = try await ask(desktop, deadline: .milliseconds(300)) } catch ProbeError.timedOut(.negotiating, _) {
                    return
                } catch ProbeError.timedOut {}
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    private func room(_ network: String, faults: SimulatedServer.Faults = .init(), _ body: (Room) async throws -> Void) async throws {
        let subnet = try #require(IPv4Subnet(network))
        let server = LiveServer(
            .init(memory: .gibibytes(16), processors: 4, disk: .gibibytes(100), plan: AddressPlan(subnet: subnet), speed: 1_000),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        server.setFaults(faults)
        let running = Task { try await server.run() }
        var failure: (any Error)?
        do { try await body(Room(server: server, subnet: subnet)) } catch { failure = error }
        running.cancel()
        try await running.value
        if let failure { throw failure }
    }

    @Test func aDesktopThatHasBootedAnswersLikeARealOne() async throws {
        try await room("127.188.1.0/24") { room in
            let domain = try await room.build()
            await #expect(throws: ProbeError.refused(host: try room.address(), port: 3389)) { try await room.ask() }
            try await room.server.connection.unpause(domain)
            #expect(try await room.answer().count == 32)
            #expect(try await room.answer() == room.answer())
        }
    }

    @Test func eachGenerationShowsACertificateOfItsOwn() async throws {
        try await room("127.188.2.0/24") { room in
            var shown: Set<[UInt8]> = []
            for generation in 1...3 as ClosedRange<UInt32> {
                let domain = try await room.build(generation)
                try await room.server.connection.unpause(domain)
                #expect(shown.insert(try await room.answer()).inserted)
                try await room.server.connection.destroy(domain)
                try await room.closed()
            }
            let neighbour = try await room.build(1, desktop: 2)
            try await room.server.connection.unpause(neighbour)
            #expect(shown.insert(try await room.answer(2)).inserted)
        }
    }

    @Test func aPausedDesktopAcceptsAndAnswersOnceItRuns() async throws {
        try await room("127.188.3.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            let fingerprint = try await room.answer()
            try await room.server.connection.pause(domain)
            try await room.silent()
            // Asked while it is paused, answered when it runs.
            let wire = try Wire(to: try room.address())
            wire.send([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0])
            try await room.server.connection.unpause(domain)
            #expect(wire.receive(19).count == 19)
            #expect(try await room.answer() == fingerprint)
        }
    }

    @Test func aDesktopsConnectionsEndWithItsDomain() async throws {
        try await room("127.188.4.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            _ = try await room.answer()
            let wire = try Wire(to: try room.address())
            wire.send([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0])
            #expect(wire.receive(19).count == 19)
            try await room.server.connection.destroy(domain)
            #expect(wire.receive(1) == [])
            try await room.closed()
        }
    }

    @Test func whatAsksForNoTLSIsNotAnswered() async throws {
        try await room("127.188.5.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            _ = try await room.answer()
            for packet: [UInt8] in [
                Array("GET / HTTP/1.1\r\n\r\n".utf8), [3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0],
                [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0],
                [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0], [3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0, 1],
            ] {
                let wire = try Wire(to: try room.address())
                wire.send(packet)
                #expect(wire.receive(1) == [])
            }
        }
    }

    @Test func aGuestThatHangsIsSilent() async throws {
        try await room("127.188.6.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            _ = try await room.answer()
            room.server.guestHangs(domain)
            try await room.silent()
            try await room.server.connection.destroy(domain)
            try await room.closed()
        }
    }

    @Test func aGuestThatHangsAtBootNeverListens() async throws {
        var faults = SimulatedServer.Faults()
        faults.hangs = 1
        try await room("127.188.7.0/24", faults: faults) { room in
            let hanging = try await room.build()
            room.server.setFaults(.init())
            try await room.server.connection.unpause(hanging)
            // While three sound ones boot, one after the other, it has longer than any boot takes.
            for generation in 1...3 as ClosedRange<UInt32> {
                let sound = try await room.build(generation, desktop: 2)
                try await room.server.connection.unpause(sound)
                _ = try await room.answer(2)
                try await room.server.connection.destroy(sound)
                try await room.closed(2)
            }
            await #expect(throws: ProbeError.refused(host: try room.address(), port: 3389)) { try await room.ask() }
        }
    }

    @Test func aDomainThatIsEndedFromOutsideIsGoneAtItsAddress() async throws {
        try await room("127.188.8.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            _ = try await room.answer()
            room.server.endFromOutside(domain)
            try await room.closed()
            for await event in room.server.connection.events {
                #expect(event == DomainEvent(uuid: domain, kind: .died))
                break
            }
        }
    }

    @Test func aDesktopHoldsSixteenConnectionsAndNoThreadForAny() async throws {
        try await room("127.188.9.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            _ = try await room.answer()
            let before = try threads()
            var wires: [Wire] = []
            for _ in 0..<16 { wires.append(try Wire(to: try room.address())) }
            for wire in wires {
                wire.send([3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0])
                #expect(wire.receive(19).count == 19)
            }
            #expect(try Wire(to: try room.address()).receive(1) == [], "one more is closed")
            #expect(try threads() < before + 8, "the tests beside this one have threads too, but not as many as there are connections")
        }
    }

    @Test func nothingListensOnceTheServerIsGone() async throws {
        try await room("127.188.10.0/24") { room in
            let domain = try await room.build()
            try await room.server.connection.unpause(domain)
            _ = try await room.answer()
        }
        await #expect(throws: ProbeError.refused(host: "127.188.10.11", port: 3389)) {
            try await RDPProbe.fingerprint(host: "127.188.10.11", port: 3389, deadline: .seconds(5))
        }
    }

    private func threads() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }
}

@Suite struct LiveDisksTests {
    @Test func anImageIsReadAndItsChecksumHeldTo() async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/punnet-live-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, text) in [("disk", "a disk"), ("kernel", "a kernel"), ("ramdisk", "a ramdisk")] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
        }
        let subnet = try #require(IPv4Subnet("127.188.20.0/24"))
        let disks = LiveServer(
            .init(memory: .gibibytes(16), processors: 4, disk: .gibibytes(100), plan: AddressPlan(subnet: subnet), speed: 1_000),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ).disks
        func files(disk: String = "disk", checksum: String? = nil) -> ImageFiles {
            ImageFiles(
                disk: "\(folder)/\(disk)", kernel: "\(folder)/kernel", ramdisk: "\(folder)/ramdisk", diskChecksum: checksum)
        }
        let right = Hex.text(of: Digest.sha256("a disk"))
        let stored = try await disks.takeIn(files(checksum: right), as: "debian", version: 1) { _, _ in }
        #expect(stored.checksum == right)
        #expect(stored.diskSize == ByteCount(rawValue: 6))
        await #expect(throws: HypervisorError.alreadyExists(name: "debian-1")) {
            try await disks.takeIn(files(), as: "debian", version: 1) { _, _ in }
        }
        await #expect(throws: HypervisorError.missingFile(path: "\(folder)/nothing")) {
            try await disks.takeIn(files(disk: "nothing"), as: "debian", version: 2) { _, _ in }
        }
        await #expect(throws: HypervisorError.self) {
            try await disks.takeIn(files(checksum: String(repeating: "0", count: 64)), as: "debian", version: 2) { _, _ in }
        }
        try await disks.removeImage("debian", version: 1)
        _ = try await disks.takeIn(files(), as: "debian", version: 1) { _, _ in }
    }
}

/// One blocking TCP connection to a desktop's port.
private final class Wire {
    private let descriptor: Int32

    init(to address: String) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = UInt16(3389).bigEndian
        place.sin_addr.s_addr = inet_addr(address)
        let descriptor = descriptor
        let connected = withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        try #require(connected == 0)
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    /// So many bytes; fewer where the other side ends the connection or says nothing for 20 seconds (which gives one zero too much).
    func receive(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(descriptor, &bytes, count, Int32(MSG_WAITALL))
        if got < 0, errno == EAGAIN { return bytes + [0] }
        return Array(bytes.prefix(max(0, got)))
    }
}
