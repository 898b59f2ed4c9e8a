import DesktopModel
import Hypervisor
import Testing

@testable import Broker

/// Desktops that stand parked for long are let run for a moment, one at a time, and nobody who comes meanwhile notices.
struct AiringTests {
    private let world: World
    private let lab: Lab

    init() async throws {
        world = try World()
        lab = try await world.furnish(size: 2)[0]
    }

    /// A room at rest, with seats.
    private func atRest() async throws -> (History, [SeatID]) {
        let seats = try await world.addSeats(2, lab: lab)
        var history = try await History(world)
        try await history.settle()
        #expect(history.states() == ["ready", "ready"])
        for seat in seats { history.take(.seatPresent(seat)) }
        return (history, seats)
    }

    private func airings(_ history: History) -> [DesktopID] {
        history.pending.compactMap { if case .step(let id, _, .air) = $0 { id } else { nil } }
    }

    /// The room's only airing has begun, and is not over.
    private func whileOneIsAired() async throws -> (History, [SeatID], DesktopID) {
        var (history, seats) = try await atRest()
        history.passTime()
        return (history, seats, try #require(airings(history).first))
    }

    @Test func aSeatOfALabWithoutDesktopsKeepsNobodysFromBeingAired() async throws {
        var (history, seats) = try await atRest()
        history.take(.seatChanged(seats[0], RoomSeat(name: "elsewhere", lab: LabID(rawValue: 99), isPresent: true)))
        for _ in 1...40 {
            history.instant = history.instant + .seconds(30)
            history.claim(seats[0])
            history.take(.timePassed)
        }
        #expect(!airings(history).isEmpty)
    }

    @Test func eachIsAiredWhenItHasStoodForItsLabsTimeAndOnlyOneAtOnce() async throws {
        var (history, _) = try await atRest()
        let parked = history.instant
        for round in 1...2 {
            for number in 1...2 {
                history.passTime()
                #expect(history.instant == parked + lab.airing * round, "round \(round)")
                #expect(airings(history).count == 1, "desktop \(number)")
                try await history.settle()
            }
        }
        #expect(world.aired.count == 4 && Set(world.aired).count == 2)
        #expect(Array(world.aired[0...1]) == Array(world.aired[2...3]))
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func noneIsWhereItsLabSaysSo() async throws {
        var (history, _) = try await atRest()
        var never = lab
        never.airing = .zero
        history.take(.labChanged(never))
        try await history.settle()
        #expect(history.room.nextAiring == nil)
        #expect(history.room.nextDeadline == nil)
    }

    @Test func noneIsWhileSeatsComeOrDesktopsAreMade() async throws {
        var (history, seats) = try await atRest()
        history.instant = history.instant + (lab.airing - .seconds(10))
        history.claim(seats[0])
        try await history.settle()
        #expect(history.room.nextAiring?.at == history.instant + history.room.settings.airingPause)
        let session = try #require(history.room.sessions.keys.first)
        history.take(.end(session, .logOff))
        #expect(history.room.nextAiring == nil, "the one that was given back is removed")
        try await history.settle()
        #expect(history.room.nextAiring?.at == history.instant + history.room.settings.airingPause)
    }

    @Test func whoComesMeanwhileIsGivenAnother() async throws {
        var (history, seats, aired) = try await whileOneIsAired()
        let claim = history.claim(seats[0])
        while history.session(from: claim) == nil {
            let index = try #require(history.possible.first { if case .step(_, _, .air) = history.pending[$0] { false } else { true } })
            try await history.doEffect(index)
        }
        let session = try #require(history.session(from: claim))
        #expect(history.room.sessions[session]?.session.desktop != aired)
        #expect(history.airingsEnded.isEmpty)
    }

    @Test func whoIsGivenItHasItAsSoonAsItIsParkedAgain() async throws {
        var (history, seats, aired) = try await whileOneIsAired()
        for seat in seats { history.claim(seat) }
        func done() -> Int? { history.possible.first { if case .step(_, _, .air) = history.pending[$0] { false } else { true } } }
        while let index = done() { try await history.doEffect(index) }
        let session = try #require(history.room.sessions.values.first { $0.session.desktop == aired })
        #expect(session.phase == .unpausing)
        #expect(history.airingsEnded == [aired])
        #expect(world.leasedTo.count == 1, "it is not let run for its session while its airing may still park it")
        try await history.settle()
        #expect(history.room.sessions[session.session.id]?.phase == .handedOut)
        #expect(world.domains.filter { $0.key != world.foreign }.values.allSatisfy { !$0.isPaused })
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: [true, false]) func whatDoesNotAnswerAnyMoreIsMadeAnew(saysSo: Bool) async throws {
        var (history, _, aired) = try await whileOneIsAired()
        let generation = try #require(history.room.desktops[aired]?.generation)
        if saysSo {
            history.failEffect(try #require(history.pending.firstIndex { if case .step(_, _, .air) = $0 { true } else { false } }))
        } else {
            history.pending.removeAll { if case .step(_, _, .air) = $0 { true } else { false } }
            history.passTime()
        }
        #expect(history.room.desktops[aired]?.state == .retiring)
        try await history.settle()
        #expect(history.states() == ["ready", "ready"])
        #expect(history.room.desktops[aired]?.generation == generation.next)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whoWasGivenOneThatFailsIsGivenAnother() async throws {
        var (history, seats, aired) = try await whileOneIsAired()
        for seat in seats { history.claim(seat) }
        while let index = history.possible.first(where: { if case .step(_, _, .air) = history.pending[$0] { false } else { true } }) {
            try await history.doEffect(index)
        }
        history.failEffect(try #require(history.pending.firstIndex { if case .step(_, _, .air) = $0 { true } else { false } }))
        #expect(history.room.desktops[aired]?.state == .retiring)
        try await history.settle()
        // Its seat stands in the line, and is offered the one that is made.
        #expect(history.states().sorted() == ["leased", "ready"])
        #expect(history.told.contains { if case .offer = $0.1 { true } else { false } })
        #expect(world.violations.isEmpty, "\(world.violations)")
    }
}
