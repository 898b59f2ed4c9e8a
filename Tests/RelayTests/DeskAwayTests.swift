import NIOCore
import Testing

@testable import Relay
@testable import punnet_relay

@Suite(.timeLimit(.minutes(1))) struct DeskAwayTests {
    private let ticket = Packets.goodTicket
    private let otherTicket = String(Packets.goodTicket.reversed())

    private func greetings(_ room: Room) async -> [[OpenLink]] {
        await room.events().compactMap { if case .links(let links) = $0 { links } else { nil } }
    }

    @Test func openLinksGoOnWhilePunnetdIsAwayAndAreNamedWhenItIsBack() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 12, ticket: ticket, to: desktop)
            await room.stopDesk()
            try await seat.send([1, 2, 3])
            try await side.expect(Packets.request(ticket: ticket) + [1, 2, 3])
            try await side.send([4, 5])
            try await seat.expect([4, 5])
            try await room.startDesk()
            #expect(await greetings(room).last?.map(\.session) == [12])
            try await seat.send([6])
            try await side.expect(Packets.request(ticket: ticket) + [1, 2, 3, 6])
            await room.closeLinks(of: 12)
            try await seat.waitUntilOver()
        }
    }

    @Test func aLinkThatEndedWhilePunnetdWasAwayIsNotNamedWhenItIsBack() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 12, ticket: ticket, to: desktop)
            await room.stopDesk()
            await seat.close()
            await side.close()
            try await condition("the end of the link") {
                room.door.load.connections
            } until: {
                $0 == 0
            }
            try await room.startDesk()
            #expect(await greetings(room).last == [])
        }
    }

    @Test func aNewConnectionWaitsForPunnetdToComeBack() async throws {
        try await Room.open(withDesk: false) { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await condition("the connection to wait") {
                room.door.load.waiting
            } until: {
                $0 == 1
            }
            try await room.startDesk()
            try await desktop.connection(0).expect(Packets.request(ticket: ticket))
            #expect(room.door.incidents.isEmpty)
        }
    }

    @Test func aNewConnectionIsClosedWhenPunnetdStaysAway() async throws {
        var limits = DoorLimits()
        limits.answerTime = .milliseconds(300)
        limits.refusals = 1
        try await Room.open(limits: limits, withDesk: false) { room in
            for times in 1...3 {
                let seat = try await room.connect()
                try await seat.send(Packets.request(ticket: ticket))
                try await seat.waitUntilOver()
                try await room.incident(.deskAway, times: times)
            }
        }
    }

    @Test func anAnswerThatComesTooLateOpensNothingAndIsTakenBack() async throws {
        var limits = DoorLimits()
        limits.answerTime = .milliseconds(200)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 3, port: desktop.port)
            await room.book.holdBack()
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await seat.waitUntilOver()
            try await room.incident(.deskAway)
            await room.book.answer()
            try await room.event("closed") { if case .closed(_, session: 3, .seatClosed) = $0 { true } else { false } }
            #expect(desktop.connections.isEmpty)
        }
    }

    @Test func aSessionThatEndsWhileItsTicketIsBeingJudgedOpensNothing() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 3, port: desktop.port)
            await room.book.holdBack()
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await room.event("asked") { if case .asked = $0 { true } else { false } }
            await room.closeLinks(of: 3)
            await room.book.answer()
            try await seat.waitUntilOver()
            try await room.incident(.refused)
            #expect(desktop.connections.isEmpty)
        }
    }

    @Test func aSeatThatLeavesWhileItsTicketIsBeingJudgedIsForgotten() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 3, port: desktop.port)
            await room.book.holdBack()
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await room.event("asked") { if case .asked = $0 { true } else { false } }
            await seat.close()
            try await condition("the connection to leave the books") {
                room.door.load.connections
            } until: {
                $0 == 0
            }
            await room.book.answer()
            try await room.event("closed") { if case .closed(_, session: 3, .seatClosed) = $0 { true } else { false } }
            #expect(desktop.connections.isEmpty)
        }
    }

    @Test func aQuestionThatWasOnItsWayIsAskedAgainWhenPunnetdIsBack() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 3, port: desktop.port)
            await room.book.holdBack()
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await room.event("asked") { if case .asked = $0 { true } else { false } }
            async let stopped: Void = room.stopDesk()
            await room.book.answer()
            await stopped
            try await room.startDesk()
            try await desktop.connection(0).expect(Packets.request(ticket: ticket))
        }
    }
}
