import DesktopModel
import Foundation
import GRDB
import Testing

@testable import DesktopStore

@Suite struct StoreFileTests {
    private func mode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    @Test func onlyTheOwnerCanReadTheFiles() async throws {
        let fixture = try await Fixture()
        #expect(try mode(fixture.folder.path + "/data") == 0o700)
        for part in ["", "-wal", "-shm"] { #expect(try mode(fixture.path + part) == 0o600) }
        try fixture.store.close()
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: fixture.path)
        let again = try Fixture.open(fixture.path)
        #expect(try mode(fixture.path) == 0o600)
        try again.close()
    }

    @Test func aConsistentCopyIsKeptBeforeEachMigrationOfADatabaseInUse() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        let before = try await fixture.store.room()
        try fixture.store.close()
        let fresh = try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path + "/data")
        #expect(!fresh.contains { $0.contains("before") }, "a new database needs no copy")

        let later = [
            StoreMigration(name: "2-colour") { try $0.execute(sql: "ALTER TABLE lab ADD COLUMN colour TEXT") },
            StoreMigration(name: "3-sound") { try $0.execute(sql: "ALTER TABLE lab ADD COLUMN sound TEXT") },
        ]
        // What a crash in the middle of an earlier copy left.
        try "half a copy".write(toFile: fixture.path + ".before-2-colour.new", atomically: false, encoding: .utf8)
        let store = try DesktopStore(path: fixture.path, clock: { before.readAt }, migrations: StoreMigration.all + later)
        #expect(try await store.room() == before)
        #expect(store.installation == fixture.store.installation)
        let files = try Set(FileManager.default.contentsOfDirectory(atPath: fixture.folder.path + "/data"))
        #expect(files.isSuperset(of: ["punnet.db.before-2-colour", "punnet.db.before-3-sound"]))
        #expect(!files.contains { $0.hasSuffix(".new") })
        for (copy, columns) in [("2-colour", []), ("3-sound", ["colour"])] {
            let path = fixture.path + ".before-" + copy
            #expect(try mode(path) == 0o600)
            var configuration = Configuration()
            configuration.readonly = true
            let added = try await DatabaseQueue(path: path, configuration: configuration).read { db in
                try String.fetchAll(db, sql: "SELECT name FROM pragma_table_info('lab') WHERE name IN ('colour', 'sound')")
            }
            #expect(added == columns)
        }
        let copied = try Fixture.open(fixture.path + ".before-2-colour")
        #expect(try await copied.room() == before)
        try copied.close()
        try store.close()
    }

    @Test func aDatabaseOfTheFirstVersionKeepsItsDesktops() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/punnet.db"
        try DesktopStore(path: path, clock: { 5 }, migrations: Array(StoreMigration.all.prefix(1))).close()
        try await DatabaseQueue(path: path).write { db in
            try db.execute(
                sql: """
                    INSERT INTO image (name, next_version) VALUES ('debian', 2);
                    INSERT INTO image_version VALUES (1, 'debian', 1, 'pv', 'd', 'k', 'r', 'b', '', 'u', 'p', 'c', 1, 1);
                    INSERT INTO lab VALUES (1, 'room1', 1, 1, 1, 2, 0, 'claim-again');
                    INSERT INTO desktop (id, lab, number, name, place, generation, state, since) VALUES (1, 1, 1, 'room1-1', 1, 4, 'ready', 3);
                    INSERT INTO desktop (id, lab, number, name, place, generation, state, cause, holding, since)
                        VALUES (2, 1, 2, 'room1-2', 2, 1, 'quarantined', 'no memory', 0, 3);
                    """)
        }
        let store = try DesktopStore(path: path, clock: { 6 })
        let room = try await store.room()
        #expect(room.desktops.map(\.state) == [.ready, .quarantined(cause: .outside("no memory"), holding: false)])
        #expect(room.desktops.map(\.failure) == [nil, nil])
        #expect(room.since == [DesktopID(rawValue: 1): 3, DesktopID(rawValue: 2): 3])
        #expect(room.readAt == 6)
        #expect(room.labs.map(\.internet) == [true], "what the server has decides, as before")
        try store.close()
    }

    @Test func aFailedMigrationLeavesTheDatabaseAsItWas() async throws {
        let fixture = try await Fixture()
        let before = try await fixture.store.room()
        try fixture.store.close()
        let broken = StoreMigration(name: "2-broken") { try $0.execute(sql: "DELETE FROM seat; ALTER TABLE nowhere ADD COLUMN x TEXT") }
        #expect(throws: StoreError.self) { try DesktopStore(path: fixture.path, clock: { 0 }, migrations: StoreMigration.all + [broken]) }
        let store = try Fixture.open(fixture.path)
        #expect(try await store.room() == before)
        #expect(try await store.seats() == fixture.seats)
    }

    @Test func aDatabaseOfALaterVersionIsRefusedAndLeftAlone() async throws {
        let fixture = try await Fixture()
        let before = try await fixture.store.room()
        try fixture.store.close()
        let later = StoreMigration(name: "2-colour") { try $0.execute(sql: "ALTER TABLE lab ADD COLUMN colour TEXT") }
        try DesktopStore(path: fixture.path, clock: { 0 }, migrations: StoreMigration.all + [later]).close()
        #expect(throws: StoreError.newer(path: fixture.path, migrations: ["2-colour"])) { try Fixture.open(fixture.path) }
        let again = try DesktopStore(path: fixture.path, clock: { before.readAt }, migrations: StoreMigration.all + [later])
        #expect(try await again.room() == before)
        #expect(try await again.seats() == fixture.seats)
    }

    @Test(arguments: [(ServerKind.xen, ServerKind.simulated), (.simulated, .xen)])
    func aRoomOfAnotherKindOfServerIsRefusedAndLeftAlone(made: ServerKind, wanted: ServerKind) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/punnet.db"
        let store = try DesktopStore(path: path, server: made)
        try store.close()
        #expect(throws: StoreError.otherServer(path: path, made: made, wanted: wanted)) { try DesktopStore(path: path, server: wanted) }
        let again = try DesktopStore(path: path, server: made)
        #expect(again.installation == store.installation)
        try again.close()
    }

    @Test func aDatabaseThatIsOlderThanTheQuestionIsOfXen() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/punnet.db"
        func older() throws -> DesktopStore { try DesktopStore(path: path, clock: { 0 }, migrations: [StoreMigration.all[0]]) }
        try older().close()
        #expect(throws: StoreError.otherServer(path: path, made: .xen, wanted: .simulated)) { try DesktopStore(path: path, server: .simulated) }
        // It was not brought up to date on the way to being refused.
        try older().close()
        try DesktopStore(path: path).close()
        #expect(throws: StoreError.newer(path: path, migrations: StoreMigration.all.dropFirst().map(\.name))) { try older() }
    }

    @Test func whatIsNoDatabaseOfPunnetIsRefused() throws {
        let folder = try TemporaryFolder()
        let text = folder.path + "/text.db"
        try String(repeating: "this is no database. ", count: 200).write(toFile: text, atomically: false, encoding: .utf8)
        let foreign = folder.path + "/foreign.db"
        try DatabaseQueue(path: foreign).write { try $0.execute(sql: "CREATE TABLE bookmarks (id INTEGER)") }
        for path in [text, foreign] {
            #expect { try Fixture.open(path) } throws: { error in
                guard case StoreError.corrupt(path, _) = error else { return false }
                return true
            }
        }
        #expect(try DatabaseQueue(path: foreign).read { try Int.fetchOne($0, sql: "SELECT count(*) FROM sqlite_schema") } == 1)
    }

    @Test func aDamagedPageIsFoundWhenTheStoreIsOpened() async throws {
        let fixture = try await Fixture()
        try fixture.store.close()
        let size = try #require(try FileManager.default.attributesOfItem(atPath: fixture.path)[.size] as? Int)
        let file = try #require(FileHandle(forUpdatingAtPath: fixture.path))
        // Every page but the first one with the schema's root.
        for offset in stride(from: 8_192, to: size, by: 4_096) {
            try file.seek(toOffset: UInt64(offset))
            try file.write(contentsOf: [UInt8](repeating: 0x5a, count: 64))
        }
        try file.close()
        #expect { try Fixture.open(fixture.path) } throws: { error in
            guard case StoreError.corrupt = error else { return false }
            return true
        }
    }

    @Test func aRowThatRefersToNothingIsFoundWhenTheStoreIsOpened() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1))
        try fixture.store.close()
        try fixture.tamper("DELETE FROM session")
        #expect(throws: StoreError.corrupt(path: fixture.path, detail: "a row of 'desktop' refers to what is not there")) {
            try Fixture.open(fixture.path)
        }
    }

    @Test(arguments: [
        ("UPDATE desktop SET state = 'dancing' WHERE id = 2", "desktop", "2", "state", "dancing"),
        ("UPDATE desktop SET state = 'preparing', step = 'resting' WHERE id = 2", "desktop", "2", "step", "resting"),
        ("UPDATE desktop SET state = 'preparing' WHERE id = 2", "desktop", "2", "step", "nothing"),
        ("UPDATE desktop SET failures = 2 WHERE id = 2", "desktop", "2", "failed_generation", "nothing"),
        (
            "UPDATE desktop SET failures = 1, failed_generation = 1, failed_cause = '', failed_console = '', failed_step = 'x' WHERE id = 2",
            "desktop", "2", "failed_step", "x"
        ),
        ("UPDATE desktop SET generation = 4294967296 WHERE id = 2", "desktop", "2", "generation", "4294967296"),
        ("UPDATE desktop SET fingerprint = x'0102' WHERE id = 1", "desktop", "1", "fingerprint", "2 bytes"),
        ("UPDATE lab SET after_session = 'dance'", "lab", "1", "after_session", "dance"),
        ("UPDATE image_version SET boot = 'steam'", "image_version", "1", "boot", "steam"),
    ])
    func anUnknownWordInARowIsToldWithItsPlace(sql: String, table: String, row: String, column: String, value: String) async throws {
        let fixture = try await Fixture()
        try fixture.tamper(sql)
        await #expect(throws: StoreError.damaged(table: table, row: row, column: column, value: value)) { try await fixture.store.room() }
    }

    @Test func anUnknownReasonInTheHistoryIsToldWithItsPlace() async throws {
        let fixture = try await Fixture()
        try await fixture.store.apply(fixture.lease(1) + fixture.end(1))
        try fixture.tamper("UPDATE session SET reason = 'boredom'")
        await #expect(throws: StoreError.damaged(table: "session", row: "1", column: "reason", value: "boredom")) {
            try await fixture.store.sessions(openOnly: false, limit: 5)
        }
    }

    @Test func aClosedStoreIsWholeInItsOneFile() async throws {
        let fixture = try await Fixture()
        let before = try await fixture.store.room()
        try fixture.store.close()
        try fixture.store.close()
        let copy = fixture.folder.path + "/copy.db"
        try FileManager.default.copyItem(atPath: fixture.path, toPath: copy)
        #expect(try await Fixture.open(copy).room() == before)
        await #expect(throws: StoreError.self) { try await fixture.store.room() }
        await #expect(throws: StoreError.self) { try await fixture.store.apply(fixture.lease(1)) }
    }

    @Test func aFolderThatCannotBeMadeIsNamed() {
        #expect(throws: StoreError.file(path: "/nonexistent/folder", call: "mkdir", errno: ENOENT, reason: "No such file or directory")) {
            try Fixture.open("/nonexistent/folder/punnet.db")
        }
    }
}
