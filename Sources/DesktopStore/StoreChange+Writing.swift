import DesktopModel
import Foundation
import GRDB

extension StoreChange {
    /// Writes the change within a transaction that the caller began.
    func apply(to db: Database, now: StoredSeconds) throws {
        switch self {
        case .desktopAdded(let desktop):
            try Self.use(desktop.id, in: db)
            try Self.run(
                db,
                """
                INSERT INTO desktop (lab, number, name, place, generation, state, step, session, cause, holding, image_version, vcpus,
                    memory, checkpoint, fingerprint, password, failures, failed_generation, failed_step, failed_cause, failed_console, since, id)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [desktop.lab.rawValue, desktop.number, desktop.name, desktop.place.rawValue] + Self.changing(desktop)
                    + [now, desktop.id.rawValue])
        case .desktopChanged(let desktop):
            try Self.run(
                db,
                """
                UPDATE desktop SET generation = ?, since = iif(state = ?, since, ?), state = ?, step = ?, session = ?, cause = ?, holding = ?,
                    image_version = ?, vcpus = ?, memory = ?, checkpoint = ?, fingerprint = ?, password = ?, failures = ?,
                    failed_generation = ?, failed_step = ?, failed_cause = ?, failed_console = ? WHERE id = ?
                """,
                Self.changing(desktop).inserting([desktop.state.word, now], at: 1) + [desktop.id.rawValue],
                orElse: .unknown(kind: "desktop", id: String(desktop.id.rawValue)))
        case .consoleRead(let id, let generation, let lines):
            try Self.run(
                db, "UPDATE desktop SET failed_console = ? WHERE id = ? AND failed_generation = ?",
                [lines.joined(separator: "\n"), id.rawValue, generation.rawValue])
        case .desktopRemoved(let id):
            try Self.run(db, "DELETE FROM desktop WHERE id = ?", [id.rawValue])
        case .checkpointAdded(let checkpoint):
            try Self.run(
                db, "UPDATE appliance SET next_checkpoint = ? + 1 WHERE next_checkpoint <= ?", [checkpoint.id.rawValue, checkpoint.id.rawValue],
                orElse: .taken(kind: "checkpoint", name: String(checkpoint.id.rawValue)))
            try Self.run(
                db, "INSERT INTO checkpoint (image_version, vcpus, memory, host, state, cause, failures, kept_memory, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [checkpoint.image.rawValue, checkpoint.profile.vcpus, checkpoint.profile.memory.rawValue, checkpoint.host]
                    + Self.changing(checkpoint))
        case .checkpointChanged(let checkpoint):
            try Self.run(db, "UPDATE checkpoint SET state = ?, cause = ?, failures = ?, kept_memory = ? WHERE id = ?", Self.changing(checkpoint))
        case .checkpointRemoved(let id):
            try Self.run(db, "DELETE FROM checkpoint WHERE id = ?", [id.rawValue])
        case .sessionBegan(let session, let desktopName, let seatName):
            try Self.use(session.id, in: db)
            try Self.run(
                db,
                """
                INSERT INTO session (id, seat, seat_name, desktop, desktop_name, generation, boot_id, ticket, address, began)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    session.id.rawValue, session.seat.rawValue, seatName, session.desktop.rawValue, desktopName,
                    session.generation.rawValue,
                    session.bootID, Data(session.ticket.bytes), session.address, now,
                ])
        case .sessionTicket(let id, let ticket, let address):
            try Self.run(
                db, "UPDATE session SET ticket = ?, address = ? WHERE id = ? AND ended IS NULL",
                [Data(ticket.bytes), address, id.rawValue],
                orElse: .unknown(kind: "open session", id: String(id.rawValue)))
        case .sessionEnded(let id, let reason):
            try Self.run(
                db, "UPDATE session SET ended = ?, reason = ? WHERE id = ? AND ended IS NULL", [now, reason.rawValue, id.rawValue])
        }
    }

    /// The columns of a checkpoint that change, and its number.
    private static func changing(_ checkpoint: Checkpoint) throws -> [(any DatabaseValueConvertible)?] {
        var cause: String?
        if case .failed(let why) = checkpoint.state { cause = try StoredSentence(why).column }
        return [checkpoint.state.word, cause, checkpoint.failures, checkpoint.memory.rawValue, checkpoint.id.rawValue]
    }

    /// The columns of a desktop that change, from `generation` to `failed_console`.
    private static func changing(_ desktop: Desktop) throws -> [(any DatabaseValueConvertible)?] {
        var step: String?
        var session: Int64?
        var cause: String?
        var holding: Bool?
        switch desktop.state {
        case .empty, .ready, .retiring: break
        case .preparing(let now): step = now.rawValue
        case .leased(let id): session = id.rawValue
        case .quarantined(let why, let holds): (cause, holding) = (try StoredSentence(why).column, holds)
        }
        return [
            desktop.generation.rawValue, desktop.state.word, step, session, cause, holding, desktop.image?.rawValue, desktop.profile?.vcpus,
            desktop.profile?.memory.rawValue, desktop.checkpoint?.rawValue, desktop.fingerprint.map { Data($0) }, desktop.password, desktop.failure?.count ?? 0,
            desktop.failure?.generation.rawValue, desktop.failure?.step?.rawValue, try desktop.failure.map { try StoredSentence($0.cause).column },
            desktop.failure?.console.joined(separator: "\n"),
        ]
    }

    /// Takes a desktop's number for good: it must not have been used before.
    private static func use(_ id: DesktopID, in db: Database) throws {
        let number = Int64(id.rawValue)
        try run(
            db, "UPDATE appliance SET next_desktop = ? + 1 WHERE next_desktop <= ?", [number, number],
            orElse: .taken(kind: "desktop", name: String(number)))
    }

    /// Takes a session's number for good: it must not have been used before.
    private static func use(_ id: SessionID, in db: Database) throws {
        try run(
            db, "UPDATE appliance SET next_session = ? + 1 WHERE next_session <= ?", [id.rawValue, id.rawValue],
            orElse: .taken(kind: "session", name: String(id.rawValue)))
    }

    /// Runs a statement that is prepared once; the error is thrown where it changed no row.
    private static func run(
        _ db: Database, _ sql: String, _ values: [(any DatabaseValueConvertible)?], orElse missing: StoreError? = nil
    ) throws {
        try db.cachedStatement(sql: sql).execute(arguments: StatementArguments(values))
        if let missing, db.changesCount == 0 { throw missing }
    }
}

extension Array {
    /// The array with further elements put in.
    fileprivate func inserting(_ elements: [Element], at index: Int) -> [Element] {
        var all = self
        all.insert(contentsOf: elements, at: index)
        return all
    }
}
