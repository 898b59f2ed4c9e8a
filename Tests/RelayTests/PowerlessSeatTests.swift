import Foundation
import Glibc
import NIOCore
import Testing

@testable import Relay
@testable import punnet_relay

/// Seats in a network namespace of their own, whose cable can be pulled. As root only, since nobody else may make one.
@Suite(.timeLimit(.minutes(1)), .serialized, .enabled(if: geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip")))
struct PowerlessSeatTests {
    private let ticket = Packets.goodTicket

    private func withPulledCable(
        _ whileConnected: @escaping @Sendable (Wire) async throws -> Void
    ) async throws {
        let cable = try Cable.lay()
        defer { cable.remove() }
        var limits = DoorLimits()
        limits.silence = .seconds(4)
        try await Room.open(address: "0.0.0.0", limits: limits) { room in
            let desktop = try await room.startDesktop()
            await room.book.issue(ticket, session: 1, from: cable.there, port: desktop.port)
            let seat = try cable.seat(to: try room.address, request: Packets.request(ticket: ticket))
            defer { kill(seat.processIdentifier, SIGKILL) }
            let side = try await desktop.connection(0)
            try await side.expect(Packets.request(ticket: ticket))
            try cable.pull()
            let start = ContinuousClock.now
            try await whileConnected(side)
            try await room.event("lost", within: 20) { if case .closed(_, session: 1, .seatLost) = $0 { true } else { false } }
            let time = start.duration(to: .now)
            print("figure: a seat without power is noticed after \(time), where 4 seconds of silence are allowed")
            #expect(time < .seconds(8))
            try await side.waitUntilOver()
        }
    }

    @Test func aSilentSeatWithoutPowerIsNoticed() async throws {
        try await withPulledCable { _ in }
    }

    @Test func aSeatWithoutPowerIsNoticedWhileItsDesktopSends() async throws {
        try await withPulledCable { side in try await side.send([UInt8](repeating: 1, count: 100_000)) }
    }
}
