import DesktopModel
import Foundation
import Testing

@testable import DesktopStore

@Suite struct LeaseTests {
    private static let disagreement = StoreError.conflict(
        "a leased desktop and its open session would not name each other, or name what is not there")

    private func expectRefusal(_ fixture: Fixture, _ changes: [StoreChange], _ what: Comment) async throws {
        let before = try await fixture.store.room()
        await #expect(throws: Self.disagreement, what) { try await fixture.store.apply(changes) }
        #expect(try await fixture.store.room() == before, what)
    }

    @Test func aLeasedDesktopAndItsOpenSessionNeverDisagree() async throws {
        let fixture = try await Fixture()
        try await expectRefusal(fixture, [.desktopChanged(fixture.leased(1))], "leased without a session")
        try await expectRefusal(fixture, [fixture.began(fixture.session(1))], "a session without a leased desktop")
        try await expectRefusal(
            fixture, [.desktopChanged(fixture.leased(1)), fixture.began(fixture.session(1, generation: 2))], "another generation")
        try await expectRefusal(
            fixture, [.desktopChanged(fixture.leased(1)), fixture.began(fixture.session(1, desktop: 1))], "another desktop")
        try await expectRefusal(fixture, [.desktopChanged(fixture.leased(2)), fixture.began(fixture.session(1))], "another session")

        try await fixture.store.apply(fixture.lease(1))
        try await expectRefusal(fixture, [.sessionEnded(SessionID(rawValue: 1), .logOff)], "ended while the desktop is leased")
        try await expectRefusal(fixture, [.desktopChanged(fixture.desktops[0])], "ready while the session is open")
        try await expectRefusal(fixture, [.desktopRemoved(fixture.desktops[0].id)], "removed while the session is open")
        try await fixture.store.apply(fixture.end(1))
    }

    @Test func aLeaseIsKeptInEitherOrderOfItsChanges() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1).reversed())
        try await fixture.store.apply(fixture.end(1).reversed())
        #expect(try await fixture.store.room().sessions.isEmpty)
    }

    @Test func aSeatHasOneOpenSessionAtMost() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1, seat: 0, desktop: 0))
        await #expect { try await fixture.store.apply(fixture.lease(2, seat: 0, desktop: 1)) } throws: { error in
            guard case StoreError.conflict(let detail) = error else { return false }
            return detail.contains("session")
        }
        try await fixture.store.apply(fixture.lease(2, seat: 1, desktop: 1))
        #expect(try await fixture.store.room().sessions.count == 2)
    }

    @Test func aDesktopHasOneOpenSessionAtMost() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1, seat: 0, desktop: 0))
        await #expect { try await fixture.store.apply(fixture.lease(2, seat: 1, desktop: 0)) } throws: { error in
            guard case StoreError.conflict = error else { return false }
            return true
        }
        #expect(try await fixture.store.room().sessions == [fixture.session(1)])
    }

    @Test func aSessionOfASeatThatIsNotThereIsRefused() async throws {
        let fixture = try await Fixture()
        try await fixture.store.removeSeat(fixture.seats[0].id)
        try await expectRefusal(fixture, fixture.lease(1, seat: 0), "the seat is gone")
    }

    @Test func aSessionsTicketAndAddressAreRenewedWhileItIsOpen() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        let renewed = StoreChange.sessionTicket(SessionID(rawValue: 1), TicketHash(bytes: Fixture.hash(8)), address: "192.0.2.8")
        try await fixture.store.apply([renewed])
        let session = try #require(try await fixture.store.room().sessions.first)
        #expect(session.ticket.bytes == Fixture.hash(8))
        #expect(session.address == "192.0.2.8")
        try await fixture.store.apply(fixture.end(1))
        await #expect(throws: StoreError.unknown(kind: "open session", id: "1")) { try await fixture.store.apply([renewed]) }
    }

    @Test func aSessionEndsOnce() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        try await fixture.store.apply(fixture.end(1))
        await #expect(throws: StoreError.unknown(kind: "open session", id: "1")) { try await fixture.store.apply(fixture.end(1)) }
    }

    @Test func theHistoryOutlivesSeatsAndDesktops() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        fixture.calendar.now = 1_000_050
        try await fixture.store.apply(fixture.end(1, reason: .linkLost))
        try await fixture.store.apply(fixture.lease(2, seat: 1, desktop: 1))
        try await fixture.store.apply([.desktopRemoved(fixture.desktops[0].id)])
        try await fixture.store.removeSeat(fixture.seats[0].id)

        let first = SessionRecord(
            id: SessionID(rawValue: 1), seat: fixture.seats[0].id, seatName: "pi-1", desktop: fixture.desktops[0].id,
            desktopName: "room1-1",
            began: 1_000_000, ended: 1_000_050, reason: .linkLost)
        let second = SessionRecord(
            id: SessionID(rawValue: 2), seat: fixture.seats[1].id, seatName: "pi-2", desktop: fixture.desktops[1].id,
            desktopName: "room1-2",
            began: 1_000_050, ended: nil, reason: nil)
        #expect(try await fixture.store.sessions(openOnly: false, limit: 10) == [second, first])
        #expect(try await fixture.store.sessions(openOnly: false, limit: 1) == [second])
        #expect(try await fixture.store.sessions(openOnly: true, limit: 10) == [second])
    }

    @Test func aLeaseIsInTheFilesBeforeTheStoreIsClosed() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        let copy = fixture.folder.path + "/copy.db"
        for part in ["", "-wal"] { try FileManager.default.copyItem(atPath: fixture.path + part, toPath: copy + part) }
        let after = try Fixture.open(copy)
        #expect(try await after.room().sessions == [fixture.session(1)])
    }
}
