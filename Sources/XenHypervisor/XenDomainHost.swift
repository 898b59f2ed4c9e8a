import DesktopModel
import Glibc
import Hypervisor
import Logging
import Synchronization
import XenLight

/// Desktops' domains on real Xen, by libxl.
///
/// Three kinds of contexts, so that nothing waits for what is slower: one for pause and unpause, one for questions, a few for building and
/// ending. Domains outlive it and the process. Their disks are served by QEMU processes that libxl starts as children of this process: a
/// unit of systemd must not kill them with it (`KillMode=process`). One object a process, since pauses are counted by the hypervisor.
public final class XenDomainHost: DomainHost {
    /// Shares of the processors where several want them, each against the others': what Xen gives by itself is 256.
    public struct Weights: Hashable, Sendable {
        /// Of dom0, in which the desktops' disks, their network and the relay are.
        public var control = 1024
        /// Of a desktop that somebody works at, and of one that nobody was given yet.
        public var serving = 256
        public var preparing = 64
        public init() {}
    }

    /// What all domains have in common.
    public struct Settings: Hashable, Sendable {
        /// The bridge of the desktops' network.
        public var bridge: String
        /// Absolute path of the program that sets a desktop's network port up.
        public var portScript: String
        /// How many domains may be built, saved or ended at the same time; nil: as many as suit the server's processors.
        public var slowOperations: Int?
        /// The mark of this appliance in its domains' UUIDs.
        public var installation: UInt64
        /// Where xenconsoled keeps what guests write to their consoles, and how much of it each of our domains may have there.
        public var consoles: String
        public var consoleBound: ByteCount
        /// Whose processors come first.
        public var weights: Weights
        /// What a guest that gives memory back keeps beyond what it uses.
        public var memoryMargin: ByteCount

        public init(
            bridge: String, portScript: String = "/usr/lib/punnet/vif-punnet", slowOperations: Int? = nil, installation: UInt64,
            consoles: String = "/var/log/xen/console", consoleBound: ByteCount = .kibibytes(256), weights: Weights = Weights(),
            memoryMargin: ByteCount = .mebibytes(64)
        ) {
            self.bridge = bridge
            self.portScript = portScript
            self.slowOperations = slowOperations
            self.installation = installation
            self.consoles = consoles
            self.consoleBound = consoleBound
            self.weights = weights
            self.memoryMargin = memoryMargin
        }
    }

    private struct Books {
        /// Where a domain was last seen; verified before it is used.
        var known: [DomainUUID: DomainID] = [:]
        /// Domains being built: their UUID is taken. With those who wait for the end of it.
        var building: [DomainUUID: [CheckedContinuation<Void, Never>]] = [:]
        /// Domains being saved, each by one call.
        var saving: Set<DomainUUID> = []
        /// Domains that end because someone asked: their death is no event.
        var ending: Set<DomainUUID> = []
    }

    /// Tells when a domain shuts down, crashes or is gone. It ends only if Xen can tell no more: then start the process anew.
    public let events: AsyncStream<DomainEvent>

    private let settings: Settings
    /// Nil where Xen's scheduler has none.
    private let weights: Weights?
    private let fast: XenLane
    private let questions: XenLane
    private let slow: XenLanePool
    /// How many domains may be built, saved or ended at the same time.
    public let slowOperations: Int
    private let watcher: XenEvents
    private let guests: GuestDesk
    private let logs: ConsoleLogs
    private let books: SharedBooks
    private let logger: Logger

    private final class SharedBooks: Sendable {
        let state = Mutex(Books())
    }

    /// Connects to Xen and begins to watch the domains there are. Blocks shortly. Where there is no Xen: `unavailable`.
    public init(_ settings: Settings, logger: Logger) throws(HypervisorError) {
        let (stream, continuation) = AsyncStream.makeStream(of: DomainEvent.self)
        let books = SharedBooks()
        logs = try ConsoleLogs(folder: settings.consoles, bound: settings.consoleBound, logger: logger)
        do throws(XenError) {
            fast = try XenLane("xen.fast")
            questions = try XenLane("xen.questions")
            guests = try GuestDesk()
            let suited = HostCapacity.preparations(onProcessors: try questions.xen.capacity().processors)
            slowOperations = settings.slowOperations ?? suited
            slow = try XenLanePool("xen.slow", lanes: slowOperations)
            watcher = try XenEvents { event in
                if let event = Self.translate(event, books) { continuation.yield(event) }
            } ended: { error in
                if let error { logger.critical("Xen tells no more events", metadata: ["error": "\(error)"]) }
                continuation.finish()
            }
            do throws(XenError) {
                try questions.xen.setWeight(of: .control, to: settings.weights.control)
                weights = settings.weights
            } catch {
                logger.warning("Xen's scheduler takes no weights: nobody comes first", metadata: ["error": "\(error)"])
                weights = nil
            }
            for domain in try questions.xen.domains() where domain.id != .control {
                try watcher.watch(domain.id, uuid: domain.uuid)
                guard DomainUUID(bytes: domain.uuid).installation == settings.installation else { continue }
                if let name = try questions.xen.name(of: domain.id) { logs.hold(name) }
            }
        } catch {
            throw .unavailable("\(error). Is this dom0 of a running Xen, and the user root?")
        }
        events = stream
        self.settings = settings
        self.books = books
        self.logger = logger
    }

    deinit { watcher.close() }

    public func create(_ plan: DomainPlan) async throws(HypervisorError) {
        try await build(plan) { (xen, plan) throws(XenError) in try xen.create(plan) }
    }

    public func restore(_ plan: DomainPlan, from save: String) async throws(HypervisorError) {
        let file = open(save, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .missingFile(path: save) }
        defer { close(file) }
        // libxl's own reader of what is none takes the whole process with it.
        guard Self.beginsAsSave(file) else {
            throw .failed(call: "restore", code: -3, detail: "'\(save)' does not begin as a memory save of libxl's does")
        }
        try await build(plan) { (xen, plan) throws(XenError) in try xen.restore(plan, from: file) }
    }

    /// Whether an open file begins with the mark and the version of the streams that libxl writes. Its offset stays.
    private static func beginsAsSave(_ file: Int32) -> Bool {
        let mark = Array("LibxlFmt".utf8) + [0, 0, 0, 2]
        var bytes = [UInt8](repeating: 0, count: mark.count)
        return pread(file, &bytes, bytes.count, 0) == bytes.count && bytes == mark
    }

    public func save(_ domain: DomainUUID, to path: String) async throws(HypervisorError) {
        guard books.state.withLock({ $0.saving.insert(domain).inserted }) else {
            throw .failed(call: "save", code: 0, detail: "domain \(domain) is being saved already")
        }
        defer { books.state.withLock { _ = $0.saving.remove(domain) } }
        try await slow.run { [self] (xen) throws(HypervisorError) in
            guard let found = try lookUp(domain, xen), !found.isDying else { throw .noSuchDomain(domain) }
            let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard file >= 0 else { throw FileFailure.error("open", path) }
            defer { close(file) }
            do throws(HypervisorError) {
                // libxl would wait a minute for the guest's answer.
                guard !found.isPaused, found.shutdown == nil else {
                    throw .failed(call: "save", code: 0, detail: "domain \(domain) does not run")
                }
                try Self.translating(domain) { () throws(XenError) in try xen.save(found.id, to: file) }
                guard fsync(file) == 0 else { throw FileFailure.error("fsync", path) }
            } catch {
                unlink(path)
                throw error
            }
        }
    }

    public func shrink(_ domain: DomainUUID) async throws(HypervisorError) -> ByteCount {
        let found = try await questions.run { [self] (xen) throws(HypervisorError) in
            guard let found = try lookUp(domain, xen), !found.isDying else { throw .noSuchDomain(domain) }
            return found
        }
        let all = ByteCount.kibibytes(Int64(found.memoryKiB))
        guard !found.isPaused, found.shutdown == nil, let spare = try await spareMemory(of: found.id, domain) else { return all }
        // Whatever a guest says, it keeps what it needs to live.
        let target = max(all - max(.zero, spare - settings.memoryMargin), settings.memoryMargin)
        guard target < all else { return all }
        try await setMemory(of: domain, to: target)
        // The hypervisor tells nobody how far the guest is: it is asked until that is there, or has not come nearer for some seconds.
        var held = all
        var nearerAt = ContinuousClock.now
        while held > target, ContinuousClock.now - nearerAt < .seconds(5) {
            try? await Task.sleep(for: .milliseconds(100))
            guard !Task.isCancelled else { break }
            let now = try await questions.run { [self] (xen) throws(HypervisorError) in
                guard let now = try lookUp(domain, xen), !now.isDying else { throw .noSuchDomain(domain) }
                return ByteCount.kibibytes(Int64(now.memoryKiB))
            }
            if now < held { nearerAt = .now }
            held = now
        }
        // It is not to go on trying, in each of its clones, to give what it cannot.
        if held > target { try await setMemory(of: domain, to: held) }
        return held
    }

    /// What its guest says that it could do without; nil where it does not say so.
    private func spareMemory(of id: DomainID, _ domain: DomainUUID) async throws(HypervisorError) -> ByteCount? {
        do throws(XenError) { return try await guests.spareMemory(of: id) } catch { throw Self.translate(error, domain) }
    }

    public func serve(_ domain: DomainUUID, with profile: Profile) async throws(HypervisorError) {
        try await questions.run { [self] (xen) throws(HypervisorError) in
            let id = try find(domain, xen)
            try Self.translating(domain) { () throws(XenError) in try xen.setVirtualProcessors(of: id, to: profile.vcpus) }
            if let weights { try Self.translating(domain) { () throws(XenError) in try xen.setWeight(of: id, to: weights.serving) } }
        }
        try await setMemory(of: domain, to: profile.memory)
    }

    private func setMemory(of domain: DomainUUID, to memory: ByteCount) async throws(HypervisorError) {
        try await questions.run { [self] (xen) throws(HypervisorError) in
            let id = try find(domain, xen)
            try Self.translating(domain) { () throws(XenError) in try xen.setMemory(of: id, toKiB: UInt64(memory.kibibytes)) }
        }
    }

    public func pause(_ domain: DomainUUID) async throws(HypervisorError) {
        try await fast.run { [self] (xen) throws(HypervisorError) in
            let id = try find(domain, xen)
            try Self.translating(domain) { () throws(XenError) in try xen.pause(id) }
        }
    }

    public func unpause(_ domain: DomainUUID) async throws(HypervisorError) {
        try await fast.run { [self] (xen) throws(HypervisorError) in
            let id = try find(domain, xen)
            try Self.translating(domain) { () throws(XenError) in try xen.unpause(id) }
        }
    }

    public func destroy(_ domain: DomainUUID) async throws(HypervisorError) {
        // Of a domain that is ended while libxl gives it its devices, some of these would stay.
        await buildIsOver(domain)
        try await slow.run { [self] (xen) throws(HypervisorError) in
            guard let found = try lookUp(domain, xen) else { return }
            // The death of one that is already dying has been told, or is about to be.
            if !found.isDying { books.state.withLock { _ = $0.ending.insert(domain) } }
            do throws(HypervisorError) {
                try end(found.id, domain, xen)
            } catch {
                books.state.withLock { _ = $0.ending.remove(domain) }
                throw error
            }
        }
    }

    public func announce(_ identity: DesktopIdentity, to domain: DomainUUID) async throws(HypervisorError) {
        let id = try await questions.run { [self] (xen) throws(HypervisorError) in try find(domain, xen) }
        do throws(XenError) { try await guests.announce(identity, to: id) } catch { throw Self.translate(error, domain) }
    }

    public func settled(_ domain: DomainUUID, call: String) async throws {
        let id = try await questions.run { [self] (xen) throws(HypervisorError) in try find(domain, xen) }
        do {
            guard try await guests.settled(id, call: call) else { throw HypervisorError.noSuchDomain(domain) }
        } catch let error as XenError {
            throw Self.translate(error, domain)
        }
    }

    public func domains() async throws(HypervisorError) -> [RunningDomain] {
        try await questions.run { (xen) throws(HypervisorError) in
            try Self.translating { () throws(XenError) in
                var running: [RunningDomain] = []
                for domain in try xen.domains() where domain.id != .control {
                    running.append(RunningDomain(domain, name: try xen.name(of: domain.id) ?? ""))
                }
                return running
            }
        }
    }

    public func capacity() async throws(HypervisorError) -> HostCapacity {
        try await questions.run { (xen) throws(HypervisorError) in
            try Self.translating { () throws(XenError) in
                let capacity = try xen.capacity()
                let control = try xen.domain(.control)
                return HostCapacity(
                    totalMemory: .kibibytes(Int64(capacity.totalMemoryKiB)), freeMemory: .kibibytes(Int64(capacity.freeMemoryKiB)),
                    controlMemory: .kibibytes(Int64(control.memoryKiB)), processors: capacity.processors,
                    mark: "Xen \(capacity.version), Linux \(Self.kernelRelease)",
                    controlWorked: .nanoseconds(Int64(clamping: control.workedNanoseconds)))
            }
        }
    }

    /// Of dom0.
    private static var kernelRelease: String {
        var system = utsname()
        guard uname(&system) == 0 else { return "" }
        return withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    public func consoleTail(of name: String) async throws(HypervisorError) -> [String] { try await logs.lastLines(of: name) }

    public func removeConsole(of name: String) async throws(HypervisorError) { try await logs.remove(name) }

    public func consoles() async throws(HypervisorError) -> [String] { try await logs.names() }

    // MARK: - Building

    private func build(
        _ plan: DomainPlan, _ start: @escaping @Sendable (XenContext, XenDomainPlan) throws(XenError) -> DomainID
    ) async throws(HypervisorError) {
        for path in [plan.kernel, plan.ramdisk, plan.overlay, settings.portScript] where access(path, R_OK) != 0 {
            throw .missingFile(path: path)
        }
        let isTaken = books.state.withLock { books in
            if books.building[plan.uuid] != nil { return true }
            books.building[plan.uuid] = []
            return false
        }
        guard !isTaken else { throw .alreadyExists(name: plan.name) }
        defer {
            let waiting = books.state.withLock { $0.building.removeValue(forKey: plan.uuid) ?? [] }
            for continuation in waiting { continuation.resume() }
        }
        try await slow.run { [self] (xen) throws(HypervisorError) in
            guard try lookUp(plan.uuid, xen) == nil else { throw .alreadyExists(name: plan.name) }
            let xenPlan = XenDomainPlan(plan, settings: settings, weight: weights?.preparing)
            try admit(xenPlan, xen)
            try logs.beginAnew(plan.name)
            let id: DomainID
            do throws(XenError) {
                id = try start(xen, xenPlan)
            } catch {
                throw failure(of: plan, xenPlan, error, xen)
            }
            books.state.withLock { $0.known[plan.uuid] = id }
            do throws(XenError) {
                try watcher.watch(id, uuid: plan.uuid.bytes)
            } catch {
                // A domain whose death nobody hears must not be handed out.
                try? xen.destroy(id)
                throw Self.translate(error)
            }
        }
    }

    /// Returns when nobody builds this domain here, or does no more.
    private func buildIsOver(_ domain: DomainUUID) async {
        await withCheckedContinuation { continuation in
            let isBuilt = books.state.withLock { books in
                guard books.building[domain] != nil else { return false }
                books.building[domain]?.append(continuation)
                return true
            }
            if !isBuilt { continuation.resume() }
        }
    }

    /// Refuses what the hypervisor has no memory for, before anything is built.
    private func admit(_ plan: XenDomainPlan, _ xen: XenContext) throws(HypervisorError) {
        let (needed, free) = try Self.translating { () throws(XenError) in
            (try xen.neededMemoryKiB(plan), try xen.capacity().freeMemoryKiB)
        }
        guard free >= needed else { throw .outOfMemory(needed: .kibibytes(Int64(needed))) }
    }

    /// What a failed build is told as, once nothing of it is left.
    private func failure(of plan: DomainPlan, _ xenPlan: XenDomainPlan, _ error: XenError, _ xen: XenContext) -> HypervisorError {
        logger.error("domain not built", metadata: ["domain": "\(plan.name)", "error": "\(error)"])
        if let remnant = try? lookUp(plan.uuid, xen) {
            do {
                try end(remnant.id, plan.uuid, xen)
            } catch {
                logger.error("half-built domain not removed", metadata: ["domain": "\(plan.name)", "error": "\(error)"])
            }
        }
        if let needed = try? xen.neededMemoryKiB(xenPlan), let free = try? xen.capacity().freeMemoryKiB, free < needed {
            return .outOfMemory(needed: .kibibytes(Int64(needed)))
        }
        return Self.translate(error, plan.uuid)
    }

    // MARK: - Ending

    /// Destroys the domain and waits until the hypervisor has all of its memory back.
    private func end(_ id: DomainID, _ uuid: DomainUUID, _ xen: XenContext) throws(HypervisorError) {
        var failure: XenError?
        do throws(XenError) { try xen.destroy(id) } catch { failure = error }
        // The memory is freed as the backends let go of it, a moment after libxl is done. The hypervisor tells nobody but xenstored of
        // that last moment, so it is asked, on this thread of our own, until it is so.
        let deadline = ContinuousClock.now + .seconds(60)
        while let remnant = try lookUp(uuid, xen) {
            if let failure, !remnant.isDying, !failure.domainIsGone { throw Self.translate(failure, uuid) }
            guard ContinuousClock.now < deadline else {
                throw .failed(call: "libxl_domain_destroy", code: 0, detail: "domain \(uuid) still holds memory 60 s after its end")
            }
            usleep(5_000)
        }
        books.state.withLock { _ = $0.known.removeValue(forKey: uuid) }
    }

    // MARK: - Finding

    /// The domain's number. Gone, or on its way: `noSuchDomain`.
    private func find(_ uuid: DomainUUID, _ xen: XenContext) throws(HypervisorError) -> DomainID {
        guard let domain = try lookUp(uuid, xen), !domain.isDying else { throw .noSuchDomain(uuid) }
        return domain.id
    }

    private func lookUp(_ uuid: DomainUUID, _ xen: XenContext) throws(HypervisorError) -> XenDomain? {
        let bytes = uuid.bytes
        if let id = books.state.withLock({ $0.known[uuid] }), let domain = try? xen.domain(id), domain.uuid == bytes { return domain }
        let found = try Self.translating { () throws(XenError) in try xen.domains().first { $0.uuid == bytes } }
        books.state.withLock { $0.known[uuid] = found?.id }
        return found
    }

    // MARK: - Translating

    private static func translating<Answer>(
        _ domain: DomainUUID? = nil, _ body: () throws(XenError) -> Answer
    ) throws(HypervisorError) -> Answer {
        do throws(XenError) { return try body() } catch { throw translate(error, domain) }
    }

    private static func translate(_ error: XenError, _ domain: DomainUUID? = nil) -> HypervisorError {
        if let domain, error.domainIsGone { return .noSuchDomain(domain) }
        return .failed(call: error.call, code: Int(error.code), detail: ([error.name] + error.log).joined(separator: " | "))
    }

    /// What the event means to the broker; nil for what was asked for.
    private static func translate(_ event: XenEvent, _ books: SharedBooks) -> DomainEvent? {
        let uuid = DomainUUID(bytes: event.uuid)
        switch event.kind {
        case .death:
            let asked = books.state.withLock { books in
                books.known[uuid] = nil
                return books.ending.remove(uuid) != nil
            }
            return asked ? nil : DomainEvent(uuid: uuid, kind: .died)
        case .shutdown(.suspend):
            // It was saved.
            return nil
        case .shutdown(.crash), .shutdown(.watchdog): return DomainEvent(uuid: uuid, kind: .crashed)
        case .shutdown: return DomainEvent(uuid: uuid, kind: .shutDown)
        }
    }
}

extension RunningDomain {
    init(_ domain: XenDomain, name: String) {
        let activity: Activity =
            if domain.isDying { .dying } else if domain.shutdown != nil { .shutDown } else if domain.isPaused { .paused } else { .running }
        self.init(
            uuid: DomainUUID(bytes: domain.uuid), name: name, activity: activity, memory: .kibibytes(Int64(domain.memoryKiB)), vcpus: domain.virtualProcessors,
            worked: .nanoseconds(Int64(clamping: domain.workedNanoseconds)))
    }
}

extension XenDomainPlan {
    init(_ plan: DomainPlan, settings: XenDomainHost.Settings, weight: Int?) {
        self.init(
            name: plan.name, uuid: plan.uuid.bytes, kind: plan.boot == .pv ? .pv : .pvh, kernel: plan.kernel, ramdisk: plan.ramdisk,
            commandLine: plan.commandLine, virtualProcessors: plan.profile.vcpus, memoryKiB: UInt64(plan.profile.memory.kibibytes),
            firstMemoryKiB: UInt64(plan.memory.kibibytes), weight: weight,
            disk: Disk(path: plan.overlay, device: "xvda"),
            card: Card(mac: plan.mac.bytes, address: "\(plan.address)", bridge: settings.bridge, script: settings.portScript))
    }
}
