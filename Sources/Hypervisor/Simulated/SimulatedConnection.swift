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
            for (uuid, domain) in state.domains.sorted(by: { "\($0.key)" < "\($1.key)" }) where domain.activity == .shutDown {
                continuation.yield(DomainEvent(uuid: uuid, kind: .shutDown))
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

    /// Does one deed after its time has passed, unless a fault or the daemon's end comes between.
    private func act<Answer: Sendable>(
        _ call: String, takes time: ClosedRange<Int>, _ deed: @Sendable (inout SimulatedServer.State) -> Result<Answer, HypervisorError>
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
        // A deed that has begun is not broken off with the task that asked for it.
        await Task.detached { [clock = server.clock] in try? await clock.sleep(for: delay) }.value
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
        let (answer, deeds) = server.state.withLock { state -> (Result<Answer, HypervisorError>, [SimulatedServer.Deed]) in
            let answer = deed(&state)
            defer { state.deeds = [] }
            return (answer, state.deeds)
        }
        for deed in deeds { server.observer(deed) }
        await goOn()
        if fate == .lie { throw .failed(call: call, code: -3, detail: "it was done and was to fail") }
        return try answer.get()
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
        let server = server
        try await act("create", takes: 7_000_000...10_000_000) { state -> Result<Void, HypervisorError> in
            Self.build(plan, bootsWithin: 20_000...60_000, &state, server)
        }
    }

    public func restore(_ plan: DomainPlan, from save: String) async throws(HypervisorError) {
        let server = server
        try await act("restore", takes: 7_000_000...15_000_000) { state -> Result<Void, HypervisorError> in
            guard state.saves.contains(save) else { return .failure(.missingFile(path: save)) }
            return Self.build(plan, bootsWithin: 1_500...2_000, &state, server)
        }
    }

    public func save(_ domain: DomainUUID, to file: String) async throws(HypervisorError) {
        try await act("save", takes: 6_000_000...19_000_000) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain] else { return .failure(.noSuchDomain(domain)) }
            guard found.activity == .running else {
                return .failure(.failed(call: "save", code: -1, detail: "'\(found.name)' does not run"))
            }
            guard state.saves.insert(file).inserted else { return .failure(.alreadyExists(name: file)) }
            state.domains[domain]?.activity = .shutDown
            return .success(())
        }
    }

    /// A domain that is built is paused; its RDP answers so many milliseconds after it was first let run.
    private static func build(
        _ plan: DomainPlan, bootsWithin boot: ClosedRange<Int>, _ state: inout SimulatedServer.State, _ server: SimulatedServer
    ) -> Result<Void, HypervisorError> {
        guard state.domains[plan.uuid] == nil else { return .failure(.alreadyExists(name: plan.name)) }
        guard OverlayName(fileName: plan.overlay).map(state.overlays.contains) == true else {
            return .failure(.missingFile(path: plan.overlay))
        }
        let used = state.domains.values.reduce(server.controlMemory) { $0 + $1.memory }
        guard used + plan.profile.memory <= server.totalMemory else {
            state.deeds.append(.hadNoMemory(plan.uuid))
            return .failure(.outOfMemory(needed: plan.profile.memory))
        }
        let hangs = Double.random(in: 0..<1, using: &state.random) < state.faults.hangs
        state.domains[plan.uuid] = SimulatedServer.Domain(
            name: plan.name, overlay: plan.overlay, address: plan.address, memory: plan.profile.memory, activity: .paused,
            bootTime: .milliseconds(Int.random(in: boot, using: &state.random)), hangs: hangs)
        state.answersAt[plan.address] = plan.uuid
        state.deeds.append(.built(plan.uuid, overlay: plan.overlay))
        return .success(())
    }

    public func pause(_ domain: DomainUUID) async throws(HypervisorError) {
        try await act("pause", takes: 80...200) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain] else { return .failure(.noSuchDomain(domain)) }
            if found.activity == .running { state.domains[domain]?.activity = .paused }
            state.deeds.append(.paused(domain))
            return .success(())
        }
    }

    public func unpause(_ domain: DomainUUID) async throws(HypervisorError) {
        let clock = server.clock
        try await act("unpause", takes: 110...300) { state -> Result<Void, HypervisorError> in
            guard let found = state.domains[domain] else { return .failure(.noSuchDomain(domain)) }
            if found.activity == .paused {
                state.domains[domain]?.activity = .running
                state.domains[domain]?.runs += 1
                if found.answersFrom == nil, !found.hangs {
                    state.domains[domain]?.answersFrom = clock.now.offset + found.bootTime
                }
            }
            state.deeds.append(.letRun(domain))
            return .success(())
        }
    }

    public func destroy(_ domain: DomainUUID) async throws(HypervisorError) {
        try await act("destroy", takes: 300_000...2_000_000) { state -> Result<Void, HypervisorError> in
            if state.domains.removeValue(forKey: domain) != nil { state.deeds.append(.destroyed(domain)) }
            return .success(())
        }
    }

    public func domains() async throws(HypervisorError) -> [RunningDomain] {
        try await act("list", takes: 1_000...3_000) { state -> Result<[RunningDomain], HypervisorError> in
            .success(
                state.domains.map { RunningDomain(uuid: $0, name: $1.name, activity: $1.activity, memory: $1.memory) }.sorted {
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
                    processors: server.processors))
        }
    }

    // MARK: Disks

    public func layOverlay(of blank: String, for overlay: OverlayName) async throws(HypervisorError) -> String {
        try await act("copy", takes: 100_000...200_000) { state -> Result<String, HypervisorError> in
            guard state.overlays.insert(overlay).inserted else { return .failure(.alreadyExists(name: overlay.fileName)) }
            state.deeds.append(.laid(overlay))
            return .success(overlay.fileName)
        }
    }

    public func removeOverlay(_ overlay: OverlayName) async throws(HypervisorError) {
        try await act("unlink", takes: 1_000...10_000) { state -> Result<Void, HypervisorError> in
            if state.overlays.remove(overlay) != nil { state.deeds.append(.removed(overlay)) }
            return .success(())
        }
    }

    public func overlays() async throws(HypervisorError) -> [OverlayName] {
        try await act("readdir", takes: 1_000...2_000) { state in .success(state.overlays.sorted { $0.fileName < $1.fileName }) }
    }

    public func takeIn(
        _ image: ImageFiles, as name: String, version: Int, progress: @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(HypervisorError) -> StoredImage {
        throw .missingFile(path: image.disk)
    }

    public func removeImage(_ name: String, version: Int) async throws(HypervisorError) {}

    public func space() async throws(HypervisorError) -> DiskSpace {
        let disk = server.disk
        return try await act("statvfs", takes: 100...200) { _ in .success(disk) }
    }

    // MARK: Addresses

    public func prepare() async throws(HypervisorError) {
        try await act("network", takes: 1_000_000...3_000_000) { _ in .success(()) }
    }

    public func addresses(of place: Place) -> PlaceAddresses? { server.plan.addresses(of: place) }
    public var places: Int { server.plan.places }
}
