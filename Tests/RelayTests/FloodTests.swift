import Glibc
import NIOCore
import Testing

@testable import Relay
@testable import punnet_relay

@Suite(.timeLimit(.minutes(1)), .serialized) struct FloodTests {
    private let ticket = Packets.goodTicket

    @Test func aFloodFromOneAddressIsTurnedAwayAndNobodyElseNotices() async throws {
        try await Room.open { room in
            let desktop = try await room.startDesktop()
            let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop, from: "127.0.0.2")
            let address = try room.address
            let flood = Task {
                var connections = 0
                while !Task.isCancelled {
                    let wire = try await Wire.connect(to: address, from: "127.0.0.9")
                    if connections.isMultiple(of: 2) { try? await wire.send(Array("GET / HTTP/1.0\r\n\r\n".utf8)) }
                    connections += 1
                    if connections.isMultiple(of: 50) { await wire.close() }
                }
                return connections
            }
            try await condition("the flood to be seen") {
                room.door.incidents[.flood] ?? 0
            } until: {
                $0 > 100
            }
            // The link that is open goes on, and a newcomer from another address is let in, both while the flood lasts.
            try await seat.send([1])
            try await side.expect(Packets.request(ticket: ticket) + [1])
            let other = String(ticket.reversed())
            let start = ContinuousClock.now
            _ = try await room.link(session: 2, ticket: other, to: desktop, from: "127.0.0.3")
            print("figure: a newcomer during a flood is let in after \(start.duration(to: .now))")
            #expect(room.door.load.waiting <= DoorLimits().waitingPerSource)
            flood.cancel()
            let connections = (try? await flood.value) ?? 0
            print("figure: connections of the flood: \(connections), incidents: \(room.door.incidents)")
            #expect(room.door.incidents[.garbage, default: 0] <= DoorLimits().refusals + DoorLimits().waitingPerSource)
        }
    }

    @Test func anAddressThatWasRefusedTooOftenIsShutOutForAWhile() async throws {
        var limits = DoorLimits()
        limits.refusals = 3
        limits.forgiveness = .milliseconds(500)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            for times in 1...3 {
                let seat = try await room.connect()
                try await seat.send(Packets.request(ticket: String(ticket.reversed())))
                try await seat.waitUntilOver()
                try await room.incident(.refused, times: times)
            }
            let shutOut = try await room.connect()
            try await shutOut.waitUntilOver()
            try await room.incident(.flood)
            try await condition("forgiveness") {
                let seat = try await room.connect()
                try? await seat.send(Packets.request(ticket: ticket))
                try await condition("an answer") {
                    seat.arrived.isOver || seat.arrived.inputEnded || !desktop.connections.isEmpty
                } until: {
                    $0
                }
                return desktop.connections.count
            } until: {
                $0 == 1
            }
        }
    }

    @Test func whatIsLoggedOfAFloodIsBounded() async throws {
        try await Room.open { room in
            for _ in 0..<200 {
                let wire = try await room.connect(from: "127.0.0.9")
                try? await wire.send([0])
                await wire.close()
            }
            try await condition("all incidents") {
                room.door.incidents.values.reduce(0, +)
            } until: {
                $0 == 200
            }
            #expect(room.log.all.count { $0.contains("at the door") } == 1)
        }
    }

    @Test func theSilentMakeRoomForOneWhoSpeaks() async throws {
        var limits = DoorLimits()
        limits.waiting = 32
        limits.requestTime = .seconds(60)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            let crowd = Crowd(at: try #require(try room.address.port), size: 31, perAddress: 4, network: 4)
            try await crowd.during {
                try await condition("the door to be crowded") {
                    room.door.incidents[.crowdedOut] ?? 0
                } until: {
                    $0 > 10
                }
                _ = try await room.link(session: 1, ticket: ticket, to: desktop)
            }
        }
    }

    @Test func whatIsSentBeforeTheDesktopHasAnsweredIsGarbageAtOnce() async throws {
        var limits = DoorLimits()
        limits.answerTime = .seconds(60)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            await room.book.holdBack()
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await room.event("asked") { if case .asked = $0 { true } else { false } }
            try await seat.send([UInt8](repeating: 0, count: 100_000))
            try await seat.waitUntilOver()
            try await room.incident(.garbage)
            await room.book.answer()
        }
    }

    @Test func aSeatThatEndsItsHalfWhileItsDesktopIsSoughtIsNotKept() async throws {
        var limits = DoorLimits()
        limits.desktopTime = .seconds(60)
        try await Room.open(limits: limits) { room in
            let desktop = try DeafDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            let seat = try await room.connect()
            try await seat.send(Packets.request(ticket: ticket))
            try await condition("the ticket to be taken") {
                room.door.load
            } until: {
                $0 == (1, 0)
            }
            try await seat.endOutput()
            try await room.event("closed") { if case .closed(_, session: 1, .seatClosed) = $0 { true } else { false } }
            try await seat.waitUntilOver()
        }
    }

    @Test func aCrowdThatAsksKeepsNobodyFromBeingAnswered() async throws {
        raiseOpenFiles()
        var limits = DoorLimits()
        limits.answerTime = .seconds(60)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, port: desktop.port)
            await room.book.holdBack()
            let stale = Packets.request(ticket: String(ticket.reversed()))
            let crowd = Crowd(at: try #require(try room.address.port), size: 1_200, perAddress: 60, network: 5, saying: stale)
            try await crowd.during {
                try await condition("the crowd to ask", within: 30) {
                    room.door.load.waiting
                } until: {
                    $0 == 1_200
                }
                let seat = try await room.connect()
                try await seat.send(Packets.request(ticket: ticket))
                try await condition("the seat to ask", within: 30) {
                    room.door.load.waiting
                } until: {
                    $0 > 1_200
                }
                await room.book.answer()
                try await desktop.connection(0).expect(Packets.request(ticket: ticket))
            }
            #expect(!room.log.all.contains { $0.contains("too much at once") })
        }
    }

    @Test func aGoodTicketIsNotForPlayingWith() async throws {
        var limits = DoorLimits()
        limits.refusals = 3
        limits.forgiveness = .seconds(60)
        limits.hastyTime = .seconds(60)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            for _ in 1...4 {
                let (seat, side) = try await room.link(session: 1, ticket: ticket, to: desktop)
                await seat.close()
                try await side.waitUntilOver()
                await side.close()
            }
            #expect(room.door.incidents == [.hasty: 3])
            let again = try await room.connect()
            try await again.waitUntilOver()
            try await room.incident(.flood)
            _ = try await room.link(session: 2, ticket: String(ticket.reversed()), to: desktop, from: "127.0.0.2")
        }
    }
}

/// A port at which connections are neither accepted nor refused: as many wait at it as may.
private final class DeafDesktop {
    let port: Int
    private let listener: Int32
    private var waiting: [BareConnection] = []

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 0) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        try #require(isListening)
        port = Int(UInt16(bigEndian: address.sin_port))
        // One is taken in, the others are not answered.
        for _ in 0..<3 { waiting.append(try #require(BareConnection(from: 0x7f00_0001, to: port))) }
    }

    deinit {
        for connection in waiting { connection.end() }
        close(listener)
    }
}
