import DesktopModel
import Foundation
import Hypervisor
import Testing

@testable import Broker

/// Random histories of claims, ends, lost links, failing steps and crashes, each checked against what must always hold, and for progress.
struct HistoryTests {
    @Test(arguments: 0..<60)
    func whateverHappensNothingTaintedIsHandedOutAndThePoolIsWholeAgain(seed: UInt64) async throws {
        var random = SplitMix(seed: seed)
        let world = try World()
        let labs = try await world.furnish(labs: Int.random(in: 1...2, using: &random), size: Int.random(in: 1...3, using: &random))
        var seats: [SeatID] = []
        for lab in labs { seats += try await world.addSeats(3, lab: lab) }
        var history = try await History(world)
        for _ in 0..<250 { try await disturb(&history, seats, &random) }

        // The faults end: everything is served and made anew in bounded time.
        for session in history.room.sessions.keys.sorted() { history.take(.end(session, .logOff)) }
        for _ in 0..<60 where !history.states().allSatisfy({ $0 == "ready" }) {
            try await history.settle()
            for session in history.room.sessions.keys.sorted() { history.take(.end(session, .logOff)) }
            history.passTime()
        }
        try await history.settle()
        #expect(history.states().allSatisfy { $0 == "ready" }, "seed \(seed): \(history.states())")
        #expect(history.states().count == labs.map(\.size).reduce(0, +))
        #expect(world.domains.count == history.states().count + 1)
        #expect(world.overlays.count == history.states().count)
        #expect(world.violations == [], "seed \(seed)")
    }

    private func disturb(_ history: inout History, _ seats: [SeatID], _ random: inout SplitMix) async throws {
        let possible = history.possible
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<55:
            if let index = possible.randomElement(using: &random) { try await history.doEffect(index) }
        case 55..<59:
            if let index = possible.randomElement(using: &random) { history.failEffect(index) }
        case 59..<62:
            if let index = possible.randomElement(using: &random) { try await history.doEffect(index, reporting: false) }
            try await history.crash()
        case 62..<74:
            guard let seat = seats.randomElement(using: &random) else { return }
            history.claim(seat, boot: "boot-\(Int.random(in: 1...2, using: &random))", ticket: .random(in: 1...200, using: &random))
        case 74..<80:
            if let session = history.room.sessions.keys.sorted().randomElement(using: &random) {
                history.take(.end(session, [.logOff, .closed, .administrator].randomElement(using: &random) ?? .logOff))
            }
        case 80..<86:
            guard let session = history.room.sessions.keys.sorted().randomElement(using: &random) else { return }
            let link = UInt64.random(in: 1...3, using: &random)
            history.take(Bool.random(using: &random) ? .linkOpened(session, link) : .linkClosed(session, link))
        case 86..<90:
            guard let seat = seats.randomElement(using: &random) else { return }
            history.take(Bool.random(using: &random) ? .seatPresent(seat) : .seatAbsent(seat))
        case 90..<93:
            guard let uuid = history.world.domains.keys.filter({ $0 != history.world.foreign }).sorted(by: { "\($0)" < "\($1)" })
                .randomElement(using: &random)
            else { return }
            history.world.domains[uuid] = nil
            history.take(.domainEnded(uuid, .died))
        case 93..<95:
            if let desktop = history.room.desktops.keys.sorted().randomElement(using: &random) { history.take(.remake(desktop)) }
        default:
            history.passTime()
        }
    }
}
