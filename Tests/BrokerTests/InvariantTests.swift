import DesktopModel
import DesktopStore
import Foundation
import Hypervisor
import Testing

@testable import Broker

/// What must always hold, each shown in the shortest history that could break it.
struct InvariantTests {
    @Test func aLabFillsByItselfAndParksEveryDesktop() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 3)[0]
        var history = try await History(world)
        try await history.settle()
        #expect(history.states(of: lab.id) == ["ready", "ready", "ready"])
        #expect(world.domains.filter { $0.key != world.foreign }.allSatisfy { $0.value.isPaused })
        #expect(world.violations == [])
    }

    @Test func aDesktopIsLetRunOnlyWhenItsLeaseIsOnTheDisk() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let claim = history.claim(seat)
        #expect(!history.pending.contains { if case .unpause = $0 { true } else { false } })
        #expect(history.answer(to: claim) == nil)
        try await history.doEffect(0)
        #expect(history.pending.contains { if case .unpause = $0 { true } else { false } })
        #expect(history.answer(to: claim) == nil)
        try await history.settle()
        #expect(history.session(from: claim) != nil)
        #expect(world.violations == [])
    }

    @Test func aLeaseThatCannotBeWrittenTaintsItsDesktop() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let generation = history.room.desktops.values.first?.generation
        let claim = history.claim(seat)
        history.failEffect(0)
        #expect(history.answer(to: claim) == .failure(.storage("disk full")))
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(history.room.desktops.values.first?.generation == generation?.next)
        #expect(world.violations == [])
    }

    @Test func aLeasedDesktopIsReadyAgainOnlyInANewGeneration() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let before = try #require(history.room.desktops.values.first)
        let overlay = OverlayName(desktop: before.id, generation: before.generation)
        let session = try #require(try await claimed(&history, seat))
        history.take(.end(session, .logOff))
        #expect(history.states() == ["retiring"])
        try await history.settle()
        let after = try #require(history.room.desktops.values.first)
        #expect(after.state == .ready)
        #expect(after.generation == before.generation.next)
        #expect(world.domains[history.room.uuid(of: before)] == nil)
        #expect(!world.overlays.contains(overlay))
        #expect(world.violations == [])
    }

    @Test(arguments: 0..<14)
    func aCrashAtAnyEffectOfALeaseHandsOutNothingTainted(step: Int) async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        let seats = try await world.addSeats(2, lab: lab)
        var history = try await History(world)
        try await history.settle()
        history.claim(seats[0])
        var done = 0
        while done < step, let first = history.possible.first {
            // The effect happens, and at the last one the daemon is cut off before it learns of it.
            try await history.doEffect(first, reporting: done < step - 1)
            done += 1
            if let session = history.room.sessions.keys.first, history.room.sessions[session]?.phase == .handedOut {
                history.take(.end(session, .logOff))
            }
        }
        try await history.crash()
        try await history.settle()
        for _ in 0..<6 where history.states() != ["ready"] {
            history.passTime()
            try await history.settle()
        }
        let session = try await claimed(&history, seats[1])
        #expect(session != nil)
        #expect(world.violations == [])
    }

    @Test func aRestartAdoptsWhatItCanVouchForAndNothingElse() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 3)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let session = try #require(try await claimed(&history, seat))
        let leased = try #require(history.room.sessions[session]?.session.desktop)
        let ready = history.room.desktops.values.filter { $0.state == .ready }.sorted { $0.id < $1.id }
        // Somebody lets one of the ready ones run behind the daemon's back.
        world.domains[history.room.uuid(of: ready[0])]?.isPaused = false
        // A domain of ours that belongs to nothing, and an overlay.
        let stray = DomainUUID(installation: world.store.installation, desktop: DesktopID(rawValue: 99), generation: Generation(rawValue: 1))
        world.domains[stray] = World.FakeDomain(isPaused: true, memory: .mebibytes(1), promised: .mebibytes(1), vcpus: 1, overlay: "99-1.qcow2")
        world.overlays.insert(OverlayName(desktop: DesktopID(rawValue: 99), generation: Generation(rawValue: 1)))

        try await history.crash()
        #expect(history.room.desktops[leased]?.state == .leased(session))
        #expect(history.room.desktops[ready[0].id]?.state == .retiring)
        #expect(history.room.desktops[ready[1].id]?.state == .ready)
        try await history.settle()
        #expect(world.domains[stray] == nil)
        #expect(world.domains[world.foreign] != nil)
        #expect(world.overlays.count == 3)
        #expect(history.room.desktops[ready[1].id]?.generation == ready[1].generation)
        #expect(history.room.desktops[ready[0].id]?.generation == ready[0].generation.next)
        #expect(world.violations == [])
    }

    @Test func aLeasedDesktopLeftPausedByACrashIsLetRun() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        history.claim(seat)
        try await history.doEffect(0, reporting: false)
        try await history.crash()
        try await history.settle()
        #expect(history.states() == ["leased"])
        let uuid = try #require(history.room.desktops.values.first.map(history.room.uuid))
        #expect(world.domains[uuid]?.isPaused == false)
        let again = try await claimed(&history, seat)
        #expect(again == history.room.sessions.keys.first)
        #expect(world.violations == [])
    }

    @Test func nothingIsBegunThatDoesNotFit() async throws {
        let world = try World()
        // 6 GiB less 2 for dom0, 256 MiB for the foreign domain and Xen's own: room for seven of 512 MiB.
        let lab = try await world.furnish(size: 12)[0]
        var history = try await History(world)
        try await history.settle()
        let states = history.states(of: lab.id)
        #expect(states.count { $0 == "ready" } == 7)
        #expect(states.count { $0 == "empty" } == 5)
        let waiting = try #require(history.room.desktops.values.first { $0.state == .empty })
        #expect(history.room.note(on: waiting)?.contains("memory") == true)
        #expect(world.violations == [])
    }

    @Test func refillingIsBoundedAndAnUnpauseNeverWaitsForIt() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 6)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        while !history.states().contains("ready"), let first = history.possible.first { try await history.doEffect(first) }
        let making = history.room.desktops.values.count { if case .preparing = $0.state { true } else { false } }
        #expect((1...2).contains(making))
        history.claim(seat)
        // The lease's record and its unpause can be done while every step of the refill still waits.
        while let index = history.possible.first(where: { index in
            switch history.pending[index] {
            case .record, .unpause: true
            default: false
            }
        }) {
            try await history.doEffect(index)
        }
        #expect(history.states().contains("leased"))
        #expect(history.answers.contains { if case .success(.desktop) = $0.1 { true } else { false } })
        #expect(world.violations == [])
    }

    @Test func aForeignDomainIsNeverTouchedAndItsMemoryIsInTheBooks() async throws {
        let world = try World()
        world.domains[world.foreign]?.memory = .gibibytes(3)
        _ = try await world.furnish(size: 4)
        var history = try await History(world)
        try await history.settle()
        #expect(history.states().count { $0 == "ready" } == 1)
        #expect(world.domains[world.foreign]?.memory == .gibibytes(3))
        #expect(world.violations == [])
    }

    private func claimed(_ history: inout History, _ seat: SeatID) async throws -> SessionID? {
        let claim = history.claim(seat)
        try await history.settle()
        return history.session(from: claim)
    }

    @Test func whatOthersGiveBackIsFoundByItself() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        // Another's domain has what the desktop needs.
        world.domains[world.foreign]?.memory = .gibibytes(4)
        var history = try await History(world)
        try await history.settle()
        #expect(history.states(of: lab.id) == ["empty"])
        let present = history.room.desktops.values.first.flatMap { history.room.explanation(of: $0).present }
        #expect(present?.contains("it needs ") == true && present?.contains("-") == false, "\(present ?? "")")
        history.passTime()
        try await history.settle()
        #expect(history.states(of: lab.id) == ["empty"])

        world.domains[world.foreign]?.memory = .mebibytes(256)
        history.passTime()
        try await history.settle()
        #expect(history.states(of: lab.id) == ["ready"])
        #expect(history.room.nextDeadline == history.room.nextAiring?.at, "nothing is asked for once nothing is missing")
        #expect(world.violations == [])
    }
}
