import DesktopModel
import GRDB

extension DesktopStore {
    /// The version number for the next version of this image, from 1; a removed version's number is not used again.
    public func nextVersion(of image: String) async throws(StoreError) -> Int {
        try await read { try Int.fetchOne($0, sql: "SELECT next_version FROM image WHERE name = ?", arguments: [image]) ?? 1 }
    }

    /// Keeps a version of an image and gives it its number. `taken` where that version was used before.
    public func addImage(_ new: NewImageVersion) async throws(StoreError) -> ImageVersion {
        let taken = StoreError.taken(kind: "image version", name: "\(new.image)-\(new.version)")
        let now = clock()
        return try await write(taken: taken) { db in
            try db.execute(sql: "INSERT INTO image (name, next_version) VALUES (?, 1) ON CONFLICT DO NOTHING", arguments: [new.image])
            try db.execute(
                sql: "UPDATE image SET next_version = ? + 1 WHERE name = ? AND next_version <= ?",
                arguments: [new.version, new.image, new.version])
            guard db.changesCount == 1 else { throw taken }
            try db.execute(
                sql: """
                    INSERT INTO image_version (image, version, boot, disk, kernel, ramdisk, blank_overlay, command_line, user, password,
                        checksum, disk_size, minimum_memory, has_guest, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    new.image, new.version, new.boot.rawValue, new.disk, new.kernel, new.ramdisk, new.blankOverlay, new.commandLine,
                    new.account.user, new.account.password, new.checksum, new.diskSize.rawValue, new.minimumMemory.rawValue, new.hasGuest, now,
                ])
            return ImageVersion(
                id: ImageVersionID(rawValue: db.lastInsertedRowID), image: new.image, version: new.version, boot: new.boot, disk: new.disk,
                kernel: new.kernel, ramdisk: new.ramdisk, blankOverlay: new.blankOverlay, commandLine: new.commandLine,
                account: new.account, checksum: new.checksum, diskSize: new.diskSize, minimumMemory: new.minimumMemory,
                hasGuest: new.hasGuest, added: now)
        }
    }

    /// Changes what of a version of an image can change: whether its desktops may share an identity, and its notes. `unknown` where there is no
    /// such version.
    public func updateImage(_ image: ImageVersion) async throws(StoreError) {
        try await write { db in
            try db.execute(
                sql: "UPDATE image_version SET shares_identity = ?, notes = ? WHERE id = ?",
                arguments: [image.sharesIdentity, image.notes, image.id.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "image version", id: String(image.id.rawValue)) }
        }
    }

    /// Whether a version of an image could be forgotten.
    public func isUnused(_ id: ImageVersionID) async throws(StoreError) -> Bool {
        try await read { db in
            let users = """
                SELECT EXISTS (SELECT 1 FROM lab WHERE image_version = :id) OR EXISTS (SELECT 1 FROM checkpoint WHERE image_version = :id)
                    OR EXISTS (SELECT 1 FROM desktop WHERE image_version = :id AND state != 'empty' AND NOT (state = 'quarantined' AND NOT holding))
                """
            return try Bool.fetchOne(db, sql: users, arguments: ["id": id.rawValue]) == false
        }
    }

    /// Forgets a version of an image. `inUse` while a lab, a checkpoint, or a desktop that holds something names it.
    public func removeImage(_ id: ImageVersionID) async throws(StoreError) {
        try await write(disagreement: .inUse(kind: "image version", id: String(id.rawValue))) { db in
            try db.execute(
                sql: "UPDATE desktop SET image_version = NULL WHERE image_version = ? AND (state = 'empty' OR (state = 'quarantined' AND NOT holding))",
                arguments: [id.rawValue])
            try db.execute(sql: "DELETE FROM image_version WHERE id = ?", arguments: [id.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "image version", id: String(id.rawValue)) }
        }
    }

    /// Keeps a new lab and gives it its number in the place of its own. `taken` where another lab has the name, `unknown` where there is no such
    /// image version.
    public func addLab(_ new: Lab) async throws(StoreError) -> Lab {
        let missing = StoreError.unknown(kind: "image version", id: String(new.image.rawValue))
        return try await write(disagreement: missing, taken: .taken(kind: "lab", name: new.name)) { db in
            try db.execute(
                sql: """
                    INSERT INTO lab (name, image_version, vcpus, memory, size, least_ready, at_once, grace_nanoseconds, airing_nanoseconds,
                        after_session, longest_nanoseconds, idle_nanoseconds, warning_nanoseconds, internet)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: StatementArguments(Self.columns(of: new)))
            guard let lab = try Self.rows(db, "SELECT * FROM lab WHERE id = ?", of: "lab", arguments: [db.lastInsertedRowID]).first else {
                throw StoreError.unknown(kind: "lab", id: new.name)
            }
            return try lab.lab()
        }
    }

    /// Changes everything of a lab but its number. `taken` where another lab has the name, `unknown` where there is no such lab or image.
    public func updateLab(_ lab: Lab) async throws(StoreError) {
        let missing = StoreError.unknown(kind: "image version", id: String(lab.image.rawValue))
        try await write(disagreement: missing, taken: .taken(kind: "lab", name: lab.name)) { db in
            try db.execute(
                sql: """
                    UPDATE lab SET name = ?, image_version = ?, vcpus = ?, memory = ?, size = ?, least_ready = ?, at_once = ?, grace_nanoseconds = ?,
                        airing_nanoseconds = ?, after_session = ?, longest_nanoseconds = ?, idle_nanoseconds = ?, warning_nanoseconds = ?,
                        internet = ? WHERE id = ?
                    """,
                arguments: StatementArguments(Self.columns(of: lab) + [lab.id.rawValue]))
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "lab", id: String(lab.id.rawValue)) }
        }
    }

    /// What is kept of a lab beside its number, from `name` to `internet`.
    private static func columns(of lab: Lab) -> [(any DatabaseValueConvertible)?] {
        [
            lab.name, lab.image.rawValue, lab.profile.vcpus, lab.profile.memory.rawValue, lab.size, lab.leastReady, lab.atOnce, lab.grace.nanoseconds,
            lab.airing.nanoseconds, lab.afterSession.rawValue, lab.longest.nanoseconds, lab.idle.nanoseconds, lab.warning.nanoseconds,
            lab.internet,
        ]
    }

    /// The hardware that a desktop is to have instead of its lab's; nil: its lab's. `unknown` where there is no such desktop.
    public func setOwnProfile(of desktop: DesktopID, to own: Profile?) async throws(StoreError) {
        try await write { db in
            try db.execute(
                sql: "UPDATE desktop SET own_vcpus = ?, own_memory = ? WHERE id = ?",
                arguments: [own?.vcpus, own?.memory.rawValue, desktop.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "desktop", id: String(desktop.rawValue)) }
        }
    }

    /// Whether an administrator has put a desktop in quarantine. `unknown` where there is no such desktop.
    public func setAside(_ desktop: DesktopID, _ isSetAside: Bool) async throws(StoreError) {
        try await write { db in
            try db.execute(sql: "UPDATE desktop SET set_aside = ? WHERE id = ?", arguments: [isSetAside, desktop.rawValue])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: "desktop", id: String(desktop.rawValue)) }
        }
    }

    /// Forgets a lab. `inUse` while it has desktops or seats.
    public func removeLab(_ id: LabID) async throws(StoreError) {
        try await remove(from: "lab", kind: "lab", id: id.rawValue)
    }

    /// Removes one row of a table, unless others refer to it.
    func remove(from table: String, kind: String, id: Int64) async throws(StoreError) {
        try await write(disagreement: .inUse(kind: kind, id: String(id))) { db in
            try db.execute(sql: "DELETE FROM \(table) WHERE id = ?", arguments: [id])
            guard db.changesCount == 1 else { throw StoreError.unknown(kind: kind, id: String(id)) }
        }
    }
}

extension Duration {
    /// Whole nanoseconds, what is smaller being dropped; at most about 292 years.
    fileprivate var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max : whole.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    }
}
