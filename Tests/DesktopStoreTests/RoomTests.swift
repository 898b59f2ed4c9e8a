import DesktopModel
import Testing

@testable import DesktopStore

@Suite struct RoomTests {
    @Test func whatIsKeptIsReadAgainAfterARestart() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        let before = try await fixture.store.room()
        try fixture.store.close()
        let after = try Fixture.open(fixture.path)
        let room = try await after.room()
        #expect(room == before)
        #expect(after.installation == fixture.store.installation)
        #expect(room.labs == [fixture.lab])
        #expect(room.images == [fixture.image])
        #expect(room.desktops == [fixture.leased(1), fixture.desktops[1]])
        #expect(room.sessions == [fixture.session(1)])
        #expect(room.nextDesktop == DesktopID(rawValue: 3))
        #expect(room.nextSession == SessionID(rawValue: 2))
    }

    @Test func everyInstallationHasAMarkOfItsOwn() async throws {
        let (first, second) = (try await Fixture(), try await Fixture())
        #expect(first.store.installation != second.store.installation)
        #expect(first.store.installation != 0)
    }

    private static let states: [DesktopState] =
        [.empty, .ready, .retiring, .quarantined(cause: .outside("디스크 ' is full"), holding: true), .quarantined(cause: .outside(""), holding: false)]
        + PreparationStep.allCases.map { DesktopState.preparing($0) }

    @Test(arguments: states)
    func everyStateIsKeptWhole(state: DesktopState) async throws {
        let fixture = try await Fixture()
        var desktop = fixture.desktops[0]
        desktop.state = state
        desktop.generation = Generation(rawValue: .max)
        desktop.fingerprint = nil
        desktop.password = "of this generation's own"
        desktop.image = nil
        desktop.profile = nil
        try await fixture.store.apply([.desktopChanged(desktop)])
        #expect(try await fixture.store.room().desktops[0] == desktop)
    }

    @Test(arguments: [PreparationStep.readiness, nil])
    func aFailureIsKeptWithItsConsoleUntilItIsOvercome(step: PreparationStep?) async throws {
        let fixture = try await Fixture()
        var desktop = fixture.desktops[0]
        desktop.state = .quarantined(cause: .outside("RDP did not answer"), holding: false)
        desktop.failure = Failure(count: 4, generation: desktop.generation, step: step, cause: .outside("RDP did not answer"))
        let id = desktop.id
        try await fixture.store.apply([.desktopChanged(desktop)])
        try await fixture.store.apply([
            .consoleRead(id, desktop.generation, ["Linux 부팅", "  Kernel panic"]), .consoleRead(id, desktop.generation.next, ["another's"]),
            .consoleRead(fixture.desktops[1].id, desktop.generation, ["nobody failed"]),
        ])
        try fixture.store.close()
        let store = try Fixture.open(fixture.path)
        desktop.failure?.console = ["Linux 부팅", "  Kernel panic"]
        #expect(try await store.room().desktops == [desktop, fixture.desktops[1]])
        desktop.state = .ready
        desktop.failure = nil
        try await store.apply([.desktopChanged(desktop)])
        #expect(try await store.room().desktops == [desktop, fixture.desktops[1]])
        try await store.apply([.consoleRead(id, desktop.generation, ["too late"])])
        #expect(try await store.room().desktops == [desktop, fixture.desktops[1]])
    }

    @Test func aCauseCanBeToldInAnyLanguageAfterARestart() async throws {
        let fixture = try await Fixture()
        let cause = Sentence.said("{1} within {0}", [.said("{0} s", [.outside("420")]), .outside("\"{0}\" / 없음 \\")])
        var desktop = fixture.desktops[0]
        desktop.state = .quarantined(cause: cause, holding: false)
        desktop.failure = Failure(count: 1, generation: desktop.generation, step: .overlay, cause: cause)
        let checkpoint = Checkpoint(
            id: CheckpointID(rawValue: 1), image: fixture.image.id, profile: fixture.lab.profile, host: "xen", state: .failed(cause: cause), failures: 1)
        try await fixture.store.apply([.desktopChanged(desktop), .checkpointAdded(checkpoint)])
        try fixture.store.close()
        let room = try await Fixture.open(fixture.path).room()
        let stored = try #require(room.desktops.first)
        guard case .quarantined(let first, _) = stored.state, case .failed(let third)? = room.checkpoints.first?.state else {
            Issue.record("\(room.desktops) \(room.checkpoints)")
            return
        }
        for told in [first, try #require(stored.failure).cause, third] {
            #expect(told.text { $0 == "{0} s" ? "{0}초" : "{0} 안에 {1}" } == "420초 안에 \"{0}\" / 없음 \\")
            #expect(told.description == "\"{0}\" / 없음 \\ within 420 s")
        }
    }

    @Test(arguments: ["no memory", "", "{\"said\":1,\"with\":[]}", "{it failed", "[\"a\"]", "12", "'x' is full: \"y\""])
    func aCauseOfAnEarlierVersionIsToldAsItIs(text: String) {
        #expect(StoredSentence(column: text).sentence.text { _ in "another" } == text)
    }

    @Test func aNewDesktopIsAddedWithItsFailure() async throws {
        let fixture = try await Fixture()
        let desktop = Desktop(
            id: DesktopID(rawValue: 3), lab: fixture.lab.id, number: 3, name: "room1-3", place: Place(rawValue: 3),
            failure: Failure(count: 1, generation: Generation(rawValue: 1), step: .overlay, cause: .outside("disk full"), console: ["a", "b"]))
        try await fixture.store.apply([.desktopAdded(desktop)])
        #expect(try await fixture.store.room().desktops.last == desktop)
    }

    @Test func sinceIsTheMomentAtWhichTheStateBecameThis() async throws {
        let fixture = try await Fixture()
        let id = fixture.desktops[0].id
        var desktop = fixture.desktops[0]
        fixture.calendar.now = 1_000_100
        desktop.state = .retiring
        try await fixture.store.apply([.desktopChanged(desktop)])
        fixture.calendar.now = 1_000_200
        try await fixture.store.apply([.desktopChanged(desktop)])
        let since = try await fixture.store.room().since
        #expect(since[id] == 1_000_100)
        #expect(since[fixture.desktops[1].id] == 1_000_000)
    }

    @Test func numbersOfDesktopsAndSessionsAreNeverUsedTwice() async throws {
        let fixture = try await Fixture()
        let last = fixture.desktops[1]
        try await fixture.store.apply(fixture.lease(8) + fixture.end(8))
        try await fixture.store.apply([.desktopRemoved(last.id)])
        try fixture.store.close()
        let store = try Fixture.open(fixture.path)
        let room = try await store.room()
        #expect(room.nextDesktop == DesktopID(rawValue: 3))
        #expect(room.nextSession == SessionID(rawValue: 9))
        await #expect(throws: StoreError.taken(kind: "desktop", name: "2")) { try await store.apply([.desktopAdded(last)]) }
        await #expect(throws: StoreError.taken(kind: "session", name: "8")) { try await store.apply(fixture.lease(8)) }
    }

    @Test func changesAreAppliedTogetherOrNotAtAll() async throws {
        let fixture = try await Fixture()
        let before = try await fixture.store.room()
        let stranger = Desktop(id: DesktopID(rawValue: 99), lab: fixture.lab.id, number: 9, name: "x", place: Place(rawValue: 9))
        await #expect(throws: StoreError.unknown(kind: "desktop", id: "99")) {
            try await fixture.store.apply(fixture.lease(1) + [.desktopChanged(stranger)])
        }
        #expect(try await fixture.store.room() == before)
    }

    @Test func changesOfWhatIsNotThereAreRefused() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let stranger = Desktop(id: DesktopID(rawValue: 50), lab: fixture.lab.id, number: 9, name: "x", place: Place(rawValue: 9))
        let ticket = TicketHash(bytes: Fixture.hash(1))
        await #expect(throws: StoreError.unknown(kind: "desktop", id: "50")) { try await store.apply([.desktopChanged(stranger)]) }
        await #expect(throws: StoreError.unknown(kind: "open session", id: "5")) {
            try await store.apply([.sessionTicket(SessionID(rawValue: 5), ticket, address: "192.0.2.1")])
        }
    }

    @Test func thatSomethingIsGoneCanBeSaidTwice() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        try await fixture.store.apply(fixture.end(1) + [.sessionEnded(SessionID(rawValue: 1), .administrator)])
        try await fixture.store.apply([.desktopRemoved(DesktopID(rawValue: 50)), .sessionEnded(SessionID(rawValue: 99), .closed)])
        #expect(try await fixture.store.room().sessions.isEmpty)
        #expect(try await fixture.store.sessions(openOnly: false, limit: 10).map(\.reason) == [.logOff])
    }

    @Test func twoDesktopsNeverShareAPlaceOrAName() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let lab = fixture.lab.id
        for (name, place) in [("room1-1", 3), ("room1-3", 1)] {
            let third = Desktop(id: DesktopID(rawValue: 3), lab: lab, number: 3, name: name, place: Place(rawValue: place))
            await #expect { try await store.apply([.desktopAdded(third)]) } throws: { error in
                guard case StoreError.conflict = error else { return false }
                return true
            }
        }
        #expect(try await store.room().nextDesktop == DesktopID(rawValue: 3), "a refused change uses no number")
    }

    @Test func namesOfLabsAndVersionsOfImagesAreTakenOnce() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let profile = fixture.lab.profile
        let image = fixture.image.id
        await #expect(throws: StoreError.taken(kind: "lab", name: "room1")) {
            try await store.addLab(Lab(id: LabID(rawValue: 0), name: "room1", image: image, profile: profile, size: 1, grace: .seconds(1), afterSession: .shutDown))
        }
        await #expect(throws: StoreError.taken(kind: "image version", name: "debian-1")) {
            try await store.addImage(Fixture.newImage("debian", 1))
        }
        let second = try await store.addImage(Fixture.newImage("debian", 2))
        try await store.removeImage(second.id)
        #expect(try await store.nextVersion(of: "debian") == 3, "a removed version's number is not used again")
        #expect(try await store.nextVersion(of: "windows") == 1)
        await #expect(throws: StoreError.taken(kind: "image version", name: "debian-2")) {
            try await store.addImage(Fixture.newImage("debian", 2))
        }
        #expect(try await store.addImage(Fixture.newImage("debian", 3)).id > second.id)
    }

    @Test func whatIsInUseIsNotRemoved() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        await #expect(throws: StoreError.inUse(kind: "image version", id: fixture.image.id.description)) {
            try await store.removeImage(fixture.image.id)
        }
        await #expect(throws: StoreError.inUse(kind: "lab", id: fixture.lab.id.description)) { try await store.removeLab(fixture.lab.id) }
        try await store.apply(fixture.lease(1))
        await #expect(throws: StoreError.inUse(kind: "seat", id: fixture.seats[0].id.description)) {
            try await store.removeSeat(fixture.seats[0].id)
        }
        try await store.apply(fixture.end(1))
        for seat in fixture.seats { try await store.removeSeat(seat.id) }
        try await store.apply(fixture.desktops.map { .desktopRemoved($0.id) })
        try await store.removeLab(fixture.lab.id)
        try await store.removeImage(fixture.image.id)
        let room = try await store.room()
        #expect(room.labs.isEmpty && room.images.isEmpty && room.desktops.isEmpty)
        await #expect(throws: StoreError.unknown(kind: "lab", id: fixture.lab.id.description)) { try await store.removeLab(fixture.lab.id) }
    }

    @Test func aLabIsChangedAsAWhole() async throws {
        let fixture = try await Fixture()
        var lab = fixture.lab
        let image = try await fixture.store.addImage(Fixture.newImage("debian", 2))
        lab.name = "room2"
        lab.image = image.id
        lab.profile = Profile(vcpus: 2, memory: .gibibytes(1))
        lab.size = 30
        lab.grace = .seconds(0)
        lab.afterSession = .shutDown
        try await fixture.store.updateLab(lab)
        #expect(try await fixture.store.room().labs == [lab])
        let other = try await fixture.store.addLab(
            Lab(id: LabID(rawValue: 0), name: "room3", image: image.id, profile: lab.profile, size: 1, grace: .zero, afterSession: .claimAgain))
        lab.name = "room3"
        let renamed = lab
        await #expect(throws: StoreError.taken(kind: "lab", name: "room3")) { try await fixture.store.updateLab(renamed) }
        try await fixture.store.removeLab(other.id)
        await #expect(throws: StoreError.unknown(kind: "lab", id: other.id.description)) { try await fixture.store.updateLab(other) }
        lab.name = "room2"
        lab.image = ImageVersionID(rawValue: 99)
        let unmade = lab
        await #expect(throws: StoreError.unknown(kind: "image version", id: "99")) { try await fixture.store.updateLab(unmade) }
    }

    @Test func aWriteIsNotCutShortByACancelledTask() async throws {
        let fixture = try await Fixture()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            try await fixture.store.apply(fixture.lease(1))
            return try await fixture.store.room()
        }
        #expect(try await task.value.sessions == [fixture.session(1)])
    }
}
