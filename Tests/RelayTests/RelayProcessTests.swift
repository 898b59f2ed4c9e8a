import Foundation
import Glibc
import NIOCore
import Testing

@testable import Relay

/// The program itself, as systemd starts it.
@Suite(.timeLimit(.minutes(2)), .serialized) struct RelayProcessTests {
    private let ticket = Packets.goodTicket

    @Test func stoppingItEndsTheLinksAndSaysSo() async throws {
        try await RelayProgram.run { relay in
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
        try await RelayProgram.run { relay in
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
        try await RelayProgram.run(openFiles: 40) { relay in
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
        try await RelayProgram.run { relay in
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
        process.executableURL = URL(fileURLWithPath: try RelayProgram.path)
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
