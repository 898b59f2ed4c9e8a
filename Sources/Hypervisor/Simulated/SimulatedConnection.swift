import DesktopModel
import Synchronization

/// One daemon's connection to a simulated server: what it can do to domains, disks and addresses.
///
/// When the daemon is killed its connection is cut: whatever it had asked for and was not done yet never happens, and nothing is answered
/// any more. Calls take as long, in the server's time, as they took on real Xen under emulation.
public final class SimulatedConnection: DomainHost, DiskStore, AddressBook {
    public let events: AsyncStream<DomainEvent>
    private let server: SimulatedServer
    private let watcher: UInt64
    private let isCut = Mutex(false)
    /// Told before and after each deed; where it answers true, the daemon has been killed at that moment.
    private let isKilled: @Sendable () -> Bool

    public init(to server: SimulatedServer, killedAt isKilled: @escaping @Sendable () -> Bool = { false }) {
        self.server = server
        self.isKilled = isKilled
        let (stream, continuation) = AsyncStream.makeStream(of: DomainEvent.self)
        events = stream
        watcher = server.state.withLock { state in
            let number = state.nextWatcher
            state.nextWatcher += 1
            state.watchers[number] = continuation
            for (uuid, domain) in state.domains.sorted(by: { "\($0.key)" < "\($1.key)" }) {
                let told = domain.activity == .dying ? .died : domain.end
                if let told { continuation.yield(DomainEvent(uuid: uuid, kind: told)) }
            }
            return number
        }
    }

    /// The daemon is gone.
    public func cut() {
        isCut.withLock { $0 = true }
        server.state.withLock { _ = $0.watchers.removeValue(forKey: watcher) }
    }

    private enum Fate { case done, failure, lie, silence }
    private typealias Deed<Answer> = @Sendable (inout SimulatedServer.State) -> Result<Answer, HypervisorError>

    /// Does one deed after its time has passed, unless a fault or the daemon's end comes between.
    ///
    /// What it begins with is seen by all from the first moment. Where it `endsAnyway`, its end needs no daemon any more.
    private func act<Answer: Sendable>(
        _ call: String, takes time: ClosedRange<Int>, beginsWith begin: Deed<Void>? = nil, endsAnyway: Bool = false,
        _ deed: @escaping Deed<Answer>
    ) async throws(HypervisorError) -> Answer {
        await goOn()
        let (delay, fate) = server.state.withLock { state -> (Duration, Fate) in
            let delay = Duration.microseconds(Int.random(in: time, using: &state.random))
            var drawn = Double.random(in: 0..<1, using: &state.random)
            for (part, fate) in [(state.faults.failures, Fate.failure), (state.faults.lies, .lie), (state.faults.silences, .silence)] {
                if drawn < part { return (delay, fate) }
                drawn -= part
            }
            return (delay, .done)
        }
        let isDone = fate == .done || fate == .lie
        if isDone, let begin { try carryOut(begin).get() }
        // A deed that has begun is not broken off with the task that asked for it.
        let passing = Task.detached { [self] () -> Result<Answer, HypervisorError>? in
            try? await server.clock.sleep(for: delay)
            return isDone && endsAnyway ? carryOut(deed) : nil
        }
        if begin != nil { await goOn() }
        let ended = await passing.value
        await goOn()
        switch fate {
        case .silence:
            // Longer than anybody waits.
            await Task.detached { [clock = server.clock] in try? await clock.sleep(for: .seconds(900)) }.value
            await goOn()
            throw .failed(call: call, code: -3, detail: "it did not answer")
        case .failure:
            throw .failed(call: call, code: -3, detail: "it was to fail")
        case .done, .lie:
            break
        }
        let answer = ended ?? carryOut(deed)
        await goOn()
        if fate == .lie { throw .failed(call: call, code: -3, detail: "it was done and was to fail") }
        return try answer.get()
    }

    private func carryOut<Answer>(_ deed: Deed<Answer>) -> Result<Answer, HypervisorError> {
        let (answer, deeds) = server.state.withLock { state -> (Result<Answer, HypervisorError>, [SimulatedServer.Deed]) in
            let answer = deed(&state)
            defer { state.deeds = [] }
            return (answer, state.deeds)
        }
        for deed in deeds { server.observer(deed) }
        return answer
    }

    /// Returns only while the daemon lives.
    private func goOn() async {
        if isKilled() { cut() }
        if isCut.withLock({ $0 }) { await Self.never() }
    }

    private static func never() async {
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
    }

    // MARK: Domains

    public func create(_ plan: DomainPlan) async throws(HypervisorError) {
        try await build("create", plan, takes: 7_000_000...10_000_000, bootsWithin: 20_000...60_000, from: nil)
    }

    public func restore(_ plan: DomainPlan, from save: String) async throws(HypervisorError) {
        try await build("restore", plan, takes: 7_000_000...15_000_000, bootsWithin: 1_500...2_000, from: save)
    }

    /// A domain that is being built is listed from the first moment and holds its memory. Whole, it is paused; its RDP answers so many
    /// milliseconds after it was first let run.
    private func build(
        _ call: String, _ plan: DomainPlan, takes time: ClosedRange<Int>, bootsWithin boot: ClosedRange<Int>, from save: String?
    ) async throws(HypervisorError) {
        let server = server
        let begin: Deed<Void> = { state in
            var domain = SimulatedServer.Domain(
                name: plan.name, overlay: plan.overlay, address: plan.address, memory: plan.memory, maximum: plan.profile.memory,
                vcpus: plan.profile.vcpus, activity: .paused)
            let needed: [(String?, SimulatedServer.File.Kind)] = [
                (save, .other), (plan.kernel, .kernel), (plan.ramdisk, .ramdisk), (plan.overlay, .disk),
            ]
            for case (let path?, let kind) in needed {
                guard let file = state.file(at: path, saidToBe: kind) else { return .failure(.missingFile(path: path)) }
                if path == save {
                    guard case .save(let saved) = file.kind else {
                        return .failure(.failed(call: call, code: -3, detail: "'\(path)' is no save"))
                    }
                    domain.hasRun = saved.hasRun
                    guard saved.memory <= plan.memory else {
                        return .failure(.failed(call: call, code: -3, detail: "'\(path)' holds \(saved.memory), more than \(plan.memory)"))
                    }
                } else if file.kind != kind {
                    return .failure(.failed(call: call, code: -3, detail: "'\(path)' is not what it should be"))
                }
            }
            guard state.domains[plan.uuid] == nil else { return .failure(.alreadyExists(name: plan.name)) }
            let used = state.domains.values.reduce(server.controlMemory) { $0 + $1.memory }
            guard used + plan.memory <= server.totalMemory else {
                state.deeds.append(.hadNoMemory(plan.uuid))
                return .failure(.outOfMemory(needed: plan.memory))
            }
            domain.mac = plan.mac
            domain.isBeingBuilt = true
            domain.hangs = Double.random(in: 0..<1, using: &state.random) < state.faults.hangs
            if Double.random(in: 0..<1, using: &state.random) < state.faults.stubbornness { domain.settlesNot = "it was to fail" }
            domain.bootTime = .milliseconds(Int.random(in: boot, using: &state.random))
            state.domains[plan.uuid] = domain
            state.answersAt[plan.address] = plan.uuid
            state.consoles[plan.name] = ""
            state.deeds.append(.built(plan.uuid, overlay: plan.overlay))
            if let save {
                let isOwn = SimulatedCheckpoint(save: save).map { state.files[plan.overlay]?.content == $0.mark } ?? true
                state.deeds.append(.restored(plan.uuid, overItsOwnDisk: isOwn))
            }
            return .success(())
        }
        try await act(call, takes: time, beginsWith: begin) { state -> Result<Void, HypervisorError> in
            guard let domain = state.domains[plan.uuid], domain.isBeingBuilt, domain.activity != .dying else {
                return .failure(.failed(call: call, code: -3, detail: "'\(plan.name)' was ended while it was built"))
            }
            state.domains[plan.uuid]?.isBeingBuilt = false
            return .success(())
        }
    }

    public func save(_ domain: DomainUUID, to file: String) async throws(HypervisorError) {
        let server = server
        let begin: Deed<Void> = { state in
            guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
            guard state.files[file] == nil else { return .failure(.alreadyExists(name: file)) }
            guard found.activity == .running else {
                return .failure(.failed(call: "save", code: -1, detail: "'\(found.name)' does not run"))
            }
            guard state.leftDisk() >= found.memory else { return .failure(.outOfDisk(path: file)) }
            state.domains[domain]?.become(.shutDown, at: server.clock.now.offset)
            state.files[file] = SimulatedServer.File(kind: .other, content: "half a save of \(domain)", size: found.memory)
            return .success(())
        }
        try await act("save", takes: 6_000_000...19_000_000, beginsWith: begin) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain], found.activity != .dying else {
                state.files[file] = nil
                return .failure(.failed(call: "save", code: -3, detail: "domain \(domain) was ended while it was saved"))
            }
            state.files[file] = SimulatedServer.File(kind: .save(of: found), content: "a save of \(domain)", size: found.memory)
            return .success(())
        }
    }

    public func shrink(_ domain: DomainUUID) async throws(HypervisorError) -> ByteCount {
        try await act("shrink", takes: 700_000...2_000_000) { state -> Result<ByteCount, HypervisorError> in
            guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
            // Whose guest takes no identity over has no package to say what it can spare either.
            guard found.activity == .running, found.takesOverFrom != nil else { return .success(found.memory) }
            let kept = ByteCount(rawValue: found.memory.rawValue * 3 / 8)
            state.domains[domain]?.memory = kept
            state.domains[domain]?.allowed = kept
            return .success(kept)
        }
    }

    public func serve(_ domain: DomainUUID, with profile: Profile) async throws(HypervisorError) {
        let server = server
        try await act("serve", takes: 2_000...20_000) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
            guard profile.memory <= found.maximum else {
                return .failure(.failed(call: "serve", code: -6, detail: "'\(found.name)' cannot hold more than \(found.maximum)"))
            }
            guard (1...found.maximumVCPUs).contains(profile.vcpus) else {
                return .failure(.failed(call: "serve", code: -6, detail: "'\(found.name)' has \(found.maximumVCPUs) virtual CPUs"))
            }
            state.domains[domain]?.allowed = profile.memory
            state.domains[domain]?.allowedVCPUs = profile.vcpus
            state.domains[domain]?.comesFirst = true
            state.takeAllowed(domain, on: server)
            return .success(())
        }
    }

    public func pause(_ domain: DomainUUID) async throws(HypervisorError) {
        let clock = server.clock
        try await act("pause", takes: 80...200) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
            if found.activity == .running { state.domains[domain]?.become(.paused, at: clock.now.offset) }
            state.deeds.append(.paused(domain))
            return .success(())
        }
    }

    public func unpause(_ domain: DomainUUID) async throws(HypervisorError) {
        let (clock, server) = (server.clock, server)
        try await act("unpause", takes: 110...300) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
            if found.activity == .paused {
                state.domains[domain]?.become(.running, at: clock.now.offset)
                state.takeAllowed(domain, on: server)
                state.domains[domain]?.runs += 1
                if found.answersFrom == nil {
                    state.consoles[found.name, default: ""] += "Linux boots\n" + (found.hangs ? "" : "Started the RDP server\n")
                }
                if let answers = found.answersFrom, server.wakeTime > .zero {
                    let wakes = server.wakeTime * Double.random(in: 0..<1, using: &state.random)
                    state.domains[domain]?.answersFrom = max(answers, clock.now.offset + wakes)
                }
                if found.answersFrom == nil, !found.hangs {
                    state.domains[domain]?.answersFrom = clock.now.offset + found.bootTime
                    // Its guest looks for its identity before RDP is served.
                    state.domains[domain]?.takesOverFrom = clock.now.offset + found.bootTime * 0.6
                }
            }
            state.deeds.append(.letRun(domain))
            return .success(())
        }
    }

    public func destroy(_ domain: DomainUUID) async throws(HypervisorError) {
        let (clock, watcher) = (server.clock, watcher)
        // What is dying dies, whatever becomes of the daemon; and others than this one are told.
        let begin: Deed<Void> = { state in
            guard let found = state.domains[domain], found.activity != .dying else { return .success(()) }
            state.domains[domain]?.become(.dying, at: clock.now.offset)
            state.tell(domain, .died, except: watcher)
            return .success(())
        }
        try await act("destroy", takes: 300_000...2_000_000, beginsWith: begin, endsAnyway: true) {
            state -> Result<Void, HypervisorError> in
            if state.domains.removeValue(forKey: domain) != nil { state.deeds.append(.destroyed(domain)) }
            return .success(())
        }
    }

    public func announce(_ identity: DesktopIdentity, to domain: DomainUUID) async throws(HypervisorError) {
        let clock = server.clock
        try await act("announce", takes: 2_000...8_000) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
            state.domains[domain]?.identity = identity
            state.domains[domain]?.isSettled = false
            if let from = found.takesOverFrom { state.domains[domain]?.takesOverFrom = max(from, clock.now.offset + .milliseconds(400)) }
            return .success(())
        }
    }

    public func settled(_ domain: DomainUUID, call: String) async throws {
        // What goes wrong with the call goes wrong once, however long it waits.
        try await act("settled", takes: 1_000...3_000) { _ -> Result<Void, HypervisorError> in .success(()) }
        let clock = server.clock
        while true {
            // How long until its guest may have taken it over; nil once it has.
            let left = carryOut { state -> Result<Duration?, HypervisorError> in
                guard let found = state.domains[domain], found.activity != .dying else { return .failure(.noSuchDomain(domain)) }
                guard found.identity?.call == call, found.activity == .running, let from = found.takesOverFrom else { return .success(.seconds(1)) }
                guard from <= clock.now.offset else { return .success(from - clock.now.offset) }
                if let reason = found.settlesNot { return .failure(.guestFailed(reason: reason)) }
                state.domains[domain]?.isSettled = true
                return .success(nil)
            }
            await goOn()
            guard let left = try left.get() else { return }
            try await clock.sleep(for: left)
            await goOn()
        }
    }

    public func domains() async throws(HypervisorError) -> [RunningDomain] {
        try await act("list", takes: 1_000...3_000) { state -> Result<[RunningDomain], HypervisorError> in
            .success(
                state.domains.map { RunningDomain(uuid: $0, name: $1.name, activity: $1.activity, memory: $1.memory, vcpus: $1.vcpus) }.sorted {
                    $0.name < $1.name
                })
        }
    }

    public func capacity() async throws(HypervisorError) -> HostCapacity {
        let server = server
        return try await act("capacity", takes: 1_000...3_000) { state -> Result<HostCapacity, HypervisorError> in
            let used = state.domains.values.reduce(server.controlMemory) { $0 + $1.memory }
            return .success(
                HostCapacity(
                    totalMemory: server.totalMemory, freeMemory: server.totalMemory - used, controlMemory: server.controlMemory,
                    processors: server.processors, mark: "twin"))
        }
    }

    // MARK: Consoles

    public func consoleTail(of name: String) async throws(HypervisorError) -> [String] {
        try await act("console", takes: 200...500) { state -> Result<[String], HypervisorError> in
            .success(ConsoleText.lines(of: state.consoles[name, default: ""].utf8))
        }
    }

    public func removeConsole(of name: String) async throws(HypervisorError) {
        try await act("unlink", takes: 100...200) { state -> Result<Void, HypervisorError> in
            state.consoles[name] = nil
            return .success(())
        }
    }

    public func consoles() async throws(HypervisorError) -> [String] {
        try await act("readdir", takes: 200...500) { state -> Result<[String], HypervisorError> in .success(state.consoles.keys.sorted()) }
    }

    // MARK: Disks

    public func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String {
        try await act("copy", takes: 100_000...200_000) { state -> Result<String, HypervisorError> in
            let path = overlay.fileName
            guard let file = state.file(at: blank, saidToBe: .disk) else { return .failure(.missingFile(path: blank)) }
            guard state.files[path] == nil else { return .failure(.alreadyExists(name: path)) }
            let size = ByteCount.kibibytes(196)
            guard state.leftDisk() >= size else { return .failure(.outOfDisk(path: path)) }
            state.files[path] = SimulatedServer.File(kind: .disk, content: file.content, size: size)
            state.deeds.append(.laid(overlay))
            return .success(path)
        }
    }

    public func removeOverlay(_ overlay: OverlayName) async throws(HypervisorError) {
        try await act("unlink", takes: 1_000...10_000) { state -> Result<Void, HypervisorError> in
            if state.files.removeValue(forKey: overlay.fileName) != nil { state.deeds.append(.removed(overlay)) }
            return .success(())
        }
    }

    public func overlays() async throws(HypervisorError) -> [OverlayName] {
        try await act("readdir", takes: 1_000...2_000) { state in
            .success(state.files.keys.sorted().compactMap { OverlayName(fileName: $0) })
        }
    }

    public func beginCheckpoint(_ id: CheckpointID) async throws(HypervisorError) -> String {
        let files = SimulatedCheckpoint(id)
        try await act("mkdir", takes: 1_000...10_000) { state -> Result<Void, HypervisorError> in
            for path in files.all { state.files[path] = nil }
            return .success(())
        }
        return files.memory
    }

    public func sealCheckpoint(_ id: CheckpointID, from overlay: OverlayName) async throws(HypervisorError) {
        let files = SimulatedCheckpoint(id)
        try await act("seal", takes: 1_000_000...3_000_000) { state -> Result<Void, HypervisorError> in
            guard state.files[files.memory] != nil else { return .failure(.missingFile(path: files.memory)) }
            guard let disk = state.files.removeValue(forKey: overlay.fileName) else { return .failure(.missingFile(path: overlay.fileName)) }
            state.files[files.disk] = disk
            state.files[files.blank] = SimulatedServer.File(kind: .disk, content: files.mark, size: .kibibytes(196))
            state.sealed[id] = files.all.compactMap { state.files[$0]?.content }
            state.deeds.append(.sealed(id, overlay))
            return .success(())
        }
    }

    public func layOverlay(over checkpoint: CheckpointID, for overlay: OverlayName) async throws(HypervisorError) -> String {
        let files = SimulatedCheckpoint(checkpoint)
        return try await act("copy", takes: 100_000...200_000) { state -> Result<String, HypervisorError> in
            let path = overlay.fileName
            let sealed = state.sealed[checkpoint] ?? files.all
            for (path, content) in zip(files.all, sealed) where state.files[path]?.content != content {
                return .failure(.spoiltCheckpoint(path: path))
            }
            guard state.files[path] == nil else { return .failure(.alreadyExists(name: path)) }
            let size = ByteCount.kibibytes(196)
            guard state.leftDisk() >= size else { return .failure(.outOfDisk(path: path)) }
            state.files[path] = SimulatedServer.File(kind: .disk, content: files.mark, size: size)
            state.deeds.append(.laid(overlay))
            return .success(path)
        }
    }

    public func memory(of checkpoint: CheckpointID) -> String { SimulatedCheckpoint(checkpoint).memory }

    public func removeCheckpoint(_ id: CheckpointID) async throws(HypervisorError) {
        let files = SimulatedCheckpoint(id)
        try await act("unlink", takes: 1_000...10_000) { state -> Result<Void, HypervisorError> in
            for path in files.all { state.files[path] = nil }
            state.sealed[id] = nil
            state.deeds.append(.dropped(id))
            return .success(())
        }
    }

    public func checkpoints() async throws(HypervisorError) -> [CheckpointID] {
        try await act("readdir", takes: 1_000...2_000) { state in
            .success(Set(state.files.keys.compactMap { SimulatedCheckpoint(file: $0)?.id }).sorted())
        }
    }

    public func takeIn(
        _ image: ImageFiles, as name: String, version: Int, progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> StoredImage {
        let stored = try SimulatedImage(name, version)
        let (answer, total) = try await act("copy", takes: 20_000_000...60_000_000) {
            state -> Result<(StoredImage, ByteCount), HypervisorError> in
            stored.takeIn(image, &state)
        }
        progress(total, total)
        return answer
    }

    public func removeImage(_ name: String, version: Int) async throws(HypervisorError) {
        let stored = try SimulatedImage(name, version)
        try await act("unlink", takes: 1_000...10_000) { state -> Result<Void, HypervisorError> in
            for path in stored.all { state.files[path] = nil }
            return .success(())
        }
    }

    public func space() async throws(HypervisorError) -> DiskSpace {
        let total = server.disk.total
        return try await act("statvfs", takes: 100...200) { state in
            let overlays = state.files.filter { OverlayName(fileName: $0.key) != nil }.values.reduce(.zero) { $0 + $1.size }
            return .success(DiskSpace(total: total, free: state.leftDisk(), overlays: overlays))
        }
    }

    // MARK: Addresses

    public func prepare() async throws(HypervisorError) {
        try await act("network", takes: 1_000_000...3_000_000) { _ in .success(()) }
    }

    public var leadsToInternet: Bool { server.leadsToInternet }

    public func openInternet(to places: Set<Place>) async throws(HypervisorError) {
        let online = leadsToInternet ? Set(places.compactMap { addresses(of: $0)?.address }) : []
        try await act("nft", takes: 10_000...40_000) { state in
            state.online = online
            return .success(())
        }
    }

    public func addresses(of place: Place) -> PlaceAddresses? { server.plan.addresses(of: place) }
    public var places: Int { server.plan.places }
}
