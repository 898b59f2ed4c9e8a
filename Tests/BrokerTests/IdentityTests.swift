import DesktopModel
import Foundation
import Hypervisor
import Testing

@testable import Broker

/// A desktop whose image has the guest package is told who it is before anybody asks it for RDP, anew in each generation.
struct IdentityTests {
    @Test func aGuestTakesItsIdentityOverBeforeRDPIsAsked() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1, hasGuest: true)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world, settings: .booting)
        try await history.advance(to: .identity)
        let asked = history.pending.compactMap { effect -> Step? in if case .step(_, _, let step) = effect { step } else { nil } }
        guard case .settle(let uuid, "room1-1", "student") = try #require(asked.first), asked.count == 1 else {
            Issue.record("asked for was \(asked)")
            return
        }
        #expect(uuid == history.room.uuid(of: try history.only))
        #expect(world.domains[uuid]?.isPaused == true)

        try await history.settle()
        #expect(try history.only.state == .ready)
        #expect(try history.only.password == "room1-1-g1")
        #expect(try await world.store.room().desktops.first?.password == "room1-1-g1")

        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        // A daemon that is started anew still knows it, and so can tell a seat that asks again.
        try await history.crash()
        try await history.settle()
        #expect(try history.only.password == "room1-1-g1")
        history.take(.end(session, .logOff))
        try await history.settle()
        #expect(try history.only.password == "room1-1-g2")
        #expect(world.violations.isEmpty)
    }

    @Test func anImageWithoutTheGuestPackageIsEnteredByItsOwnPassword() async throws {
        let world = try World()
        _ = try await world.furnish(size: 1)
        var history = try await History(world, settings: .booting)
        try await history.advance(to: .readiness)
        try await history.settle()
        #expect(try history.only.state == .ready)
        #expect(try history.only.password == nil)
    }

    @Test func aGuestThatDoesNotAnswerInTimeIsGivenUp() async throws {
        let world = try World()
        _ = try await world.furnish(size: 1, hasGuest: true)
        var history = try await History(world, settings: .booting)
        try await history.advance(to: .identity)
        history.pending.removeAll { if case .step(_, _, .settle) = $0 { true } else { false } }
        history.passTime()
        let failure = try #require(try history.only.failure)
        #expect(failure.step == .identity)
        #expect(failure.cause.contains("its guest did not say within 420 s"), "\(failure.cause)")
        // What it says now is of a making that is over.
        history.take(.stepDone(try history.only.id, Generation(rawValue: 1), .settled(password: "late")))
        #expect(try history.only.password == nil)
    }
}
