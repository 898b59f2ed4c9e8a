import Foundation
import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import Relay
@testable import punnet_relay

/// Seats in a network namespace of their own, whose cable can be pulled. As root only, since nobody else may make one.
@Suite(.timeLimit(.minutes(1)), .serialized, .enabled(if: geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip")))
struct PowerlessSeatTests {
    private let ticket = Packets.goodTicket

    /// A namespace, joined to this one by a pair of interfaces; the relay listens at this end of it.
    private struct Cable {
        let name: String
        let here: String
        let there: String

        static func lay() throws -> Cable {
            let number = Int.random(in: 1...0xffff)
            let net = "10.213.\(number >> 8)"
            let host = number & 0xfc
            let cable = Cable(name: "relay-\(String(number, radix: 16))", here: "\(net).\(host | 1)", there: "\(net).\(host | 2)")
            try run("ip netns add \(cable.name)")
            try run("ip link add \(cable.name) type veth peer name seat netns \(cable.name)")
            try run("ip addr add \(cable.here)/30 dev \(cable.name)")
            try run("ip link set \(cable.name) up")
            try run("ip -n \(cable.name) addr add \(cable.there)/30 dev seat")
            try run("ip -n \(cable.name) link set seat up")
            return cable
        }

        func pull() throws { try Cable.run("ip -n \(name) link set seat down") }

        func remove() {
            try? Cable.run("ip link del \(name)")
            try? Cable.run("ip netns del \(name)")
        }

        /// A seat that shows its ticket and then keeps the connection; the process that holds it.
        func seat(to address: SocketAddress, request: [UInt8]) throws -> Process {
            let octal = request.map { "\\" + String($0, radix: 8) }.joined()
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [
                "ip", "netns", "exec", name, "bash", "-c",
                "exec 3<>/dev/tcp/\(here)/\(address.port ?? 0); printf '\(octal)' >&3; exec cat <&3 >/dev/null",
            ]
            try process.run()
            return process
        }

        private static func run(_ line: String) throws {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = line.split(separator: " ").map(String.init)
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "\(line)")
        }
    }

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
