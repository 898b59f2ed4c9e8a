import Foundation
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Relay

/// The program itself, as systemd starts it.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RelayProcessTests {
    private let ticket = Packets.goodTicket

    /// The program running, with a desk that it asks.
    private struct Running {
        let process: Int32
        let address: SocketAddress
        let book: TicketBook
        let notices: NoticeSocket

        func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count }

        /// How often each of its threads was woken since its start.
        func wakeUps() throws -> [String: Int] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").reduce(into: [:]) { counts, thread in
                // A thread may have ended since the folder was read.
                let status = try? String(contentsOfFile: "/proc/\(process)/task/\(thread)/status", encoding: .utf8)
                let line = status?.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") }
                counts[thread] = line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) }
            }
        }

        func residentKiB() throws -> Int {
            let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
        }

        /// Processor time used so far, in seconds.
        func processorTime() throws -> Double {
            let fields = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8).split(separator: " ")
            return ((Double(fields[13]) ?? 0) + (Double(fields[14]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }

        func link(session: Int64, ticket: String, to desktop: Desktop) async throws -> (seat: Wire, desktop: Wire) {
            await book.issue(ticket, session: session, port: desktop.port)
            let before = desktop.connections.count
            let seat = try await Wire.connect(to: address)
            try await seat.send(Packets.request(ticket: ticket))
            let side = try await desktop.connection(before)
            try await side.expect(Packets.request(ticket: ticket))
            return (seat, side)
        }
    }

    private var program: String {
        get throws {
            let folder = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let places = [folder, CommandLine.arguments[0]] + CommandLine.arguments.filter { $0.contains(".xctest") }
            let found = places.map { URL(fileURLWithPath: $0).deletingLastPathComponent().appending(path: "punnet-relay").path }
                .first { FileManager.default.isExecutableFile(atPath: $0) }
            return try #require(found, "punnet-relay was not built beside the tests")
        }
    }

    private func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Starts the program, waits until it says that it is ready, runs the body and has it stop as systemd does.
    private func withProgram(
        openFiles: Int? = nil, _ body: (Running) async throws -> Void
    ) async throws {
        let folder = "/tmp/relay-process-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let notices = try NoticeSocket(path: folder + "/notify")
        let book = TicketBook()
        let desk = RelayDesk(
            configuration: .init(socketPath: folder + "/relay.sock", allowedUsers: [SystemUser.current.id]), desk: book,
            logger: LogLines().logger)
        let deskTask = Task { try await desk.run() }
        let port = try freePort()
        let process = Process()
        let arguments = [try program, "--listen", "127.0.0.1:\(port)", "--desk", folder + "/relay.sock", "--log-level", "warning"]
        let prefix = openFiles.map { ["prlimit", "--nofile=\($0):\($0)"] } ?? []
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = prefix + arguments
        process.environment = ["NOTIFY_SOCKET": folder + "/notify", "PATH": "/usr/bin:/bin"]
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        try await condition("READY=1") {
            notices.all
        } until: {
            $0.contains("READY=1")
        }
        let running = Running(
            process: process.processIdentifier, address: try SocketAddress(ipAddress: "127.0.0.1", port: port), book: book, notices: notices
        )
        try await condition("the relay's hello") {
            await book.events.count
        } until: {
            $0 > 0
        }
        try await body(running)
        process.terminate()
        try await condition("the end of the program") {
            process.isRunning
        } until: {
            !$0
        }
        #expect(process.terminationStatus == 0)
        #expect(process.terminationReason == .exit)
        #expect(notices.all.contains("STOPPING=1"))
        deskTask.cancel()
        try await deskTask.value
    }

    @Test func stoppingItEndsTheLinksAndSaysSo() async throws {
        try await withProgram { relay in
            let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
            let (seat, side) = try await relay.link(session: 1, ticket: ticket, to: desktop)
            kill(relay.process, SIGTERM)
            try await seat.waitUntilOver()
            try await side.waitUntilOver()
            try await condition("the link's end") {
                await relay.book.events
            } until: { events in
                events.contains { if case .closed(_, session: 1, .relayStopped) = $0 { true } else { false } }
            }
            await desktop.close()
        }
    }

    @Test func noDescriptorIsLeftOverFromConnectionsThatWereTurnedAway() async throws {
        try await withProgram { relay in
            let before = try relay.descriptors()
            for _ in 0..<200 {
                let wire = try await Wire.connect(to: relay.address, from: "127.0.0.9")
                try? await wire.send([0])
                try await wire.waitUntilOver()
                await wire.close()
            }
            try await condition("descriptors as before") {
                try relay.descriptors()
            } until: {
                $0 == before
            }
        }
    }

    @Test func runningOutOfDescriptorsDisturbsNoOpenLinkAndPasses() async throws {
        try await withProgram(openFiles: 40) { relay in
            let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
            let (seat, side) = try await relay.link(session: 1, ticket: ticket, to: desktop)
            var crowd: [Wire] = []
            for host in 10..<60 { crowd.append(try await Wire.connect(to: relay.address, from: "127.0.0.\(host)")) }
            try await seat.send([1])
            try await side.expect(Packets.request(ticket: ticket) + [1])
            for wire in crowd { await wire.close() }
            _ = try await relay.link(session: 2, ticket: String(ticket.reversed()), to: desktop)
            await desktop.close()
        }
    }

    @Test func figuresOfTheProgramArePrinted() async throws {
        try await withProgram { relay in
            let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
            let (seat, side) = try await relay.link(session: 1, ticket: ticket, to: desktop)
            try await condition("a second without a wake-up", within: 30) {
                let before = try relay.wakeUps()
                try await Task.sleep(for: .seconds(1))
                return (before, try relay.wakeUps())
            } until: {
                $0.0 == $0.1
            }
            let wakeUps = try relay.wakeUps()
            try await Task.sleep(for: .seconds(5))
            let atRest = try relay.wakeUps().reduce(0) { $0 + $1.value - wakeUps[$1.key, default: 0] }
            print("figure: punnet-relay at rest with one link: \(atRest) wake-ups in 5 s, \(try relay.residentKiB()) KiB resident")
            seat.startReading(keepingBytes: false)
            let before = try relay.processorTime()
            let start = ContinuousClock.now
            try await PieceSender(wire: side, pieces: 512, pieceSize: 1 << 20).run()
            try await seat.wait(for: "all bytes", within: 90) { $0.count == 512 << 20 }
            let seconds = start.duration(to: .now) / .seconds(1)
            let used = try relay.processorTime() - before
            print(
                "figure: punnet-relay carried 512 MiB at \(Int(512 / seconds)) MiB/s, \(used * 2) s of processor time for 1 GiB,",
                "\(try relay.residentKiB()) KiB resident")
            #expect(atRest < 5, "wake-ups in 5 seconds in which nothing happened")
            await desktop.close()
        }
    }

    @Test(arguments: [
        ["--listen", "nowhere"], ["--listen", "127.0.0.1:70000"], ["--listen", "::1:3389"], ["--log-level", "loud"], ["--unknown"],
    ])
    func aWrongOptionIsRefusedBeforeAnythingBegins(arguments: [String]) async throws {
        let (status, text) = try await outcome(arguments, environment: [:])
        #expect(status == 64)
        #expect(text.contains(arguments.last ?? ""))
    }

    @Test func aWrongEnvironmentIsRefusedByItsName() async throws {
        let (status, text) = try await outcome([], environment: ["PUNNET_RELAY_LISTEN": "nowhere"])
        #expect(status == 64)
        #expect(text.contains("PUNNET_RELAY_LISTEN") && text.contains("nowhere"))
    }

    @Test func anAddressThatIsTakenIsNamed() async throws {
        let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
        let (status, text) = try await outcome(["--listen", "127.0.0.1:\(desktop.port)"], environment: [:])
        #expect(status != 0)
        #expect(text.contains("127.0.0.1:\(desktop.port)"))
        await desktop.close()
    }

    private func outcome(_ arguments: [String], environment: [String: String]) async throws -> (Int32, String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try program)
        process.arguments = arguments
        process.environment = environment
        let output = FileManager.default.temporaryDirectory.appending(path: "relay-output-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: output) }
        try Data().write(to: output)
        process.standardError = try FileHandle(forWritingTo: output)
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        try await condition("the end of the program") {
            process.isRunning
        } until: {
            !$0
        }
        return (process.terminationStatus, try String(contentsOf: output, encoding: .utf8))
    }
}

/// The socket at which systemd hears how its services are.
private final class NoticeSocket: Sendable {
    private let descriptor: Int32
    private let heard = Mutex<[String]>([])

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        let (descriptor, address) = (descriptor, try SocketAddress(unixDomainSocketPath: path))
        try #require(address.withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0)
    }

    deinit { close(descriptor) }

    var all: [String] {
        heard.withLock { heard in
            var buffer = [UInt8](repeating: 0, count: 512)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { return heard }
                heard.append(String(decoding: buffer[..<count], as: UTF8.self))
            }
        }
    }
}
