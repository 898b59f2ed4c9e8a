import DesktopModel
import DesktopStore
import Hypervisor
import Synchronization
import Testing

@testable import Broker

/// Sessions last as long as their lab allows: their seat is warned, and then they end.
struct LimitTests {
    private let world: World
    private let lab: Lab

    init() async throws {
        world = try World()
        var lab = try await world.furnish(size: 1, memory: .mebibytes(256))[0]
        lab.longest = .seconds(600)
        lab.warning = .seconds(60)
        lab.airing = .zero
        try await world.store.updateLab(lab)
        self.lab = lab
    }

    /// A session that was just handed out and whose seat is linked.
    private func begun() async throws -> (History, SeatID, SessionID) {
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        history.take(.seatPresent(seat))
        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        history.take(.linkOpened(session, 1))
        return (history, seat, session)
    }

    private func warnings(_ history: History) -> [Duration] {
        history.told.compactMap { if case .ending(_, let within) = $0.1 { within } else { nil } }
    }

    private func pass(_ seconds: Int, _ history: inout History) {
        history.instant = history.instant + .seconds(seconds)
        history.take(.timePassed)
    }

    @Test func theSeatIsWarnedAndThenTheSessionEnds() async throws {
        var (history, seat, session) = try await begun()
        #expect(history.room.nextDeadline == history.instant + .seconds(540))
        pass(539, &history)
        #expect(warnings(history).isEmpty)
        pass(1, &history)
        #expect(warnings(history) == [.seconds(60)])
        history.take(.seatAbsent(seat))
        pass(20, &history)
        history.take(.seatPresent(seat))
        #expect(warnings(history) == [.seconds(60), .seconds(40)], "a seat that comes back is told again")
        pass(39, &history)
        #expect(history.room.sessions[session] != nil)
        pass(1, &history)
        #expect(history.room.sessions[session] == nil)
        #expect(history.told.last.map { $0.1 } == .ended(session, .timeLimit))
        #expect(history.room.limits.soonest == nil)
    }

    @Test func whoIsOverTheTimeAlreadyIsWarnedFirst() async throws {
        var (history, _, session) = try await begun()
        pass(300, &history)
        var changed = lab
        changed.longest = .seconds(120)
        history.take(.labChanged(changed))
        pass(0, &history)
        #expect(warnings(history) == [.seconds(60)])
        #expect(history.room.sessions[session] != nil)
        pass(60, &history)
        #expect(history.room.sessions[session] == nil)
    }

    @Test func whoGetsMoreTimeAfterAWarningIsWarnedAnew() async throws {
        var (history, _, session) = try await begun()
        pass(540, &history)
        var changed = lab
        changed.longest = .seconds(1200)
        history.take(.labChanged(changed))
        pass(599, &history)
        #expect(warnings(history) == [.seconds(60)])
        pass(1, &history)
        #expect(warnings(history) == [.seconds(60), .seconds(60)])
        pass(60, &history)
        #expect(history.room.sessions[session] == nil)
    }

    @Test func aWarningComesAtHalfOfTheTimeAtTheEarliest() async throws {
        var (history, _, session) = try await begun()
        var changed = lab
        changed.longest = .seconds(120)
        changed.warning = .seconds(300)
        history.take(.labChanged(changed))
        pass(59, &history)
        #expect(warnings(history).isEmpty)
        pass(1, &history)
        #expect(warnings(history) == [.seconds(60)])
        pass(60, &history)
        #expect(history.room.sessions[session] == nil)
    }

    @Test func withoutALimitNothingEnds() async throws {
        var (history, _, session) = try await begun()
        pass(550, &history)
        var changed = lab
        changed.longest = .zero
        history.take(.labChanged(changed))
        pass(86_400, &history)
        #expect(history.room.sessions[session] != nil)
        #expect(history.room.limits.soonest == nil)
    }

    @Test func aLimitWithoutAWarningIsSudden() async throws {
        var (history, _, session) = try await begun()
        var changed = lab
        changed.warning = .zero
        history.take(.labChanged(changed))
        pass(599, &history)
        #expect(history.room.sessions[session] != nil)
        pass(1, &history)
        #expect(history.room.sessions[session] == nil && warnings(history).isEmpty)
    }

    @Test func aRestartDoesNotBeginTheTimeAnew() async throws {
        let clock = Mutex<StoredSeconds>(1_800_000_000)
        let world = try World(clock: { clock.withLock(\.self) })
        var lab = try await world.furnish(size: 1, memory: .mebibytes(256))[0]
        lab.longest = .seconds(600)
        lab.warning = .seconds(60)
        try await world.store.updateLab(lab)
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        clock.withLock { $0 += 500 }
        try await history.crash()
        history.take(.linkOpened(session, 1))
        #expect(history.room.nextDeadline.map { $0 <= history.instant + .seconds(40) } == true)
        pass(40, &history)
        #expect(history.told.contains { $0.1 == .ending(session, within: .seconds(60)) })
        pass(60, &history)
        #expect(history.room.sessions[session] == nil)
    }
}
