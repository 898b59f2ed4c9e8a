import DesktopModel
import Foundation
import GRDB

extension DesktopStore {
    // MARK: People

    /// Everybody who signs in, by name.
    public func people() async throws(StoreError) -> [Person] {
        try await read { db in try Self.people(db, where: "true", []) }
    }

    public func hasPeople() async throws(StoreError) -> Bool {
        try await read { db in try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM person)") ?? false }
    }

    /// The person of that name, with the password as it is kept.
    public func person(named name: String) async throws(StoreError) -> (person: Person, password: String)? {
        try await read { db in
            guard let person = try Self.people(db, where: "name = ?", [name]).first,
                let password = try String.fetchOne(db, sql: "SELECT password FROM person WHERE id = ?", arguments: [person.id.rawValue])
            else { return nil }
            return (person, password)
        }
    }

    /// Keeps a person; `taken` where another has the name, `unknown` where there is no such lab. With `first`, only where nobody is kept yet.
    public func addPerson(
        name: String, role: Role, labs: Set<LabID>, password: String, first: Bool = false
    ) async throws(StoreError) -> Person {
        let now = clock()
        let missing = StoreError.unknown(kind: "lab", id: labs.map { String($0.rawValue) }.sorted().joined(separator: ", "))
        return try await write(disagreement: missing, taken: .taken(kind: "person", name: name)) { db in
            if first, try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM person)") ?? false {
                throw StoreError.conflict("somebody administers this appliance already")
            }
            try db.execute(
                sql: "INSERT INTO person (name, role, password, since) VALUES (?, ?, ?, ?)", arguments: [name, role.rawValue, password, now])
            let id = PersonID(rawValue: db.lastInsertedRowID)
            for lab in labs {
                try db.execute(sql: "INSERT INTO person_lab (person, lab) VALUES (?, ?)", arguments: [id.rawValue, lab.rawValue])
            }
            return Person(id: id, name: name, role: role, labs: labs)
        }
    }

    /// Forgets a person, who is signed out everywhere. `inUse` for the only administrator.
    public func removePerson(_ id: PersonID) async throws(StoreError) {
        try await write { db in
            try db.execute(sql: "DELETE FROM person WHERE id = ?", arguments: [id.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "person", id: String(id.rawValue)) }
            guard try Bool.fetchOne(db, sql: "SELECT EXISTS (SELECT 1 FROM person WHERE role = 'administrator')") ?? false else {
                throw StoreError.inUse(kind: "person", id: String(id.rawValue))
            }
        }
    }

    /// Keeps another password, and signs the person out everywhere but where it was changed.
    public func setPassword(of id: PersonID, to password: String, keeping tokenHash: [UInt8]?) async throws(StoreError) {
        try await write { db in
            try db.execute(sql: "UPDATE person SET password = ? WHERE id = ?", arguments: [password, id.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "person", id: String(id.rawValue)) }
            try db.execute(
                sql: "DELETE FROM sign_in WHERE person = ? AND token_hash IS NOT ?", arguments: [id.rawValue, tokenHash.map { Data($0) }])
        }
    }

    // MARK: Sign-ins

    /// Keeps that a person signed in: by the token of this hash they are known until `end`, and while they are not away for too long.
    public func addSignIn(tokenHash: [UInt8], person: PersonID, end: StoredSeconds) async throws(StoreError) {
        let now = clock()
        try await write(disagreement: .unknown(kind: "person", id: String(person.rawValue))) { db in
            try db.execute(sql: "DELETE FROM sign_in WHERE ends <= ?", arguments: [now])
            try db.execute(
                sql: "INSERT INTO sign_in (token_hash, person, used, ends) VALUES (?, ?, ?, ?)",
                arguments: [Data(tokenHash), person.rawValue, now, end])
        }
    }

    /// Who signed in with the token of this hash; nil where nobody did, or it ended, or it was not used for `idle` seconds. That it was used
    /// is kept once a minute, where this is a use.
    public func person(signedInWith tokenHash: [UInt8], idle: StoredSeconds, isUse: Bool) async throws(StoreError) -> Person? {
        let now = clock()
        let found: (person: Person, used: StoredSeconds)? = try await read { db in
            let rows = try Self.rows(
                db, "SELECT * FROM sign_in WHERE token_hash = ? AND ends > ? AND used > ?", of: "sign_in", arguments: [Data(tokenHash), now, now - idle])
            guard let row = rows.first, let person = try Self.people(db, where: "id = ?", [try row.integer("person")]).first else { return nil }
            return (person, try row.integer("used"))
        }
        guard let found else { return nil }
        if isUse, now - found.used >= 60 {
            try await write { try $0.execute(sql: "UPDATE sign_in SET used = ? WHERE token_hash = ?", arguments: [now, Data(tokenHash)]) }
        }
        return found.person
    }

    /// Ends one sign-in, or all of a person's.
    public func endSignIn(tokenHash: [UInt8]) async throws(StoreError) {
        try await write { try $0.execute(sql: "DELETE FROM sign_in WHERE token_hash = ?", arguments: [Data(tokenHash)]) }
    }

    public func endSignIns(of person: PersonID) async throws(StoreError) {
        try await write { try $0.execute(sql: "DELETE FROM sign_in WHERE person = ?", arguments: [person.rawValue]) }
    }

    // MARK: Tokens of programs

    /// Keeps a token by which programs may use the interface in a person's name.
    public func addAPIToken(
        name: String, person: PersonID, tokenHash: [UInt8], mayChange: Bool, ends: StoredSeconds
    ) async throws(StoreError) {
        try await write(disagreement: .unknown(kind: "person", id: String(person.rawValue))) { db in
            try db.execute(
                sql: "INSERT INTO api_token (name, person, token_hash, may_change, ends) VALUES (?, ?, ?, ?, ?)",
                arguments: [name, person.rawValue, Data(tokenHash), mayChange, ends])
        }
    }

    /// A person's tokens, by name; those that are over as well.
    public func apiTokens(of person: PersonID) async throws(StoreError) -> [APITokenRecord] {
        try await read { db in
            try Self.rows(db, "SELECT * FROM api_token WHERE person = ? ORDER BY name, id", of: "api_token", arguments: [person.rawValue])
                .map { try Self.apiToken($0) }
        }
    }

    /// Who is meant by the token of this hash, and what it may; nil where it is nobody's, or over.
    public func apiToken(hash: [UInt8]) async throws(StoreError) -> (person: Person, token: APITokenRecord)? {
        let now = clock()
        return try await read { db in
            let rows = try Self.rows(
                db, "SELECT * FROM api_token WHERE token_hash = ? AND ends > ?", of: "api_token", arguments: [Data(hash), now])
            guard let row = rows.first, let person = try Self.people(db, where: "id = ?", [try row.integer("person")]).first else { return nil }
            return (person, try Self.apiToken(row))
        }
    }

    /// `unknown` where the person has no such token.
    public func removeAPIToken(_ id: Int64, of person: PersonID) async throws(StoreError) {
        try await write { db in
            try db.execute(sql: "DELETE FROM api_token WHERE id = ? AND person = ?", arguments: [id, person.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "token", id: String(id)) }
        }
    }

    private static func apiToken(_ row: StoredRow) throws(StoreError) -> APITokenRecord {
        APITokenRecord(
            id: try row.integer("id"), name: try row.text("name"), mayChange: try row.integer("may_change") != 0, ends: try row.integer("ends"))
    }

    // MARK: The journal

    /// Adds a line, which nothing changes or removes.
    public func addJournalEntry(who: String, origin: String, action: String, subject: String, detail: String) async throws(StoreError) {
        let now = clock()
        try await write { db in
            try db.execute(
                sql: "INSERT INTO journal (at, who, origin, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [now, who, origin, action, subject, detail])
        }
    }

    /// The newest lines first, at most `limit`; those before one, of somebody, of one action or about one thing, where these are named.
    public func journal(
        before: Int64?, who: String? = nil, action: String? = nil, subject: String? = nil, limit: Int
    ) async throws(StoreError) -> [JournalEntry] {
        let sql = """
            SELECT * FROM journal WHERE id < :before AND (:who IS NULL OR who = :who) AND (:action IS NULL OR action = :action)
                AND (:subject IS NULL OR subject = :subject) ORDER BY id DESC LIMIT :limit
            """
        return try await read { db in
            try Self.rows(
                db, sql, of: "journal",
                arguments: ["before": before ?? Int64.max, "who": who, "action": action, "subject": subject, "limit": max(0, limit)]
            ).map { row in
                JournalEntry(
                    id: try row.integer("id"), at: try row.integer("at"), who: try row.text("who"), origin: try row.text("origin"),
                    action: try row.text("action"), subject: try row.text("subject"), detail: try row.text("detail"))
            }
        }
    }

    private static func people(_ db: Database, where condition: String, _ arguments: StatementArguments) throws -> [Person] {
        try rows(db, "SELECT * FROM person WHERE \(condition) ORDER BY name", of: "person", arguments: arguments).map { row in
            let id = try row.integer("id")
            let labs = try Int64.fetchAll(db, sql: "SELECT lab FROM person_lab WHERE person = ?", arguments: [id])
            return Person(
                id: PersonID(rawValue: id), name: try row.text("name"), role: try row.word("role"), labs: Set(labs.map(LabID.init)))
        }
    }
}
