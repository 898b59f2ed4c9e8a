import DesktopModel
import GRDB
import Testing

@testable import DesktopStore

/// Who signs in, and what is written down of them.
@Suite struct PeopleTests {
    private let token = Fixture.hash(210)

    private func person(_ fixture: Fixture, _ name: String = "Ada", _ role: Role = .administrator) async throws -> Person {
        try await fixture.store.addPerson(name: name, role: role, labs: role == .teacher ? [fixture.lab.id] : [], password: "kept")
    }

    @Test func aPersonIsFoundByNameWithTheirLabsAndPassword() async throws {
        let fixture = try await Fixture()
        #expect(try await !fixture.store.hasPeople())
        let teacher = try await person(fixture, "김 선생님", .teacher)
        #expect(try await fixture.store.hasPeople())
        let found = try #require(try await fixture.store.person(named: "김 선생님"))
        #expect(found.person == teacher && found.password == "kept")
        #expect(teacher.mayWatch(fixture.lab.id) && !teacher.mayWatch(LabID(rawValue: 99)))
        #expect(try await fixture.store.person(named: "nobody") == nil)
        await #expect(throws: StoreError.taken(kind: "person", name: "김 선생님")) { try await person(fixture, "김 선생님") }
    }

    @Test func onlyOneIsTheFirst() async throws {
        let fixture = try await Fixture()
        let made = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<10 {
                group.addTask {
                    (try? await fixture.store.addPerson(name: "first \(number)", role: .administrator, labs: [], password: "kept", first: true)) != nil
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(made == 1)
        #expect(try await fixture.store.people().count == 1)
    }

    @Test func theOnlyAdministratorStays() async throws {
        let fixture = try await Fixture()
        let (first, second) = (try await person(fixture), try await person(fixture, "Ben"))
        _ = try await person(fixture, "Tom", .teacher)
        try await fixture.store.removePerson(first.id)
        await #expect(throws: StoreError.inUse(kind: "person", id: "\(second.id)")) { try await fixture.store.removePerson(second.id) }
        #expect(try await fixture.store.people().map(\.name) == ["Ben", "Tom"])
    }

    @Test func aSignInEndsByItselfAndWhileItIsNotUsed() async throws {
        let fixture = try await Fixture()
        let (store, calendar) = (fixture.store, fixture.calendar)
        let ada = try await person(fixture)
        try await store.addSignIn(tokenHash: token, person: ada.id, end: calendar.now + 1000)
        #expect(try await store.person(signedInWith: token, idle: 200, isUse: true) == ada)
        #expect(try await store.person(signedInWith: Fixture.hash(211), idle: 200, isUse: true) == nil)
        for _ in 1...4 {
            calendar.now += 150
            #expect(try await store.person(signedInWith: token, idle: 200, isUse: true) == ada, "each use keeps it")
        }
        calendar.now += 150
        #expect(try await store.person(signedInWith: token, idle: 200, isUse: false) == ada)
        calendar.now += 100
        #expect(try await store.person(signedInWith: token, idle: 200, isUse: true) == nil, "what is no use keeps nothing")
        #expect(try await store.person(signedInWith: token, idle: 5000, isUse: true) == ada)
        calendar.now += 200
        #expect(try await store.person(signedInWith: token, idle: 5000, isUse: true) == nil, "it is over")
    }

    @Test func aNewPasswordAndARemovalSignOut() async throws {
        let fixture = try await Fixture()
        let store = fixture.store
        let (ada, ben) = (try await person(fixture), try await person(fixture, "Ben"))
        for (number, who) in [(210, ada), (211, ada), (212, ben)] {
            try await store.addSignIn(tokenHash: Fixture.hash(number), person: who.id, end: fixture.calendar.now + 1000)
        }
        try await store.setPassword(of: ada.id, to: "other", keeping: Fixture.hash(210))
        #expect(try await store.person(named: "Ada")?.password == "other")
        #expect(try await store.person(signedInWith: Fixture.hash(210), idle: 500, isUse: false) == ada)
        #expect(try await store.person(signedInWith: Fixture.hash(211), idle: 500, isUse: false) == nil)
        try await store.removePerson(ben.id)
        #expect(try await store.person(signedInWith: Fixture.hash(212), idle: 500, isUse: false) == nil)
        try await store.endSignIns(of: ada.id)
        #expect(try await store.person(signedInWith: Fixture.hash(210), idle: 500, isUse: false) == nil)
    }

    @Test func aLabThatIsRemovedIsNobodysAnyMore() async throws {
        let fixture = try await Fixture()
        let other = try await fixture.store.addLab(
            Lab(id: LabID(rawValue: 0), name: "other", image: fixture.image.id, profile: Profile(vcpus: 1, memory: .mebibytes(512)), size: 0, grace: .seconds(60),
            afterSession: .claimAgain))
        let teacher = try await fixture.store.addPerson(name: "Tom", role: .teacher, labs: [other.id, fixture.lab.id], password: "kept")
        #expect(teacher.labs.count == 2)
        try await fixture.store.removeLab(other.id)
        #expect(try await fixture.store.people()[0].labs == [fixture.lab.id])
    }

    @Test func aTokenOfProgramsIsItsPersonsUntilItEnds() async throws {
        let fixture = try await Fixture()
        let (store, calendar) = (fixture.store, fixture.calendar)
        let (ada, ben) = (try await person(fixture), try await person(fixture, "Ben"))
        try await store.addAPIToken(name: "backup", person: ada.id, tokenHash: token, mayChange: false, ends: calendar.now + 100)
        let found = try #require(try await store.apiToken(hash: token))
        #expect(found.person == ada && found.token.name == "backup" && !found.token.mayChange)
        #expect(try await store.apiTokens(of: ben.id) == [])
        await #expect(throws: StoreError.unknown(kind: "token", id: "\(found.token.id)")) {
            try await store.removeAPIToken(found.token.id, of: ben.id)
        }
        calendar.now += 100
        #expect(try await store.apiToken(hash: token) == nil)
        #expect(try await store.apiTokens(of: ada.id).count == 1)
        try await store.removeAPIToken(found.token.id, of: ada.id)
        #expect(try await store.apiTokens(of: ada.id) == [])
        try await store.addAPIToken(name: "again", person: ada.id, tokenHash: token, mayChange: true, ends: calendar.now + 100)
        try await store.removePerson(ada.id)
        #expect(try await store.apiToken(hash: token) == nil)
    }

    @Test func theJournalIsOnlyAddedTo() async throws {
        let fixture = try await Fixture()
        for number in 1...5 {
            try await fixture.store.addJournalEntry(who: "Ada", origin: "10.0.0.1", action: "lab-change", subject: "room", detail: "\(number)")
        }
        #expect(try await fixture.store.journal(before: nil, limit: 2).map(\.detail) == ["5", "4"])
        #expect(try await fixture.store.journal(before: 4, limit: 10).map(\.detail) == ["3", "2", "1"])
        for line in ["UPDATE journal SET who = 'nobody'", "DELETE FROM journal", "DELETE FROM journal WHERE id = 1"] {
            #expect(throws: DatabaseError.self, "\(line)") { try fixture.store.pool.write { try $0.execute(sql: line) } }
        }
        #expect(try await fixture.store.journal(before: nil, limit: 10).count == 5)
    }
}
