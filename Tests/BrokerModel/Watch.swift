import Broker
import DesktopModel
import GRDB
import Hypervisor
import Synchronization

/// Sees every deed at the moment when it is done, and what is on the disk then, and notes what must never be.
///
/// It reads the database with a connection of its own: what it sees is what a crash at that moment would leave.
final class Watch: Sendable {
    /// The mark of this appliance in its domains' UUIDs.
    static let installation: UInt64 = 42

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
        /// Domains that ended, or are ending, without the present daemon's doing.
        var lost: Set<DomainUUID> = []
        /// Foreign domains that nobody but others ended.
        var foreign: Set<DomainUUID> = []
        /// Domains that were let run last for the session whose lease was on the disk.
        var lent: Set<DomainUUID> = []
        /// The ready desktop that was let run last, and when: it may be being aired.
        var aired: (uuid: DomainUUID, at: SimulatedClock.Instant)?
        /// When others last took memory, and disk.
        var memoryTaken: SimulatedClock.Instant?
        var diskTaken: SimulatedClock.Instant?
        /// Of all deeds and words in their order.
        var digest = 0
    }

    let violations = Mutex<[String]>([])
    /// Set before the first deed.
    let server = Mutex<SimulatedServer?>(nil)
    private let settings: BrokerSettings
    private let memory = Mutex(Memory())
    private let database: DatabaseQueue

    init(path: String, settings: BrokerSettings) {
        self.settings = settings
        var configuration = Configuration()
        configuration.readonly = true
        // The file is a copy of one that could be opened.
        database = try! DatabaseQueue(path: path, configuration: configuration)
    }

    /// Sees no more. What a dead daemon left asleep may hold it for ever, but not its files.
    func close() {
        server.withLock { $0 = nil }
        do { try database.close() } catch { fatalError("the watch's database cannot be closed: \(error)") }
    }

    func add(_ violation: String) { violations.withLock { $0.append(violation) } }

    func require(_ holds: Bool, _ what: @autoclosure () -> String) {
        if !holds { add(what()) }
    }

    // MARK: What others do

    /// Domains end without the daemon's doing, or are ending and it does not know.
    func loses(_ domains: some Sequence<DomainUUID>) { memory.withLock { $0.lost.formUnion(domains) } }

    func foreignComes(_ uuid: DomainUUID, at now: SimulatedClock.Instant) {
        memory.withLock { memory in
            memory.foreign.insert(uuid)
            memory.memoryTaken = now
        }
    }

    func foreignGoes(_ uuid: DomainUUID) { memory.withLock { _ = $0.foreign.remove(uuid) } }

    func diskTaken(at now: SimulatedClock.Instant) { memory.withLock { $0.diskTaken = now } }

    /// Whether something happened after the making of a domain's desktop was begun, or so short a time before that it was not seen yet.
    private func isNew(_ instant: SimulatedClock.Instant?, to uuid: DomainUUID) -> Bool {
        guard let instant else { return false }
        let began = count("SELECT since FROM desktop WHERE id = ?", [uuid.desktop.rawValue]) - Self.calendarStart
        return instant.offset > .seconds(began - 10)
    }

    /// What the store's calendar says when the server's clock begins.
    static let calendarStart = 1_700_000_000

    /// The next daemon finds what the last one let run. What was aired when its lease was written runs for that from now on.
    func daemonEnds() {
        let running = Set(domains.filter { $0.value.activity == .running }.keys)
        let leased = openSessions().map(\.domain).filter(running.contains)
        memory.withLock { $0.lent.formUnion(leased) }
    }

    // MARK: Deeds

    /// The same for two lives of one history: what was done and said, in its order.
    var digest: Int { memory.withLock { $0.digest } }

    /// Something was said that the seed decides.
    func note(_ word: some Hashable) {
        memory.withLock { memory in
            var hasher = Hasher()
            hasher.combine(memory.digest)
            hasher.combine(word)
            memory.digest = hasher.finalize()
        }
    }

    func see(_ deed: SimulatedServer.Deed, at now: SimulatedClock.Instant) {
        note(deed)
        switch deed {
        case .letRun(let uuid): seeRun(uuid, at: now)
        case .paused(let uuid): require(uuid.installation == Self.installation, "a foreign domain is paused")
        case .destroyed(let uuid):
            require(uuid.installation == Self.installation, "a foreign domain is ended")
            seeEnd(uuid)
        case .laid(let overlay):
            require(memory.withLock { $0.laid.insert(overlay).inserted }, "overlay \(overlay) is laid a second time")
        case .restored(let uuid, let isOwn):
            require(isOwn, "desktop \(uuid.desktop) is restored over another disk than the one that was frozen with its memory")
            let others = count(
                "SELECT count(*) FROM desktop JOIN checkpoint ON checkpoint.id = desktop.checkpoint WHERE checkpoint.state = 'unproven' "
                    + "AND desktop.state = 'preparing' AND desktop.id != ? AND desktop.checkpoint = (SELECT checkpoint FROM desktop WHERE id = ?)",
                [uuid.desktop.rawValue, uuid.desktop.rawValue])
            require(others == 0, "desktop \(uuid.desktop) is restored from a checkpoint that another desktop has not proven yet")
        case .sealed(_, let overlay):
            require(!domains.values.contains { $0.overlay == overlay.fileName }, "overlay \(overlay) is frozen under its domain")
        case .dropped(let id):
            let mark = SimulatedCheckpoint(id).mark
            let files = server.withLock { $0?.files ?? [:] }
            require(!domains.values.contains { files[$0.overlay]?.content == mark }, "checkpoint \(id) is removed from under a desktop")
        case .removed(let overlay):
            require(!domains.values.contains { $0.overlay == overlay.fileName }, "overlay \(overlay) is removed from under its domain")
        case .built(let uuid, let overlay): seeBuilt(uuid, overlay)
        case .hadNoMemory(let uuid):
            require(isNew(memory.withLock { $0.memoryTaken }, to: uuid), "a domain is started that does not fit: \(uuid)")
        }
    }

    private var domains: [DomainUUID: SimulatedServer.Domain] { server.withLock { $0?.domains ?? [:] } }

    /// A domain runs only to be probed in its making, to be aired while it is ready, or for the one session whose lease is on the disk.
    private func seeRun(_ uuid: DomainUUID, at now: SimulatedClock.Instant) {
        guard uuid.installation == Self.installation else { return add("a foreign domain is let run") }
        let leases = count(
            "SELECT count(*) FROM session WHERE desktop = ? AND generation = ?", [uuid.desktop.rawValue, uuid.generation.rawValue])
        let isBeingMade =
            count(
                "SELECT count(*) FROM desktop WHERE id = ? AND generation = ? AND state = 'preparing'",
                [uuid.desktop.rawValue, uuid.generation.rawValue]) == 1
        require(leases <= 1, "desktop \(uuid.desktop) of generation \(uuid.generation) is handed out a second time")
        let isReady =
            count(
                "SELECT count(*) FROM desktop WHERE id = ? AND generation = ? AND state = 'ready'",
                [uuid.desktop.rawValue, uuid.generation.rawValue]) == 1
        require(leases == 1 || isBeingMade || isReady, "desktop \(uuid.desktop) runs without a lease on the disk")
        if isReady {
            let ready = Set(
                read { db in
                    try GRDB.Row.fetchAll(db.cachedStatement(sql: "SELECT id, generation FROM desktop WHERE state = 'ready'")).map {
                        DomainUUID(
                            installation: Self.installation, desktop: DesktopID(rawValue: $0["id"]),
                            generation: Generation(rawValue: $0["generation"]))
                    }
                } ?? [])
            let others = domains.filter { $0.key != uuid && $0.value.activity == .running && ready.contains($0.key) }
            require(others.isEmpty, "desktop \(uuid.desktop) is aired beside another")
        }
        memory.withLock { memory in
            if leases == 1 { memory.lent.insert(uuid) } else { memory.lent.remove(uuid) }
            if isReady { memory.aired = (uuid, now) }
        }
        require(!(leases == 1 && isBeingMade), "desktop \(uuid.desktop) is being made though it was leased in this generation")
        if leases == 1 {
            require(domains[uuid]?.hasAnswered == true, "desktop \(uuid.desktop) is handed out though its RDP never answered in this generation")
        }
    }

    /// What a seat is told to enter its desktop by is what that desktop's guest has taken over in this generation, if it takes anything over.
    func seeAccount(_ password: String, of uuid: DomainUUID) {
        guard let domain = domains[uuid] else { return }
        require(memory.withLock { $0.lent.contains(uuid) }, "desktop \(uuid.desktop) was let run before its lease was on the disk")
        let isOwn = domain.identity.map { domain.isSettled && $0.passwordHash == password } ?? (password == Template.password)
        require(isOwn, "the password that is told for desktop \(uuid.desktop) is not its guest's")
    }

    /// One overlay, one domain, and no more of them than the server has room for.
    private func seeBuilt(_ uuid: DomainUUID, _ overlay: String) {
        require(memory.withLock { $0.served.insert(overlay).inserted }, "overlay \(overlay) serves a second domain")
        let ours = domains.filter { $0.key.installation == Self.installation }
        require(ours.keys.filter { $0.desktop == uuid.desktop }.count == 1, "desktop \(uuid.desktop) has a second domain")
        let underWay = count("SELECT count(*) FROM desktop WHERE state = 'preparing'")
        require(underWay <= settings.atOnce, "\(underWay) desktops are being made at once")
        guard let server = server.withLock({ $0 }) else { return }
        let whole = ours.values.count { $0.activity != .dying }
        let promised = domains.values.reduce(server.controlMemory) { $0 + $1.maximum }
        require(
            isNew(memory.withLock { $0.memoryTaken }, to: uuid) || promised <= server.totalMemory,
            "\(promised) are promised of the \(server.totalMemory) that there are, though not all are held")
        require(
            settings.controlReserve + settings.controlMemoryPerDesktop * whole <= server.controlMemory,
            "dom0 has no memory for the disk processes of \(whole) domains")
        require(
            isNew(memory.withLock { $0.diskTaken }, to: uuid) || Template.diskSize * whole <= server.freeDisk,
            "the disks of \(whole) domains may grow to more than the disk has")
    }

    /// A session ends for its desktop's death only where that died.
    private func seeEnd(_ uuid: DomainUUID) {
        guard !memory.withLock({ $0.lost.contains(uuid) }) else { return }
        let ended = count(
            "SELECT count(*) FROM session WHERE desktop = ? AND generation = ? AND reason = 'desktop-died'",
            [uuid.desktop.rawValue, uuid.generation.rawValue])
        require(ended == 0, "the session on desktop \(uuid.desktop) is ended as if that had died, which lived until then")
    }

    // MARK: What is on the disk

    func desktops() -> [Row] {
        read { db in
            try GRDB.Row.fetchAll(db.cachedStatement(sql: "SELECT name, state, generation, cause FROM desktop ORDER BY id")).map {
                Row(name: $0["name"], state: $0["state"], generation: $0["generation"], cause: $0["cause"])
            }
        } ?? []
    }

    /// Those that are in quarantine by hand.
    func desktopsSetAside() -> [Row] {
        let kept = Set(read { try String.fetchAll($0, sql: "SELECT name FROM desktop WHERE set_aside") } ?? [])
        return desktops().filter { kept.contains($0.name) }
    }

    /// The seats whose sessions are open in a lab that has a limit.
    func seatsBeyondTheirLimit() -> [String] {
        let sql = "SELECT seat_name FROM session JOIN desktop ON desktop.id = session.desktop JOIN lab ON lab.id = desktop.lab "
            + "WHERE ended IS NULL AND longest_nanoseconds > 0"
        return read { try String.fetchAll($0, sql: sql) } ?? []
    }

    /// How many desktops are ready in the lab of a session's desktop; nil where another of them has changed its state since.
    func ready(beside session: SessionRow, unchangedSince instant: SimulatedClock.Instant) -> Int? {
        let others = "FROM desktop WHERE id != ? AND lab = (SELECT lab FROM desktop WHERE id = ?)"
        let desktop = session.domain.desktop.rawValue
        let began = Self.calendarStart + Int(instant.offset.components.seconds)
        guard count("SELECT count(*) \(others) AND since >= ?", [desktop, desktop, began]) == 0 else { return nil }
        return count("SELECT count(*) \(others) AND state = 'ready'", [desktop, desktop])
    }

    func labs() -> [(id: LabID, name: String, size: Int)] {
        read { db in
            try GRDB.Row.fetchAll(db.cachedStatement(sql: "SELECT id, name, size FROM lab ORDER BY id")).map {
                (LabID(rawValue: $0["id"]), $0["name"], $0["size"])
            }
        } ?? []
    }

    func lastSession() -> SessionID { SessionID(rawValue: Int64(count("SELECT coalesce(max(id), 0) FROM session"))) }

    /// How many sessions a seat has begun since.
    func sessions(of seat: SeatID, after: SessionID) -> Int {
        count("SELECT count(*) FROM session WHERE seat = ? AND id > ?", [seat.rawValue, after.rawValue])
    }

    struct SessionRow: Hashable, Sendable {
        let id: SessionID
        let seat: SeatID
        let bootID: String
        let isOpen: Bool
        let domain: DomainUUID
    }

    func session(_ id: SessionID) -> SessionRow? { sessionRows("WHERE id = ?", [id.rawValue]).first }

    func openSessions() -> [SessionRow] { sessionRows("WHERE ended IS NULL ORDER BY id", []) }

    private func sessionRows(_ condition: String, _ arguments: StatementArguments) -> [SessionRow] {
        read { db in
            let sql = "SELECT id, seat, boot_id, ended, desktop, generation FROM session \(condition)"
            return try GRDB.Row.fetchAll(db.cachedStatement(sql: sql), arguments: arguments).map {
                SessionRow(
                    id: SessionID(rawValue: $0["id"]), seat: SeatID(rawValue: $0["seat"]), bootID: $0["boot_id"], isOpen: $0["ended"] == nil,
                    domain: DomainUUID(
                        installation: Self.installation, desktop: DesktopID(rawValue: $0["desktop"]),
                        generation: Generation(rawValue: $0["generation"])))
            }
        } ?? []
    }

    /// What is not as it should be once nothing goes wrong any more; nil where all is. A desktop that is being aired is where it should be, for no
    /// longer than an airing may take.
    func unfinished(at now: SimulatedClock.Instant) -> String? {
        let desktops = desktops()
        let wanted = count("SELECT coalesce(sum(iif(least_ready = 0, size, min(size, least_ready))), 0) FROM lab")
        guard let server = server.withLock({ $0 }) else { return nil }
        let ours = domains.filter { $0.key.installation == Self.installation }
        let aired = memory.withLock { $0.aired }.flatMap { $0.at.advanced(by: settings.airingDeadline) >= now ? $0.uuid : nil }
        let isWhole =
            desktops.count == wanted && desktops.allSatisfy { $0.state == "ready" } && ours.count == wanted && server.overlays.count == wanted
            && ours.allSatisfy { ($0.value.activity == .paused || $0.key == aired) && $0.value.hasAnswered }
        guard isWhole else {
            let running = ours.filter { $0.value.activity != .paused }.map(\.key.desktop)
            return "\(wanted) are wanted: \(desktops), \(ours.count) domains, not parked \(running), \(server.overlays.count) overlays"
        }
        let lying = Set(server.files.keys.compactMap { SimulatedCheckpoint(file: $0)?.id.rawValue })
        let needed = "state IN ('unproven', 'proven') OR id IN (SELECT checkpoint FROM desktop)"
        let known = Set(read { try UInt32.fetchAll($0, sql: "SELECT id FROM checkpoint WHERE \(needed)") } ?? [])
        guard lying == known else { return "checkpoints \(lying.sorted()) lie there, and \(known.sorted()) are needed" }
        let open = read { try Int.fetchAll($0, sql: "SELECT place FROM desktop JOIN lab ON lab.id = desktop.lab WHERE lab.internet") } ?? []
        let online = Set(open.compactMap { server.plan.addresses(of: Place(rawValue: $0))?.address })
        guard server.online == online else { return "the internet is open to \(server.online), and is to be to \(online)" }
        let outdated = count(
            "SELECT count(*) FROM desktop JOIN lab ON lab.id = desktop.lab "
                + "WHERE desktop.image_version != lab.image_version OR desktop.memory != coalesce(own_memory, lab.memory) "
                + "OR desktop.vcpus != coalesce(own_vcpus, lab.vcpus)")
        return outdated == 0 ? nil : "\(outdated) desktops are not of their lab's image and the profile that they are to have: \(desktops)"
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
        let foreign = domains.filter { $0.key.installation != Self.installation && $0.value.activity == .running }
        require(Set(foreign.keys) == memory.withLock { $0.foreign }, "a foreign domain runs no more")
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
