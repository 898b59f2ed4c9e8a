import DesktopModel
import Testing

@testable import DesktopStore

@Suite struct SeatTests {
    private let token = Fixture.hash(201)

    @Test func aWordEnrolsItsSeatOnce() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let seat = try #require(try await store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: token, now: 1_500_000))
        #expect(seat.id == fixture.seats[0].id)
        #expect(seat.enrolled == 1_500_000)
        #expect(seat.wordExpires == nil)
        #expect(try await store.seat(tokenHash: token) == seat)
        #expect(try await store.seat(seat.id) == seat)
        #expect(try await store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: Fixture.hash(202), now: 1_500_000) == nil)
        #expect(try await store.seat(tokenHash: token) == seat, "a used word changes nothing")
    }

    @Test func anExpiredOrUnknownWordEnrolsNobody() async throws {
        let fixture = try await Fixture()
        #expect(try await fixture.store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: token, now: 2_000_000) == nil)
        #expect(try await fixture.store.enrolSeat(wordHash: Fixture.hash(77), tokenHash: token, now: 0) == nil)
        #expect(try await fixture.store.seat(tokenHash: token) == nil)
        #expect(try await fixture.store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: token, now: 1_999_999) != nil)
    }

    @Test func oneWordEnrolsOneOfManyThatTryAtOnce() async throws {
        let fixture = try await Fixture()
        let enrolled = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<20 {
                group.addTask {
                    try await fixture.store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: Fixture.hash(100 + number), now: 1) != nil
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(enrolled == 1)
    }

    @Test func aSeatAddedAgainKeepsItsNumberAndItsTokenUntilTheNewWordIsUsed() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let first = try #require(try await store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: token, now: 1))
        let again = try await store.addSeat(name: "pi-1", lab: fixture.lab.id, wordHash: Fixture.hash(50), wordExpires: 3_000_000)
        #expect(again.id == first.id)
        #expect(again.wordExpires == 3_000_000)
        #expect(try await store.seat(tokenHash: token)?.id == first.id)
        #expect(try await store.enrolSeat(wordHash: Fixture.hash(50), tokenHash: Fixture.hash(203), now: 2)?.id == first.id)
        #expect(try await store.seat(tokenHash: token) == nil)
        #expect(try await store.seats().map(\.name) == ["pi-1", "pi-2"])
    }

    @Test func aRemovedSeatsNumberIsNotUsedAgain() async throws {
        let fixture = try await Fixture()
        let last = fixture.seats[1].id
        try await fixture.store.removeSeat(last)
        let new = try await fixture.store.addSeat(name: "pi-2", lab: fixture.lab.id, wordHash: Fixture.hash(60), wordExpires: 1)
        #expect(new.id > last)
    }

    @Test func aSeatIsMovedAndBlockedAndStaysEnrolled() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let seat = try #require(try await store.enrolSeat(wordHash: Fixture.hash(1), tokenHash: token, now: 1))
        #expect(!seat.isBlocked)
        let other = try await store.addLab(
            Lab(
                id: LabID(rawValue: 0), name: "other", image: fixture.image.id, profile: Profile(vcpus: 1, memory: .mebibytes(512)), size: 0,
                grace: .seconds(60), afterSession: .claimAgain))
        let blocked = try await store.changeSeat(seat.id, to: SeatChange(isBlocked: true))
        #expect(blocked.isBlocked && blocked.lab == fixture.lab.id)
        let moved = try await store.changeSeat(seat.id, to: SeatChange(lab: other.id))
        #expect(moved.isBlocked && moved.lab == other.id)
        #expect(try await store.seat(tokenHash: token) == moved)
        let again = try await store.addSeat(name: "pi-1", lab: other.id, wordHash: Fixture.hash(70), wordExpires: 9)
        #expect(again.isBlocked, "a new word changes nothing of it")
        #expect(try await !store.changeSeat(seat.id, to: SeatChange(isBlocked: false)).isBlocked)
        await #expect(throws: StoreError.unknown(kind: "lab", id: "99")) {
            try await store.changeSeat(seat.id, to: SeatChange(lab: LabID(rawValue: 99)))
        }
        await #expect(throws: StoreError.unknown(kind: "seat", id: "99")) {
            try await store.changeSeat(SeatID(rawValue: 99), to: SeatChange(isBlocked: true))
        }
    }

    @Test func aNewNameIsTheOpenSessionsTooAndNotThatOfThoseThatEnded() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let seat = fixture.seats[0]
        try await store.apply(fixture.lease(1))
        try await store.apply(fixture.end(1))
        try await store.apply(fixture.lease(2, desktop: 1))
        let place = TablePlace(column: 3, row: 2)
        let renamed = try await store.changeSeat(seat.id, to: SeatChange(name: "window-3", place: place))
        #expect(renamed.name == "window-3" && renamed.lab == seat.lab && renamed.place == place)
        #expect(try await store.seats().map(\.place) == [nil, place])
        #expect(try await store.sessions(openOnly: false, limit: 9).map(\.seatName) == ["window-3", "pi-1"])
        await #expect(throws: StoreError.taken(kind: "seat", name: "pi-2")) { try await store.changeSeat(seat.id, to: SeatChange(name: "pi-2", isBlocked: true)) }
        #expect(try await store.seat(seat.id) == renamed)
    }

    @Test func aSeatNeedsALabThatIsThere() async throws {
        let fixture = try await Fixture()
        await #expect(throws: StoreError.unknown(kind: "lab", id: "99")) {
            try await fixture.store.addSeat(name: "pi-9", lab: LabID(rawValue: 99), wordHash: Fixture.hash(61), wordExpires: 1)
        }
        #expect(try await fixture.store.seats().count == 2)
    }
}
