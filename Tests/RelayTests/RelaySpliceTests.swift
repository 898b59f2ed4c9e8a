import NIOCore
import Testing

@testable import Relay
@testable import punnet_relay

@Suite(.timeLimit(.minutes(2))) struct RelaySpliceTests {
    private let ticket = Packets.goodTicket

    private func isClosed(_ cause: LinkEnd) -> @Sendable (TicketBook.Event) -> Bool {
        { if case .closed(_, _, cause) = $0 { true } else { false } }
    }

    @Test func theDesktopMayGoOnSendingAfterTheSeatHasEnded() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            try await seat.send([1, 2])
            try await seat.endOutput()
            try await side.wait(for: "the seat's end") { $0.inputEnded }
            #expect(side.arrived.bytes == Packets.request(ticket: ticket) + [1, 2])
            let rest = [UInt8](repeating: 9, count: 300_000)
            try await side.send(rest)
            await side.close()
            try await seat.expect(rest)
            try await seat.waitUntilOver()
            try await room.event("closed", where: isClosed(.seatClosed))
        }
    }

    @Test func theSeatMayGoOnSendingAfterTheDesktopHasEnded() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            try await side.send([1, 2])
            try await side.endOutput()
            try await seat.wait(for: "the desktop's end") { $0.inputEnded }
            #expect(seat.arrived.bytes == [1, 2])
            let rest = [UInt8](repeating: 9, count: 300_000)
            try await seat.send(rest)
            await seat.close()
            try await side.expect(Packets.request(ticket: ticket) + rest)
            try await side.waitUntilOver()
            try await room.event("closed", where: isClosed(.desktopClosed))
        }
    }

    @Test func aDirectionThatIsNotEndedInTimeIsCut() async throws {
        var limits = DoorLimits()
        limits.halfClosedTime = .milliseconds(200)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            try await seat.endOutput()
            try await side.wait(for: "the cut") { $0.inputEnded }
            try await seat.waitUntilOver()
            try await room.event("closed", where: isClosed(.seatClosed))
            #expect(room.door.load.connections == 0)
        }
    }

    @Test func aResetOfTheSeatEndsTheDesktopsSide() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            try await seat.reset()
            try await side.waitUntilOver()
            try await room.event("closed", where: isClosed(.seatLost))
        }
    }

    @Test func aResetOfTheDesktopEndsTheSeatsSide() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            try await side.reset()
            try await seat.waitUntilOver()
            try await room.event("closed", where: isClosed(.desktopLost))
        }
    }

    @Test func allThatWasSentBeforeTheEndArrives() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            let seat = try await room.connect(reads: false, receiveBuffer: 4096)
            try await seat.send(Packets.request(ticket: ticket))
            let side = try await desktop.connection(0)
            let picture = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            async let sent: Void = side.send(picture)
            try await side.wait(for: "the request") { $0.count > 0 }
            seat.startReading()
            try await sent
            await side.close()
            try await seat.expect(picture)
            try await seat.waitUntilOver()
        }
    }

    @Test func aReaderThatDoesNotReadHoldsTheSenderBackAndLosesNothing() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop(sendBuffer: 64 * 1024)
            await room.book.issue(ticket, session: 1, port: desktop.port)
            let seat = try await room.connect(reads: false, receiveBuffer: 64 * 1024)
            try await seat.send(Packets.request(ticket: ticket))
            let side = try await desktop.connection(0)
            let sender = PieceSender(wire: side, pieces: 64, pieceSize: 1 << 20)
            let sending = Task { try await sender.run() }
            // The sender has come to rest when no piece left for a while; how far it came is what the relay and the kernel hold.
            var accepted = -1
            while accepted != sender.sent || accepted == 0 {
                accepted = sender.sent
                try await Task.sleep(for: .milliseconds(700))
            }
            // The kernel's own buffer towards the seat grows to 4 MB; all others are smaller.
            #expect(accepted < 16, "megabytes of 64 that were taken while nobody read")
            seat.startReading(keepingBytes: false)
            try await sending.value
            try await seat.wait(for: "all bytes", within: 60) { $0.count == 64 << 20 }
        }
    }

    @Test func throughputIsMeasured() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            seat.startReading(keepingBytes: false)
            let start = ContinuousClock.now
            try await PieceSender(wire: side, pieces: 256, pieceSize: 1 << 20).run()
            try await seat.wait(for: "all bytes", within: 60) { $0.count == 256 << 20 }
            let time = start.duration(to: .now)
            print("figure: relay throughput, debug build, both ends in this process: \(Int(256 / (time / .seconds(1)))) MiB/s")
        }
    }
}
