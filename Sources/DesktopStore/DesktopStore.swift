import DesktopModel
import GRDB
import Glibc
import Synchronization

/// What is meant to be, in one SQLite file: labs, images, desktops, seats, sessions.
///
/// Writing is one transaction at a time, on the disk when the call returns (write-ahead log, `synchronous = FULL`), on a thread of the
/// database's own. A call is never cut short by the cancellation of its task. One store for each file; the file outlives it, also a crash.
public final class DesktopStore: Sendable {
    /// The appliance's mark, drawn at random when the database was made.
    public let installation: UInt64

    package let pool: DatabasePool
    /// How many calls the database's threads have not answered yet.
    package let callsUnderWay = Atomic<Int>(0)
    let clock: @Sendable () -> StoredSeconds
    private let file: StoreFile

    /// Opens the database, or makes it with its folder.
    ///
    /// An earlier version's database is brought up to date; before each step a consistent copy is kept as `<path>.before-<step>`. Blocks,
    /// for as long as the file is large: it is looked through for damage. One that was made on another kind of server is refused, before
    /// anything in it changes. `clock` gives the calendar seconds that are written.
    public convenience init(
        path: String, server: ServerKind = .xen, clock: @escaping @Sendable () -> StoredSeconds = { StoredSeconds(time(nil)) }
    ) throws(StoreError) {
        try self.init(path: path, server: server, clock: clock, migrations: StoreMigration.all)
    }

    init(
        path: String, server: ServerKind = .xen, clock: @escaping @Sendable () -> StoredSeconds, migrations: [StoreMigration]
    ) throws(StoreError) {
        let file = StoreFile(path: path)
        try file.prepare()
        do {
            var configuration = Configuration()
            configuration.label = "punnet.store"
            configuration.maximumReaderCount = 2
            configuration.busyMode = .timeout(5)
            pool = try DatabasePool(path: path, configuration: configuration)
            // GRDB lowers it to NORMAL when it turns the write-ahead log on, which is after the configuration's own preparation.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try Self.bringUpToDate(pool, file: file, server: server, migrations: migrations)
            installation = try pool.read { db in
                guard let row = try Row.fetchOne(db, sql: "SELECT * FROM appliance") else {
                    throw StoreError.corrupt(path: path, detail: "it has no row in 'appliance'")
                }
                return UInt64(bitPattern: try StoredRow(row, of: "appliance").integer("installation"))
            }
        } catch {
            throw Self.mapped(error, file: file)
        }
        self.file = file
        self.clock = clock
    }

    /// Everything the daemon begins with, read at one moment.
    public func room() async throws(StoreError) -> StoredRoom {
        let now = clock()
        return try await read { db in
            guard let counters = try Row.fetchOne(db, sql: "SELECT * FROM appliance") else {
                throw StoreError.unknown(kind: "row in", id: "'appliance'")
            }
            let desktops = try Self.rows(db, "SELECT * FROM desktop ORDER BY id", of: "desktop")
            let numbers = StoredRow(counters, of: "appliance")
            return StoredRoom(
                labs: try Self.rows(db, "SELECT * FROM lab ORDER BY name", of: "lab").map { try $0.lab() },
                images: try Self.rows(db, "SELECT * FROM image_version ORDER BY image, version", of: "image_version").map {
                    try $0.image()
                },
                desktops: try desktops.map { try $0.desktop() },
                since: Dictionary(
                    uniqueKeysWithValues: try desktops.map { (DesktopID(rawValue: try $0.number("id")), try $0.integer("since")) }),
                readAt: now,
                sessions: try Self.rows(db, "SELECT * FROM session WHERE ended IS NULL ORDER BY id", of: "session").map {
                    try $0.session()
                },
                nextDesktop: DesktopID(rawValue: try numbers.number("next_desktop")),
                nextSession: SessionID(rawValue: try numbers.integer("next_session")),
                checkpoints: try Self.rows(db, "SELECT * FROM checkpoint ORDER BY id", of: "checkpoint").map { try $0.checkpoint() },
                nextCheckpoint: CheckpointID(rawValue: try numbers.number("next_checkpoint")))
        }
    }

    /// Applies the changes together: all of them are on the disk when this returns, and none of them where it throws.
    ///
    /// What must agree when they are done: a leased desktop and its open session name each other and the same generation; a seat has one
    /// open session at most; no number of a desktop or session is used twice.
    public func apply(_ changes: [StoreChange]) async throws(StoreError) {
        let now = clock()
        let disagreement = StoreError.conflict("a leased desktop and its open session would not name each other, or name what is not there")
        try await write(disagreement: disagreement) { db in
            for change in changes { try change.apply(to: db, now: now) }
        }
    }

    /// SQLite's `synchronous` of the connection that writes: 2 is FULL.
    public func synchronousMode() async throws(StoreError) -> Int {
        try await write { try Int.fetchOne($0, sql: "PRAGMA synchronous") ?? -1 }
    }

    /// Waits for what is being written, brings the log into the file, and closes it. Calls that come later fail. May be called again.
    public func close() throws(StoreError) {
        // Where this fails nothing is lost: what is only in the log stays there, and is found when the file is opened again.
        _ = try? pool.barrierWriteWithoutTransaction { try $0.checkpoint(.truncate) }
        do { try pool.close() } catch { throw Self.mapped(error, file: file) }
    }
}

extension DesktopStore {
    /// Reads at one moment, on a thread of the database's own.
    func read<Value: Sendable>(_ body: @escaping @Sendable (Database) throws -> Value) async throws(StoreError) -> Value {
        let file = file
        callsUnderWay.add(1, ordering: .sequentiallyConsistent)
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
            pool.asyncRead { [self] access in
                defer { callsUnderWay.subtract(1, ordering: .sequentiallyConsistent) }
                continuation.resume(returning: Result { try body(access.get()) }.mapError { Self.mapped($0, file: file) })
            }
        }
        return try result.get()
    }

    /// Writes in one transaction, on a thread of the database's own.
    ///
    /// `disagreement` is thrown where rows would refer to what is not there, `taken` where a name or number would be there twice.
    func write<Value: Sendable>(
        disagreement: StoreError? = nil, taken: StoreError? = nil, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(StoreError) -> Value {
        let file = file
        callsUnderWay.add(1, ordering: .sequentiallyConsistent)
        let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
            // The plain form of GRDB's writing: the other one rolls back when the task is cancelled.
            pool.asyncWriteWithoutTransaction { [self] db in
                defer { callsUnderWay.subtract(1, ordering: .sequentiallyConsistent) }
                continuation.resume(
                    returning: Result {
                        var value: Value?
                        try db.inTransaction(.immediate) {
                            value = try body(db)
                            return .commit
                        }
                        guard let value else { throw StoreError.other(code: 0, detail: "the transaction did not run") }
                        return value
                    }.mapError { Self.mapped($0, file: file, disagreement: disagreement, taken: taken) })
            }
        }
        return try result.get()
    }

    static func rows(_ db: Database, _ sql: String, of table: String, arguments: StatementArguments = []) throws -> [StoredRow] {
        try Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map { StoredRow($0, of: table) }
    }

    /// The one place that turns GRDB's errors into the store's.
    static func mapped(
        _ error: any Error, file: StoreFile, disagreement: StoreError? = nil, taken: StoreError? = nil
    ) -> StoreError {
        if let error = error as? StoreError { return error }
        guard let error = error as? DatabaseError else { return .other(code: 0, detail: String(describing: error)) }
        let detail = error.message ?? "no message"
        switch error.extendedResultCode {
        case .SQLITE_CONSTRAINT_FOREIGNKEY: return disagreement ?? .conflict(detail)
        case .SQLITE_CONSTRAINT_UNIQUE, .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_ROWID: return taken ?? .conflict(detail)
        default: break
        }
        switch error.resultCode {
        case .SQLITE_FULL: return .fullDisk(path: file.path)
        case .SQLITE_IOERR where file.isOnFullDisk, .SQLITE_CANTOPEN where file.isOnFullDisk: return .fullDisk(path: file.path)
        case .SQLITE_CORRUPT, .SQLITE_NOTADB: return .corrupt(path: file.path, detail: detail)
        case .SQLITE_CONSTRAINT: return .conflict(detail)
        default: return .other(code: error.extendedResultCode.rawValue, detail: detail)
        }
    }

    /// Refuses what is not ours, damaged or newer; keeps a copy before each migration of a database that is in use; migrates.
    private static func bringUpToDate(_ pool: DatabasePool, file: StoreFile, server: ServerKind, migrations: [StoreMigration]) throws {
        var migrator = DatabaseMigrator()
        let applied = try pool.read { [migrator] db in
            if let complaint = try String.fetchOne(db, sql: "PRAGMA quick_check(1)"), complaint != "ok" {
                throw StoreError.corrupt(path: file.path, detail: complaint)
            }
            if let broken = try Row.fetchOne(db, sql: "PRAGMA foreign_key_check") {
                let table: String = broken["table"]
                throw StoreError.corrupt(path: file.path, detail: "a row of '\(table)' refers to what is not there")
            }
            let applied = try migrator.appliedIdentifiers(db)
            if applied.isEmpty, let foreign = try String.fetchOne(db, sql: "SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1") {
                throw StoreError.corrupt(path: file.path, detail: "it is another program's, with a table '\(foreign)'")
            }
            return applied
        }
        let known = Set(migrations.map(\.name))
        guard applied.isSubset(of: known) else {
            throw StoreError.newer(path: file.path, migrations: StoreMigration.inOrder(applied.subtracting(known)))
        }
        if !applied.isEmpty {
            let made = try pool.read { try madeOn($0, applied) }
            guard made == server else { throw StoreError.otherServer(path: file.path, made: made, wanted: server) }
        }
        for migration in migrations {
            migrator.registerMigration(migration.name) { db in
                try migration.run(db)
                guard applied.isEmpty, migration.name == StoreMigration.server.name else { return }
                try db.execute(sql: "UPDATE appliance SET server = ?", arguments: [server.rawValue])
            }
        }
        for migration in migrations where !applied.contains(migration.name) {
            if !applied.isEmpty { try file.keepCopy(of: pool, before: migration.name) }
            try migrator.migrate(pool, upTo: migration.name)
        }
    }

    /// On which kind of server a database in use was made.
    private static func madeOn(_ db: Database, _ applied: Set<String>) throws -> ServerKind {
        guard applied.contains(StoreMigration.server.name), let row = try Row.fetchOne(db, sql: "SELECT * FROM appliance") else { return .xen }
        return try StoredRow(row, of: "appliance").word("server")
    }
}
