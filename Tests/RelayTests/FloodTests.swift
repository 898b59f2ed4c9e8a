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
}
