import DesktopModel
import GRDB

/// One row of a table, read strictly: a value that no version of Punnet writes is told with its table, row and column.
struct StoredRow {
    private let row: Row
    private let table: String

    init(_ row: Row, of table: String) {
        self.row = row
        self.table = table
    }

    func integer(_ column: String) throws(StoreError) -> Int64 {
        guard case .int64(let value) = value(column) else { throw damaged(column) }
        return value
    }

    func optionalInteger(_ column: String) throws(StoreError) -> Int64? {
        if case .null = value(column) { return nil }
        return try integer(column)
    }

    /// A number that fits the narrower type.
    func number<Number: FixedWidthInteger>(_ column: String, as type: Number.Type = Number.self) throws(StoreError) -> Number {
        guard let number = Number(exactly: try integer(column)) else { throw damaged(column) }
        return number
    }

    func text(_ column: String) throws(StoreError) -> String {
        guard case .string(let value) = value(column) else { throw damaged(column) }
        return value
    }

    func optionalText(_ column: String) throws(StoreError) -> String? {
        if case .null = value(column) { return nil }
        return try text(column)
    }

    func optionalBytes(_ column: String, count: Int) throws(StoreError) -> [UInt8]? {
        switch value(column) {
        case .null: return nil
        case .blob(let data) where data.count == count: return Array(data)
        default: throw damaged(column)
        }
    }

    func bytes(_ column: String, count: Int) throws(StoreError) -> [UInt8] {
        guard let bytes = try optionalBytes(column, count: count) else { throw damaged(column) }
        return bytes
    }

    func word<Word: RawRepresentable<String>>(_ column: String, as type: Word.Type = Word.self) throws(StoreError) -> Word {
        guard let word = Word(rawValue: try text(column)) else { throw damaged(column) }
        return word
    }

    func optionalWord<Word: RawRepresentable<String>>(_ column: String, as type: Word.Type = Word.self) throws(StoreError) -> Word? {
        if case .null = value(column) { return nil }
        return try word(column)
    }

    func byteCount(_ column: String) throws(StoreError) -> ByteCount {
        ByteCount(rawValue: try integer(column))
    }

    /// The error that says what this column holds.
    func damaged(_ column: String) -> StoreError {
        let held: String
        switch value(column) {
        case .null: held = "nothing"
        case .blob(let data): held = "\(data.count) bytes"
        case .int64(let value): held = String(value)
        case .double(let value): held = String(value)
        case .string(let value): held = value
        }
        let key: String
        if case .int64(let id) = value("id") { key = String(id) } else { key = "without a number" }
        return .damaged(table: table, row: key, column: column, value: held)
    }

    private func value(_ column: String) -> DatabaseValue.Storage {
        (row[column] as DatabaseValue? ?? .null).storage
    }
}

extension StoredRow {
    func image() throws(StoreError) -> ImageVersion {
        ImageVersion(
            id: ImageVersionID(rawValue: try integer("id")), image: try text("image"), version: try number("version"),
            boot: try word("boot"), disk: try text("disk"), kernel: try text("kernel"), ramdisk: try text("ramdisk"),
            blankOverlay: try text("blank_overlay"), commandLine: try text("command_line"),
            account: Account(user: try text("user"), password: try text("password")), checksum: try text("checksum"),
            diskSize: try byteCount("disk_size"), minimumMemory: try byteCount("minimum_memory"),
            hasGuest: try integer("has_guest") != 0, sharesIdentity: try integer("shares_identity") != 0,
            notes: try text("notes"), added: try optionalInteger("added"))
    }

    func lab() throws(StoreError) -> Lab {
        Lab(
            id: LabID(rawValue: try integer("id")), name: try text("name"), image: ImageVersionID(rawValue: try integer("image_version")),
            profile: Profile(vcpus: try number("vcpus"), memory: try byteCount("memory")), size: try number("size"),
            leastReady: try number("least_ready"), atOnce: try number("at_once"), grace: .nanoseconds(try integer("grace_nanoseconds")),
            airing: .nanoseconds(try integer("airing_nanoseconds")), afterSession: try word("after_session"),
            longest: .nanoseconds(try integer("longest_nanoseconds")), idle: .nanoseconds(try integer("idle_nanoseconds")),
            warning: .nanoseconds(try integer("warning_nanoseconds")), internet: try integer("internet") != 0)
    }

    func desktop() throws(StoreError) -> Desktop {
        Desktop(
            id: DesktopID(rawValue: try number("id")), lab: LabID(rawValue: try integer("lab")), number: try number("number"),
            name: try text("name"), place: Place(rawValue: try number("place")), generation: Generation(rawValue: try number("generation")),
            state: try desktopState(), image: try optionalInteger("image_version").map { ImageVersionID(rawValue: $0) },
            profile: try profile("vcpus", "memory"), ownProfile: try profile("own_vcpus", "own_memory"),
            isSetAside: try integer("set_aside") != 0,
            checkpoint: try optionalInteger("checkpoint") == nil ? nil : CheckpointID(rawValue: try number("checkpoint")),
            fingerprint: try optionalBytes("fingerprint", count: 32), password: try optionalText("password"), failure: try failure())
    }

    private func profile(_ vcpus: String, _ memory: String) throws(StoreError) -> Profile? {
        guard try optionalInteger(memory) != nil else { return nil }
        return Profile(vcpus: try number(vcpus), memory: try byteCount(memory))
    }

    func checkpoint() throws(StoreError) -> Checkpoint {
        Checkpoint(
            id: CheckpointID(rawValue: try number("id")), image: ImageVersionID(rawValue: try integer("image_version")),
            profile: Profile(vcpus: try number("vcpus"), memory: try byteCount("memory")), host: try text("host"),
            memory: try byteCount("kept_memory"), state: try checkpointState(), failures: try number("failures"))
    }

    private func checkpointState() throws(StoreError) -> Checkpoint.State {
        switch try text("state") {
        case "making": .making
        case "unproven": .unproven
        case "proven": .proven
        case "failed": .failed(cause: try sentence("cause"))
        default: throw damaged("state")
        }
    }

    private func failure() throws(StoreError) -> Failure? {
        let count: Int = try number("failures")
        guard count > 0 else { return nil }
        return Failure(
            count: count, generation: Generation(rawValue: try number("failed_generation")), step: try optionalWord("failed_step"),
            cause: try sentence("failed_cause"), console: try text("failed_console").split(separator: "\n").map(String.init))
    }

    private func sentence(_ column: String) throws(StoreError) -> Sentence { StoredSentence(column: try text(column)).sentence }

    private func desktopState() throws(StoreError) -> DesktopState {
        switch try text("state") {
        case "empty": return .empty
        case "preparing": return .preparing(try word("step"))
        case "ready": return .ready
        case "leased": return .leased(SessionID(rawValue: try integer("session")))
        case "retiring": return .retiring
        case "quarantined": return .quarantined(cause: try sentence("cause"), holding: try integer("holding") != 0)
        default: throw damaged("state")
        }
    }

    func session() throws(StoreError) -> Session {
        Session(
            id: SessionID(rawValue: try integer("id")), seat: SeatID(rawValue: try integer("seat")),
            desktop: DesktopID(rawValue: try number("desktop")), generation: Generation(rawValue: try number("generation")),
            bootID: try text("boot_id"), ticket: TicketHash(bytes: try bytes("ticket", count: 32)), address: try text("address"))
    }

    func sessionRecord() throws(StoreError) -> SessionRecord {
        let ended = try optionalInteger("ended")
        return SessionRecord(
            id: SessionID(rawValue: try integer("id")), seat: SeatID(rawValue: try integer("seat")), seatName: try text("seat_name"),
            desktop: DesktopID(rawValue: try number("desktop")), desktopName: try text("desktop_name"), began: try integer("began"),
            ended: ended, reason: ended == nil ? nil : try word("reason"))
    }

    func seat() throws(StoreError) -> SeatRecord {
        var place: TablePlace?
        if let column = try optionalInteger("table_column"), let row = try optionalInteger("table_row") {
            place = TablePlace(column: Int(clamping: column), row: Int(clamping: row))
        }
        return SeatRecord(
            id: SeatID(rawValue: try integer("id")), name: try text("name"), lab: LabID(rawValue: try integer("lab")),
            enrolled: try optionalInteger("enrolled"), wordExpires: try optionalInteger("word_expires"),
            isBlocked: try integer("blocked") != 0, place: place)
    }
}
