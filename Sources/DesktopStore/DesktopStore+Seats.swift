import DesktopModel
import Foundation
import GRDB

extension DesktopStore {
    /// Keeps a new seat, or gives the seat of that name a new word and lab; what it was enrolled with stays good until the word is used.
    ///
    /// `wordHash` is the SHA-256 of the word, 32 bytes. `unknown` where there is no such lab, `taken` where another seat waits with the
    /// word.
    public func addSeat(name: String, lab: LabID, wordHash: [UInt8], wordExpires: StoredSeconds) async throws(StoreError) -> SeatRecord {
        let missing = StoreError.unknown(kind: "lab", id: String(lab.rawValue))
        return try await write(disagreement: missing, taken: .taken(kind: "enrolment word of seat", name: name)) { db in
            try db.execute(
                sql: """
                    INSERT INTO seat (name, lab, word_hash, word_expires) VALUES (?, ?, ?, ?) ON CONFLICT (name)
                        DO UPDATE SET lab = excluded.lab, word_hash = excluded.word_hash, word_expires = excluded.word_expires
                    """,
                arguments: [name, lab.rawValue, Data(wordHash), wordExpires])
            guard let seat = try Self.seat(db, where: "name = ?", [name]) else { throw StoreError.unknown(kind: "seat", id: name) }
            return seat
        }
    }

    /// Forgets a seat; its sessions stay in the history. `inUse` while it has an open session.
    public func removeSeat(_ id: SeatID) async throws(StoreError) {
        try await remove(from: "seat", kind: "seat", id: id.rawValue)
    }

    /// Keeps what a seat is to be from now on, all of it or nothing, and gives the seat as it is then. A new name is its open session's too; those
    /// that have ended keep the name that it had. `unknown` where there is no such seat or lab, `taken` where another seat has the name.
    public func changeSeat(_ id: SeatID, to change: SeatChange) async throws(StoreError) -> SeatRecord {
        let missing = StoreError.unknown(kind: "lab", id: change.lab.map { String($0.rawValue) } ?? "")
        return try await write(disagreement: missing, taken: .taken(kind: "seat", name: change.name ?? "")) { db in
            try db.execute(
                sql: """
                    UPDATE seat SET name = coalesce(:name, name), lab = coalesce(:lab, lab), blocked = coalesce(:blocked, blocked),
                        table_column = coalesce(:column, table_column), table_row = coalesce(:row, table_row) WHERE id = :id
                    """,
                arguments: [
                    "name": change.name, "lab": change.lab?.rawValue, "blocked": change.isBlocked, "column": change.place?.column,
                    "row": change.place?.row, "id": id.rawValue,
                ])
            guard let seat = try Self.seat(db, where: "id = ?", [id.rawValue]) else {
                throw StoreError.unknown(kind: "seat", id: String(id.rawValue))
            }
            if let name = change.name {
                try db.execute(sql: "UPDATE session SET seat_name = ? WHERE seat = ? AND ended IS NULL", arguments: [name, id.rawValue])
            }
            return seat
        }
    }

    /// Every seat, by name.
    public func seats() async throws(StoreError) -> [SeatRecord] {
        try await read { try Self.rows($0, "SELECT * FROM seat ORDER BY name", of: "seat").map { try $0.seat() } }
    }

    /// Enrols the seat that waits with this word: the word is used up and the token is its own from here on, both or neither.
    ///
    /// Nil where no seat waits with the word, or it expired at or before `now` (calendar seconds). The hashes have 32 bytes.
    public func enrolSeat(wordHash: [UInt8], tokenHash: [UInt8], now: StoredSeconds) async throws(StoreError) -> SeatRecord? {
        try await write(taken: .taken(kind: "seat", name: "with this token")) { db in
            try db.execute(
                sql: """
                    UPDATE seat SET word_hash = NULL, word_expires = NULL, token_hash = ?, enrolled = ?
                        WHERE word_hash = ? AND word_expires > ?
                    """,
                arguments: [Data(tokenHash), now, Data(wordHash), now])
            return try db.changesCount == 0 ? nil : Self.seat(db, where: "token_hash = ?", [Data(tokenHash)])
        }
    }

    /// The seat that was enrolled with the token of this hash.
    public func seat(tokenHash: [UInt8]) async throws(StoreError) -> SeatRecord? {
        try await read { try Self.seat($0, where: "token_hash = ?", [Data(tokenHash)]) }
    }

    /// The seat of this number.
    public func seat(_ id: SeatID) async throws(StoreError) -> SeatRecord? {
        try await read { try Self.seat($0, where: "id = ?", [id.rawValue]) }
    }

    /// Sessions, the newest first, at most `limit`; the open ones alone, those before one, and those of a seat, a desktop or a lab by the names that
    /// these had then, where asked.
    public func sessions(
        openOnly: Bool, before: SessionID? = nil, seat: String? = nil, desktop: String? = nil, lab: String? = nil, limit: Int
    ) async throws(StoreError) -> [SessionRecord] {
        // A desktop is named after its lab: `<lab>-<number>`.
        let sql = """
            SELECT * FROM session WHERE id < :before \(openOnly ? "AND ended IS NULL" : "")
                AND (:seat IS NULL OR seat_name = :seat) AND (:desktop IS NULL OR desktop_name = :desktop)
                AND (:lab IS NULL OR rtrim(desktop_name, '0123456789') = :lab || '-')
            ORDER BY id DESC LIMIT :limit
            """
        return try await read { db in
            try Self.rows(
                db, sql, of: "session",
                arguments: ["before": before?.rawValue ?? Int64.max, "seat": seat, "desktop": desktop, "lab": lab, "limit": max(0, limit)]
            ).map { try $0.sessionRecord() }
        }
    }

    private static func seat(_ db: Database, where condition: String, _ arguments: StatementArguments) throws -> SeatRecord? {
        try rows(db, "SELECT * FROM seat WHERE \(condition)", of: "seat", arguments: arguments).first?.seat()
    }
}
