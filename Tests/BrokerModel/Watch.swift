import DesktopModel
import GRDB
import Hypervisor
import Synchronization

/// Sees every deed at the moment when it is done, and what is on the disk then, and notes what must never be.
///
/// It reads the database with a connection of its own: what it sees is what a crash at that moment would leave.
final class Watch: Sendable {
    static let foreign = DomainUUID(installation: 0xfeed, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))

    struct Row: Hashable, Sendable, CustomStringConvertible {
        let name: String
        let state: String
        let generation: Int
        let cause: String?
        var description: String { "\(name) g\(generation) \(state)\(cause.map { ": \($0)" } ?? "")" }
    }

    private struct Memory {
        /// Every overlay that was ever laid, and every one that ever served a domain.
        var laid: Set<OverlayName> = []
        var served: Set<String> = []
        /// Of all deeds in their order.
        var digest = 0
    }

    let violations = Mutex<[String]>([])
    /// Set before the first deed.
    let server = Mutex<SimulatedServer?>(nil)
    private let memory = Mutex(Memory())
    private let database: DatabaseQueue

    init(path: String) {
        var configuration = Configuration()
        configuration.readonly = true
        // The file is a copy of one that could be opened.
        database = try! DatabaseQueue(path: path, configuration: configuration)
    }

    deinit { try? database.close() }

    func add(_ violation: String) { violations.withLock { $0.append(violation) } }

    private func require(_ holds: Bool, _ what: @autoclosure () -> String) {
        if !holds { add(what()) }
    }

    // MARK: Deeds

    /// The same for two lives of one history: what was done, in its order.
    var digest: Int { memory.withLock { $0.digest } }

    func see(_ deed: SimulatedServer.Deed) {
        memory.withLock { memory in
            var hasher = Hasher()
            hasher.combine(memory.digest)
            hasher.combine(deed)
            memory.digest = hasher.finalize()
        }
        switch deed {
        case .letRun(let uuid): seeRun(uuid)
        case .paused(let uuid): require(uuid != Self.foreign, "the foreign domain is paused")
        case .destroyed(let uuid): require(uuid != Self.foreign, "the foreign domain is ended")
        case .laid(let overlay):
            require(memory.withLock { $0.laid.insert(overlay).inserted }, "overlay \(overlay) is laid a second time")
        case .removed(let overlay):
            let domains = server.withLock { $0?.domains ?? [:] }
            require(!domains.values.contains { $0.overlay == overlay.fileName }, "overlay \(overlay) is removed from under its domain")
        case .built(let uuid, let overlay):
            require(memory.withLock { $0.served.insert(overlay).inserted }, "overlay \(overlay) serves a second domain")
            let domains = server.withLock { $0?.domains ?? [:] }
            require(
                domains.keys.filter { $0.installation == uuid.installation && $0.desktop == uuid.desktop }.count == 1,
                "desktop \(uuid.desktop) has a second domain")
            let underWay = count("SELECT count(*) FROM desktop WHERE state = 'preparing'")
            require(underWay <= 2, "\(underWay) desktops are being made at once")
        case .hadNoMemory(let uuid): add("a domain is started that does not fit: \(uuid)")
        }
    }

    /// A domain runs only to be probed in its making, or for the one session whose lease is on the disk.
    private func seeRun(_ uuid: DomainUUID) {
        guard uuid != Self.foreign else { return add("the foreign domain is let run") }
        let leases = count(
            "SELECT count(*) FROM session WHERE desktop = ? AND generation = ?", [uuid.desktop.rawValue, uuid.generation.rawValue])
        let isBeingMade =
            count(
                "SELECT count(*) FROM desktop WHERE id = ? AND generation = ? AND state = 'preparing'",
                [uuid.desktop.rawValue, uuid.generation.rawValue]) == 1
        require(leases <= 1, "desktop \(uuid.desktop) of generation \(uuid.generation) is handed out a second time")
        require(leases == 1 || isBeingMade, "desktop \(uuid.desktop) runs without a lease on the disk")
        require(!(leases == 1 && isBeingMade), "desktop \(uuid.desktop) is being made though it was leased in this generation")
        if leases == 1 {
            require(
                server.withLock { $0?.domains[uuid]?.hasAnswered } == true,
                "desktop \(uuid.desktop) is handed out though its RDP never answered in this generation")
        }
    }

    // MARK: What is on the disk

    func desktops() -> [Row] {
        read { db in
            try GRDB.Row.fetchAll(db, sql: "SELECT name, state, generation, cause FROM desktop ORDER BY id").map {
                Row(name: $0["name"], state: $0["state"], generation: $0["generation"], cause: $0["cause"])
            }
        } ?? []
    }

    /// How many desktops the labs are to have.
    func wanted() -> Int { count("SELECT coalesce(sum(size), 0) FROM lab") }

    func openSessions() -> [(id: SessionID, seat: SeatID)] {
        read { db in
            try GRDB.Row.fetchAll(db, sql: "SELECT id, seat FROM session WHERE ended IS NULL ORDER BY id").map {
                (SessionID(rawValue: $0["id"]), SeatID(rawValue: $0["seat"]))
            }
        } ?? []
    }

    /// The open sessions with the domains that belong to them.
    func openLeases() -> [(session: SessionID, domain: DomainUUID)] {
        read { db in
            let installation = UInt64(bitPattern: try Int64.fetchOne(db, sql: "SELECT installation FROM appliance") ?? 0)
            return try GRDB.Row.fetchAll(db, sql: "SELECT id, desktop, generation FROM session WHERE ended IS NULL ORDER BY id").map {
                (
                    SessionID(rawValue: $0["id"]),
                    DomainUUID(
                        installation: installation, desktop: DesktopID(rawValue: $0["desktop"]),
                        generation: Generation(rawValue: $0["generation"]))
                )
            }
        } ?? []
    }

    /// What must hold of all that was written.
    func concludes() {
        require(
            count("SELECT count(*) FROM (SELECT 1 FROM session GROUP BY desktop, generation HAVING count(*) > 1)") == 0,
            "a generation was leased twice")
        require(
            count(
                "SELECT count(*) FROM desktop JOIN session ON session.desktop = desktop.id AND session.generation = desktop.generation "
                    + "WHERE desktop.state = 'ready'") == 0,
            "a desktop is ready though it was leased in this generation")
    }

    private func count(_ sql: String, _ arguments: StatementArguments = []) -> Int {
        read { try Int.fetchOne($0.cachedStatement(sql: sql), arguments: arguments) ?? 0 } ?? 0
    }

    private func read<Value>(_ body: (Database) throws -> Value) -> Value? {
        do { return try database.read(body) } catch {
            add("the database cannot be read: \(error)")
            return nil
        }
    }
}
