import DesktopModel
import Hypervisor
import Testing

@testable import Broker

/// Desktops that an administrator takes out of use, until they are released.
struct QuarantineTests {
    private let world: World
    private let lab: Lab

    init() async throws {
        world = try World()
        lab = try await world.furnish(size: 2, memory: .mebibytes(256))[0]
    }

    private func setAside(_ id: DesktopID, _ isSetAside: Bool, _ history: inout History) async throws {
        try await world.store.setAside(id, isSetAside)
        history.take(.setAside(id, isSetAside))
        try await history.settle()
    }

    private func atRest() async throws -> (History, DesktopID) {
        var history = try await History(world)
        try await history.settle()
        let id = try #require(history.room.desktops.values.first { $0.number == 1 }?.id)
        return (history, id)
    }

    @Test func oneThatStandsReadyIsThrownAwayAndMadeAnewOnceItIsReleased() async throws {
        var (history, id) = try await atRest()
        let generation = try #require(history.room.desktops[id]).generation
        try await setAside(id, true, &history)
        #expect(history.states() == ["empty", "ready"])
        #expect(world.domains.count == 2, "the other one's, and the foreign one")
        let told = try #require(history.room.desktops[id])
        #expect(told.toldState == .quarantined(cause: "an administrator has put it in quarantine", holding: false))
        #expect(history.room.report(of: lab).desktops == ["quarantined": 1, "ready": 1])
        #expect(history.room.explanation(of: told).next == "it is made anew once it is released")
        for _ in 1...5 {
            history.passTime()
            try await history.settle()
        }
        #expect(history.room.desktops[id]?.state == .empty)

        try await setAside(id, false, &history)
        #expect(history.states() == ["ready", "ready"])
        #expect(history.room.desktops[id].map { $0.generation > generation } == true)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whoWorksAtOneIsNotDisturbed() async throws {
        var (history, _) = try await atRest()
        let seat = try await world.addSeats(1, lab: lab)[0]
        history.take(.seatChanged(seat, RoomSeat(name: "a", lab: lab.id, isPresent: true)))
        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        let id = try #require(history.room.sessions[session]).session.desktop
        try await setAside(id, true, &history)
        #expect(history.room.desktops[id]?.state == .leased(session))
        history.take(.end(session, .logOff))
        try await history.settle()
        #expect(history.room.desktops[id]?.state == .empty)
        #expect(history.states() == ["empty", "ready"])
    }

    @Test func aRestartReleasesNobody() async throws {
        var (history, id) = try await atRest()
        try await world.store.setAside(id, true)
        try await history.crash()
        try await history.settle()
        #expect(history.states() == ["empty", "ready"], "also where the daemon was killed before it threw the desktop away")
        try await history.crash()
        try await history.settle()
        #expect(history.room.desktops[id]?.state == .empty)
    }

    @Test func whereFewStandReadyAnotherOneIsMadeInItsPlace() async throws {
        var changed = lab
        changed.leastReady = 1
        try await world.store.updateLab(changed)
        var history = try await History(world)
        try await history.settle()
        let id = try #require(history.room.desktops.values.first { $0.state == .ready }?.id)
        try await setAside(id, true, &history)
        #expect(history.states() == ["empty", "ready"])
        #expect(history.room.desktops[id]?.isSetAside == true, "it does not go with what is too much")
    }

    @Test func itKeepsNoOtherFromFollowingItsLab() async throws {
        var (history, id) = try await atRest()
        try await setAside(id, true, &history)
        var changed = lab
        changed.profile.memory = .mebibytes(384)
        try await world.store.updateLab(changed)
        history.take(.labChanged(changed))
        try await history.settle()
        #expect(history.room.desktops.values.filter { $0.state == .ready }.map(\.profile) == [changed.profile])
    }
}
