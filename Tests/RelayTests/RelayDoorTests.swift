import NIOCore
import Testing

@testable import Relay
@testable import punnet_relay

@Suite(.timeLimit(.minutes(1))) struct RelayDoorTests {
    private let ticket = Packets.goodTicket

    @Test func aGoodTicketLeadsToItsDesktopWhichGetsTheRequestUnchanged() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 12, ticket: ticket, to: desktop)
            try await side.send([3, 0, 0, 11, 6, 0xd0, 0, 0, 0, 0, 0])
            try await seat.expect([3, 0, 0, 11, 6, 0xd0, 0, 0, 0, 0, 0])
            try await seat.send(Array(0...255))
            try await side.expect(Packets.request(ticket: ticket) + Array(0...255))
            try await room.event("opened") { if case .opened(_, session: 12) = $0 { true } else { false } }
            await seat.close()
            try await side.waitUntilOver()
            await side.close()
            try await room.event("closed") { if case .closed(_, session: 12, .seatClosed) = $0 { true } else { false } }
        }
    }

    @Test func aRequestInSinglePiecesIsLetThrough() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            let seat = try await room.connect()
            for byte in Packets.request(ticket: ticket) { try await seat.send([byte]) }
            try await desktop.connection(0).expect(Packets.request(ticket: ticket))
        }
    }

    @Test func aWrongTicketIsClosedAndCounted() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: String(ticket.reversed())))
            try await seat.waitUntilOver()
            try await room.incident(.refused)
            #expect(desktop.connections.isEmpty)
            #expect(seat.arrived.count == 0)
        }
    }

    @Test func aTicketIsGoodFromItsOwnAddressAlone() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, from: "127.0.0.2", port: desktop.port)
            let stranger = try await room.connect(from: "127.0.0.3")
            try await stranger.send(Packets.request(ticket: ticket))
            try await stranger.waitUntilOver()
            try await room.incident(.refused)
            let seat = try await room.connect(from: "127.0.0.2")
            try await seat.send(Packets.request(ticket: ticket))
            try await desktop.connection(0).expect(Packets.request(ticket: ticket))
        }
    }

    @Test func aTicketIsNoGoodAfterItsSession() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 5, ticket: ticket, to: desktop)
            await room.book.expire(session: 5)
            await room.closeLinks(of: 5)
            try await seat.waitUntilOver()
            try await side.waitUntilOver()
            try await room.event("closed") { if case .closed(_, session: 5, .sessionEnded) = $0 { true } else { false } }
            let again = try await room.connect()
            try await again.send(Packets.request(ticket: ticket))
            try await again.waitUntilOver()
            try await room.incident(.refused)
            #expect(desktop.connections.count == 1)
        }
    }

    @Test(arguments: [
        Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x16, 3, 1, 2, 0, 1], [UInt8](repeating: 0, count: 4000),
        Packets.request(token: "Cookie: mstshash=student"), Packets.request(ticket: Packets.goodTicket) + [0],
    ])
    func garbageIsClosedAndCounted(bytes: [UInt8]) async throws {
        try await Room.open { room in
            let seat = try await room.connect()
            try await seat.send(bytes)
            try await seat.waitUntilOver()
            try await room.incident(.garbage)
            #expect(await room.events().allSatisfy { if case .links = $0 { true } else { false } })
        }
    }

    @Test func halfAPacketIsClosedAndCounted() async throws {
        try await Room.open { room in
            let seat = try await room.connect()
            try await seat.send(Array(Packets.request(ticket: ticket).prefix(30)))
            try await seat.endOutput()
            try await seat.waitUntilOver()
            try await room.incident(.truncated)
        }
    }

    @Test func aSlowSenderIsClosedAndCounted() async throws {
        var limits = DoorLimits()
        limits.requestTime = .milliseconds(300)
        try await Room.open(limits: limits) { room in
            let seat = try await room.connect()
            for byte in Packets.request(ticket: ticket).dropLast() {
                guard !seat.arrived.isOver, !seat.arrived.inputEnded else { break }
                try? await seat.send([byte])
                try await Task.sleep(for: .milliseconds(20))
            }
            try await seat.waitUntilOver()
            try await room.incident(.slow)
        }
    }

    @Test func aDesktopThatIsNotThereEndsTheConnection() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await desktop.close()
            await room.book.issue(ticket, session: 4, port: desktop.port)
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await seat.waitUntilOver()
            try await room.incident(.desktopUnreachable)
            try await room.event("closed") { if case .closed(_, session: 4, .desktopUnreachable) = $0 { true } else { false } }
        }
    }

    @Test func theSameTicketAgainTakesThePlaceOfTheLinkBefore() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let first = try await room.link(session: 8, ticket: ticket, to: desktop)
            let second = try await room.link(session: 8, ticket: ticket, to: desktop)
            try await first.seat.waitUntilOver()
            try await first.desktop.waitUntilOver()
            try await second.seat.send([1, 2, 3])
            try await second.desktop.expect(Packets.request(ticket: ticket) + [1, 2, 3])
            try await condition("the second link") {
                await room.events()
            } until: { events in
                events.count { if case .opened = $0 { true } else { false } } == 2
            }
            let story = await room.events().compactMap { event -> String? in
                switch event {
                case .opened: "opened"
                case .closed(_, _, let cause): "closed \(cause)"
                case .asked, .links: nil
                }
            }
            #expect(story == ["opened", "closed replaced", "opened"])
            #expect(room.door.load.connections == 1)
        }
    }

    @Test func linksOfOtherSessionsDoNotNoticeThatOneIsEnded() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let one = try await room.link(session: 1, ticket: ticket, to: desktop)
            let two = try await room.link(session: 2, ticket: String(ticket.reversed()), to: desktop)
            await room.closeLinks(of: 1)
            try await one.seat.waitUntilOver()
            try await two.seat.send([7])
            try await two.desktop.expect(Packets.request(ticket: String(ticket.reversed())) + [7])
        }
    }

    @Test func nothingThatIsLoggedHoldsATicket() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
            let stranger = try await room.connect(from: "127.0.0.2")
            try await stranger.send(Packets.request(ticket: ticket))
            try await stranger.waitUntilOver()
            await seat.close()
            await side.close()
            try await room.event("closed") { if case .closed = $0 { true } else { false } }
            #expect(room.log.all.contains { $0.contains("refused") })
            #expect(!room.log.all.contains { $0.contains(ticket) })
        }
    }
}
