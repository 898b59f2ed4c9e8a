import GRDB

/// One step by which a database of an earlier version becomes one of this version. Once released it never changes.
struct StoreMigration: Sendable {
    /// `<number>-<what it brings>`; it also names the copy that is kept before it.
    let name: String
    let run: @Sendable (Database) throws -> Void

    /// All of them, in order.
    static let all = [
        StoreMigration(name: "1-room", run: room), server, StoreMigration(name: "3-failure", run: failure), guest, checkpoint, kept, airing, sizes, people,
        seats, policy, internet,
    ]

    /// Names in the order in which they are run: the tenth after the ninth.
    static func inOrder(_ names: Set<String>) -> [String] {
        func number(_ name: String) -> Int { Int(name.prefix { $0.isNumber }) ?? 0 }
        return names.sorted { (number($0), $0) < (number($1), $1) }
    }

    /// What runs the desktops: Xen, in every database that is older than the question.
    static let server = StoreMigration(name: "2-server") {
        try $0.execute(sql: "ALTER TABLE appliance ADD COLUMN server TEXT NOT NULL DEFAULT 'xen'")
    }

    /// Which images hold the guest package, and the password that each desktop's guest has taken over.
    static let guest = StoreMigration(name: "4-guest") {
        try $0.execute(
            sql: """
                ALTER TABLE image_version ADD COLUMN has_guest INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE desktop ADD COLUMN password TEXT;
                """)
    }

    /// Checkpoints, and which one each desktop was restored from.
    static let checkpoint = StoreMigration(name: "5-checkpoint") {
        try $0.execute(
            sql: """
                CREATE TABLE checkpoint (
                    id INTEGER PRIMARY KEY,
                    image_version INTEGER NOT NULL REFERENCES image_version (id),
                    vcpus INTEGER NOT NULL,
                    memory INTEGER NOT NULL,
                    host TEXT NOT NULL,
                    state TEXT NOT NULL,
                    cause TEXT,
                    failures INTEGER NOT NULL,
                    CHECK ((state = 'failed') = (cause IS NOT NULL))
                ) STRICT;

                ALTER TABLE appliance ADD COLUMN next_checkpoint INTEGER NOT NULL DEFAULT 1;
                ALTER TABLE desktop ADD COLUMN checkpoint INTEGER REFERENCES checkpoint (id) DEFERRABLE INITIALLY DEFERRED;
                CREATE INDEX desktop_checkpoint ON desktop (checkpoint);
                """)
    }

    /// What a checkpoint's memory holds.
    static let kept = StoreMigration(name: "6-kept-memory") {
        try $0.execute(
            sql: """
                ALTER TABLE checkpoint ADD COLUMN kept_memory INTEGER NOT NULL DEFAULT 0;
                UPDATE checkpoint SET kept_memory = memory;
                """)
    }

    /// How long desktops of a lab stay parked before they are aired.
    static let airing = StoreMigration(name: "7-airing") {
        try $0.execute(sql: "ALTER TABLE lab ADD COLUMN airing_nanoseconds INTEGER NOT NULL DEFAULT 600000000000")
    }

    /// How many of a lab's desktops stand ready and are made at once, the hardware of desktops that have their own, and images whose desktops
    /// may share an identity.
    static let sizes = StoreMigration(name: "8-sizes") {
        try $0.execute(
            sql: """
                ALTER TABLE lab ADD COLUMN least_ready INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE lab ADD COLUMN at_once INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE image_version ADD COLUMN shares_identity INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE desktop ADD COLUMN own_vcpus INTEGER;
                ALTER TABLE desktop ADD COLUMN own_memory INTEGER CHECK ((own_memory IS NULL) = (own_vcpus IS NULL));
                """)
    }

    /// Who signs in, by which tokens their programs are known, what was done, and where the seats' tables stand.
    static let people = StoreMigration(name: "9-people") {
        try $0.execute(
            sql: """
                CREATE TABLE person (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    name TEXT NOT NULL UNIQUE,
                    role TEXT NOT NULL,
                    password TEXT NOT NULL,
                    since INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE person_lab (
                    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
                    lab INTEGER NOT NULL REFERENCES lab (id) ON DELETE CASCADE,
                    PRIMARY KEY (person, lab)
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE sign_in (
                    token_hash BLOB NOT NULL PRIMARY KEY,
                    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
                    used INTEGER NOT NULL,
                    ends INTEGER NOT NULL
                ) STRICT, WITHOUT ROWID;

                CREATE TABLE api_token (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,
                    name TEXT NOT NULL,
                    token_hash BLOB NOT NULL UNIQUE,
                    may_change INTEGER NOT NULL,
                    ends INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE journal (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    at INTEGER NOT NULL,
                    who TEXT NOT NULL,
                    origin TEXT NOT NULL,
                    action TEXT NOT NULL,
                    subject TEXT NOT NULL,
                    detail TEXT NOT NULL
                ) STRICT;

                CREATE TRIGGER journal_is_not_changed BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is only added to'); END;
                CREATE TRIGGER journal_is_not_removed BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is only added to'); END;

                CREATE INDEX person_lab_lab ON person_lab (lab);
                CREATE INDEX sign_in_person ON sign_in (person);
                CREATE INDEX api_token_person ON api_token (person);

                ALTER TABLE seat ADD COLUMN table_column INTEGER;
                ALTER TABLE seat ADD COLUMN table_row INTEGER CHECK ((table_row IS NULL) = (table_column IS NULL));
                """)
    }

    /// Which seats are blocked.
    static let seats = StoreMigration(name: "10-seats") {
        try $0.execute(sql: "ALTER TABLE seat ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0")
    }

    /// Desktops in quarantine by hand, what is noted of images, and how long sessions may last.
    static let policy = StoreMigration(name: "11-policy") {
        try $0.execute(
            sql: """
                ALTER TABLE desktop ADD COLUMN set_aside INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE image_version ADD COLUMN notes TEXT NOT NULL DEFAULT '';
                ALTER TABLE image_version ADD COLUMN added INTEGER;
                ALTER TABLE lab ADD COLUMN longest_nanoseconds INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE lab ADD COLUMN idle_nanoseconds INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE lab ADD COLUMN warning_nanoseconds INTEGER NOT NULL DEFAULT 300000000000;
                """)
    }

    /// Which labs' desktops may reach the internet. Those of before have what the server has, whose own setting goes before any lab's.
    static let internet = StoreMigration(name: "12-internet") {
        try $0.execute(sql: "ALTER TABLE lab ADD COLUMN internet INTEGER NOT NULL DEFAULT 1")
    }

    /// Everything that the first version keeps.
    ///
    /// A leased desktop and its open session name each other: `desktop(session, id, generation)` must be found in `session`, and
    /// `session(id, open_desktop, generation)` in `desktop`, both when the transaction is committed.
    private static func room(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE appliance (
                    id INTEGER PRIMARY KEY CHECK (id = 1),
                    installation INTEGER NOT NULL,
                    next_desktop INTEGER NOT NULL,
                    next_session INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE image (
                    name TEXT NOT NULL PRIMARY KEY,
                    next_version INTEGER NOT NULL
                ) STRICT;

                CREATE TABLE image_version (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    image TEXT NOT NULL REFERENCES image (name),
                    version INTEGER NOT NULL,
                    boot TEXT NOT NULL,
                    disk TEXT NOT NULL,
                    kernel TEXT NOT NULL,
                    ramdisk TEXT NOT NULL,
                    blank_overlay TEXT NOT NULL,
                    command_line TEXT NOT NULL,
                    user TEXT NOT NULL,
                    password TEXT NOT NULL,
                    checksum TEXT NOT NULL,
                    disk_size INTEGER NOT NULL,
                    minimum_memory INTEGER NOT NULL,
                    UNIQUE (image, version)
                ) STRICT;

                CREATE TABLE lab (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    name TEXT NOT NULL UNIQUE,
                    image_version INTEGER NOT NULL REFERENCES image_version (id),
                    vcpus INTEGER NOT NULL,
                    memory INTEGER NOT NULL,
                    size INTEGER NOT NULL,
                    grace_nanoseconds INTEGER NOT NULL,
                    after_session TEXT NOT NULL
                ) STRICT;

                CREATE TABLE desktop (
                    id INTEGER PRIMARY KEY,
                    lab INTEGER NOT NULL REFERENCES lab (id),
                    number INTEGER NOT NULL,
                    name TEXT NOT NULL UNIQUE,
                    place INTEGER NOT NULL UNIQUE,
                    generation INTEGER NOT NULL,
                    state TEXT NOT NULL,
                    step TEXT,
                    session INTEGER,
                    cause TEXT,
                    holding INTEGER,
                    image_version INTEGER REFERENCES image_version (id),
                    vcpus INTEGER,
                    memory INTEGER,
                    fingerprint BLOB,
                    since INTEGER NOT NULL,
                    UNIQUE (lab, number),
                    UNIQUE (session, id, generation),
                    CHECK ((state = 'preparing') = (step IS NOT NULL)),
                    CHECK ((state = 'leased') = (session IS NOT NULL)),
                    CHECK ((state = 'quarantined') = (cause IS NOT NULL AND holding IS NOT NULL)),
                    CHECK ((vcpus IS NULL) = (memory IS NULL)),
                    FOREIGN KEY (session, id, generation) REFERENCES session (id, open_desktop, generation) DEFERRABLE INITIALLY DEFERRED
                ) STRICT;

                CREATE TABLE seat (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    name TEXT NOT NULL UNIQUE,
                    lab INTEGER NOT NULL REFERENCES lab (id),
                    word_hash BLOB UNIQUE,
                    word_expires INTEGER,
                    token_hash BLOB UNIQUE,
                    enrolled INTEGER,
                    CHECK ((word_hash IS NULL) = (word_expires IS NULL)),
                    CHECK ((token_hash IS NULL) = (enrolled IS NULL))
                ) STRICT;

                CREATE TABLE session (
                    id INTEGER PRIMARY KEY,
                    seat INTEGER NOT NULL,
                    seat_name TEXT NOT NULL,
                    desktop INTEGER NOT NULL,
                    desktop_name TEXT NOT NULL,
                    generation INTEGER NOT NULL,
                    boot_id TEXT NOT NULL,
                    ticket BLOB NOT NULL,
                    address TEXT NOT NULL,
                    began INTEGER NOT NULL,
                    ended INTEGER,
                    reason TEXT,
                    open_desktop INTEGER GENERATED ALWAYS AS (CASE WHEN ended IS NULL THEN desktop END) STORED,
                    open_seat INTEGER GENERATED ALWAYS AS (CASE WHEN ended IS NULL THEN seat END) STORED
                        REFERENCES seat (id) DEFERRABLE INITIALLY DEFERRED,
                    UNIQUE (id, open_desktop, generation),
                    CHECK ((ended IS NULL) = (reason IS NULL)),
                    FOREIGN KEY (id, open_desktop, generation) REFERENCES desktop (session, id, generation) DEFERRABLE INITIALLY DEFERRED
                ) STRICT;

                CREATE UNIQUE INDEX session_open_desktop ON session (open_desktop) WHERE open_desktop IS NOT NULL;
                CREATE UNIQUE INDEX session_open_seat ON session (open_seat) WHERE open_seat IS NOT NULL;
                CREATE INDEX desktop_image_version ON desktop (image_version);
                CREATE INDEX lab_image_version ON lab (image_version);
                CREATE INDEX seat_lab ON seat (lab);
                """)
        var generator = SystemRandomNumberGenerator()
        let installation = UInt64.random(in: 1...UInt64.max, using: &generator)
        try db.execute(
            sql: "INSERT INTO appliance (id, installation, next_desktop, next_session) VALUES (1, ?, 1, 1)",
            arguments: [Int64(bitPattern: installation)])
    }

    /// What went wrong with a desktop last: how often in a row, with which generation, at which step, why, and its console's last lines.
    private static func failure(_ db: Database) throws {
        try db.execute(
            sql: """
                ALTER TABLE desktop ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE desktop ADD COLUMN failed_generation INTEGER CHECK ((failed_generation IS NULL) = (failures = 0));
                ALTER TABLE desktop ADD COLUMN failed_step TEXT CHECK (failed_step IS NULL OR failures > 0);
                ALTER TABLE desktop ADD COLUMN failed_cause TEXT CHECK ((failed_cause IS NULL) = (failures = 0));
                ALTER TABLE desktop ADD COLUMN failed_console TEXT CHECK ((failed_console IS NULL) = (failures = 0));
                """)
    }
}
