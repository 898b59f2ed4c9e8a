import Foundation
import Glibc
import NIOCore
import Testing

@testable import Relay
@testable import punnet_relay

/// The program itself, under what anyone on the LAN can do to it. The figures are printed, and judged by nobody here.
@Suite(.timeLimit(.minutes(6)), .serialized) struct UnderFireTests {
    private let ticket = Packets.goodTicket

    private func ticket(_ number: Int) -> String { "ticket-number-\(number + 100_000)-of-these-tests" }

    /// Sends both ways over a link, and looks at every byte.
    private func passBytes(over link: (seat: Wire, desktop: Wire), _ already: (seat: [UInt8], desktop: [UInt8])) async throws {
        let up = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let down = Array(up.reversed())
        try await link.seat.send(up)
        try await link.desktop.send(down)
        try await link.desktop.expect(already.desktop + up)
        try await link.seat.expect(already.seat + down)
    }

    @Test func fiveThousandSilentConnectionsKeepNobodyOut() async throws {
        raiseOpenFiles()
        try await RelayProgram.run { relay in
            let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
            let first = try await relay.link(session: 1, ticket: ticket, to: desktop)
            let (files, memory) = (try relay.descriptors(), try relay.residentKiB())
            var resting: [(Wire, Wire)] = []
            for number in 2...201 { resting.append(try await relay.link(session: Int64(number), ticket: ticket(number), to: desktop)) }
            let (filesWithLinks, memoryWithLinks) = (try relay.descriptors(), try relay.residentKiB())
            let perLink = Double(memoryWithLinks - memory) * 2 / Double(filesWithLinks - files)
            print("figure: a resting link takes \(perLink) KiB of the relay's memory")

            let crowd = Crowd(at: try #require(relay.address.port), size: 5_400, perAddress: 60, network: 1)
            try await crowd.during {
                func held() async throws -> Int {
                    try await condition("5,000 silent connections", within: 120) {
                        try relay.descriptors() - filesWithLinks
                    } until: {
                        $0 >= 5_000
                    }
                }
                let silent = try await held()
                let memoryWithCrowd = try relay.residentKiB()
                let time = try relay.processorTime()
                let start = ContinuousClock.now
                let newcomer = try await relay.link(session: 300, ticket: ticket(300), to: desktop, from: "127.0.0.3")
                let firstWait = start.duration(to: .now)
                let again = ContinuousClock.now
                resting.append(try await relay.link(session: 301, ticket: ticket(301), to: desktop, from: "127.0.0.3"))
                let secondWait = again.duration(to: .now)
                resting.append(newcomer)
                try await passBytes(over: first, ([], Packets.request(ticket: ticket)))
                try await passBytes(over: newcomer, ([], Packets.request(ticket: ticket(300))))
                let stillSilent = try await held()
                let share = (try relay.processorTime() - time) / (start.duration(to: .now) / .seconds(1))
                print(
                    "figure: \(silent) silent connections take \(Double(memoryWithCrowd - memoryWithLinks) / Double(silent)) KiB each;",
                    "a newcomer is let in after \(firstWait) while they come and \(secondWait) when they are there; then there are",
                    "\(stillSilent); the relay takes \(Int(share * 100)) % of a processor while \(crowd.count) have come")
            }
            // The two newcomers' links stay.
            try await condition("descriptors as before", within: 120) {
                try relay.descriptors()
            } until: {
                $0 <= filesWithLinks + 4
            }
            for (seat, side) in resting { #expect(!seat.arrived.isOver && !side.arrived.isOver, "no link was lost") }
            await desktop.close()
        }
    }

    @Test func aFloodOfAThousandASecondFromOneAddressKeepsNobodyElseOut() async throws {
        raiseOpenFiles()
        try await RelayProgram.run { relay in
            let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
            let first = try await relay.link(session: 1, ticket: ticket, to: desktop, from: "127.0.0.2")
            let (files, memory) = (try relay.descriptors(), try relay.residentKiB())
            let flood = Flood(at: try #require(relay.address.port), from: 0x7f00_0009, rate: 1_000)
            let start = ContinuousClock.now
            let time = try relay.processorTime()
            var waits: [Duration] = []
            try await flood.during {
                for number in 0..<100 where start.duration(to: .now) < .seconds(6) || number < 20 {
                    let before = ContinuousClock.now
                    let link = try await relay.link(session: Int64(number + 2), ticket: ticket(number), to: desktop, from: "127.0.0.3")
                    waits.append(before.duration(to: .now))
                    await link.seat.close()
                    await link.desktop.close()
                    try await condition("the flood to go on") {
                        flood.count
                    } until: {
                        $0 > number * 50
                    }
                }
                try await passBytes(over: first, ([], Packets.request(ticket: ticket)))
            }
            let seconds = start.duration(to: .now) / .seconds(1)
            waits.sort()
            let used = try relay.processorTime() - time
            print(
                "figure: \(flood.count) connections from one address in \(seconds) s took \(used) s of the relay's processor time; meanwhile another",
                "was let in \(waits.count) times, after \(waits[waits.count / 2]) (median) and \(waits[waits.count - 1]) (longest);",
                "resident \(memory) KiB before, \(try relay.residentKiB()) KiB after; \(try relay.logged.count) lines logged")
            try await condition("descriptors as before", within: 120) {
                try relay.descriptors()
            } until: {
                $0 <= files
            }
            #expect(try relay.logged.count <= 4 + Int(seconds / 10), "a flood is logged as numbers")
            await desktop.close()
        }
    }

    @Test func sendersOfAByteASecondAreClosedAndCounted() async throws {
        raiseOpenFiles()
        var limits = DoorLimits()
        limits.requestTime = .seconds(3)
        try await Room.open(limits: limits) { room in
            let desktop = try await room.startDesktop()
            let port = try #require(try room.address.port)
            let senders = SlowSenders(at: port, count: 300, perAddress: 60, network: 2, words: Packets.request(ticket: ticket))
            try await senders.during {
                try await condition("all to wait") {
                    room.door.load.waiting
                } until: {
                    $0 == 300
                }
                _ = try await room.link(session: 1, ticket: ticket, to: desktop)
                try await room.incident(.slow, times: 300)
                try await condition("all to be closed") {
                    senders.left
                } until: {
                    $0 == 0
                }
            }
            #expect(room.door.load.connections == 1)
        }
    }

    @Test func whereTheSystemGivesNoMoreDescriptorsTheDoorRestsAndRecovers() async throws {
        raiseOpenFiles()
        try await RelayProgram.run { relay in
            let desktop = try await Desktop.start(reads: true, sendBuffer: nil)
            let first = try await relay.link(session: 1, ticket: ticket, to: desktop)
            await relay.book.issue(ticket(2), session: 2, port: desktop.port)
            let files = try relay.descriptors()
            let seat = try await Wire.connect(to: relay.address)
            try await condition("the seat to be at the door") {
                try relay.descriptors()
            } until: {
                $0 > files
            }
            // Not one more: the seat is in, its connection to the desktop is one too many.
            try relay.limitOpenFiles(to: try relay.nextDescriptor())
            try await seat.send(Packets.request(ticket: ticket(2)))
            try await seat.waitUntilOver()
            let refusal = try await condition("the refusal to be logged") {
                try relay.logged
            } until: {
                $0.contains { $0.contains("desktop-unreachable") }
            }
            #expect(refusal.contains { $0.contains("errno: \(EMFILE)") }, "the log says what was missing: \(refusal)")

            let crowd = Crowd(at: try #require(relay.address.port), size: 200, perAddress: 20, network: 3)
            try await crowd.during {
                try await condition("the door to have no room") {
                    try relay.logged
                } until: {
                    $0.contains { $0.contains("no room for another connection") }
                }
                let (time, wakeUps) = (try relay.processorTime(), try relay.wakeUps().values.reduce(0, +))
                let start = ContinuousClock.now
                try await passBytes(over: first, ([], Packets.request(ticket: ticket)))
                try await Task.sleep(for: .seconds(3))
                let share = (try relay.processorTime() - time) / (start.duration(to: .now) / .seconds(1))
                let woken = try relay.wakeUps().values.reduce(0, +) - wakeUps
                print("figure: without descriptors the relay takes \(Int(share * 100)) % of a processor and is woken \(woken) times in 3 s")
                #expect(share < 0.5, "a loop would take all of it")
                #expect(try relay.logged.count { $0.contains("no room for another connection") } == 1, "it is said once in a while")
            }
            try relay.limitOpenFiles(to: 4_096)
            let second = try await relay.link(session: 2, ticket: ticket(2), to: desktop)
            try await passBytes(over: second, ([], Packets.request(ticket: ticket(2))))
            await desktop.close()
        }
    }

    /// As root only, since nobody else may make a network namespace, whose ports can be few.
    @Test(.enabled(if: geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/ip")))
    func whereNoPortIsLeftTheSeatIsToldAtOnceAndMayTryAgain() async throws {
        let cable = try Cable.lay()
        defer { cable.remove() }
        try cable.setPorts(61_000...61_003)
        try await RelayProgram.run(host: cable.there, prefix: cable.beyond) { relay in
            let desktop = try await Desktop.start(host: cable.here, reads: true, sendBuffer: nil)
            var links: [(seat: Wire, desktop: Wire)] = []
            for number in 1...4 {
                links.append(try await relay.link(session: Int64(number), ticket: ticket(number), to: desktop, from: cable.here))
            }
            await relay.book.issue(ticket(5), session: 5, from: cable.here, host: desktop.host, port: desktop.port)
            let start = ContinuousClock.now
            let seat = try await Wire.connect(to: relay.address, from: cable.here)
            try await seat.send(Packets.request(ticket: ticket(5)))
            try await seat.waitUntilOver()
            print("figure: a seat for which there is no port is sent away after \(start.duration(to: .now))")
            let told = try await condition("the reason") {
                try relay.logged
            } until: {
                $0.contains { $0.contains("desktop-unreachable") }
            }
            #expect(told.contains { $0.contains("errno: \(EADDRNOTAVAIL)") }, "the log says what was missing: \(told)")
            try await condition("the end to be told") {
                await relay.book.events
            } until: { events in
                events.contains { if case .closed(_, session: 5, .desktopUnreachable) = $0 { true } else { false } }
            }
            // The desktop's side ends first, so that the port is free at once.
            await links[0].desktop.close()
            try await links[0].seat.waitUntilOver()
            await links[0].seat.close()
            let again = try await relay.link(session: 5, ticket: ticket(5), to: desktop, from: cable.here)
            try await passBytes(over: again, ([], Packets.request(ticket: ticket(5))))
            try await passBytes(over: links[1], ([], Packets.request(ticket: ticket(2))))
            await desktop.close()
        }
    }
}
