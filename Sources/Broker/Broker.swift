import DesktopModel
import DesktopStore
import Hypervisor
import Identity
import Logging
import Relay
import ServiceLifecycle

/// The room's one keeper: delivers events to it in order, has its effects carried out, and tells those who wait.
///
/// Long-lived: `run()` reconciles what the store says with what Xen has, and goes on until it is cancelled or shut down. Domains, links and
/// leases outlive it; its successor adopts them.
public actor Broker: Service {
    let store: DesktopStore
    let host: any DomainHost
    let disks: any DiskStore
    let network: any AddressBook
    let logger: Logger

    private(set) var room: Room
    private enum Phase { case starting, serving, stopped }
    private var phase = Phase.starting
    /// Who waits until what was found at the start has been adopted.
    private var early: [CheckedContinuation<Void, Never>] = []
    /// Whether what there is at the start is being read. What happens meanwhile may not be in it, and is delivered after it.
    private var isReading = false
    private var meanwhile: [RoomEvent] = []
    /// Whether seats and administrators are served.
    var isServing: Bool { phase == .serving }
    /// What is wrong with the whole server, by what found it.
    private(set) var troubles: [String: Sentence] = [:]

    private(set) var relayFigures = RelayFigures()
    private var work = ServerWork()
    private(set) var load: ServerLoad?
    private var isLoadLookedAt = false
    /// The calendar's seconds when the clock began, as they were last looked at.
    var clockBegan = 0.0

    private let clock: BrokerClock
    private var recorder: Recorder!
    private var keeper: PoolKeeper!
    private var consoles: ConsoleKeeper!
    /// Ends links at the relay; set by the wiring, since the relay's desk needs the broker first.
    private var closeLinks: @Sendable (SessionID) async -> Void = { _ in }

    /// Whether the desktops' network stood since this start: no desktop is begun before.
    private var isNetworkPrepared = false
    private var isNetworkLookedAfter = false
    /// Whether somebody sees to it that the internet is open to whom it is to be, and whether it may not be.
    private var isInternetLookedAfter = false
    private var mayInternetBeOtherwise = false
    private var awaitingInternet: [CheckedContinuation<Void, Never>] = []

    private var timer: (at: Instant, task: Task<Void, Never>)?
    private var nextClaim: UInt64 = 1
    private var claims: [ClaimID: CheckedContinuation<Result<Lent, BrokerError>, Never>] = [:]
    private var streams: [SeatID: (number: UInt64, continuation: AsyncStream<SeatEvent>.Continuation)] = [:]
    private var nextStream: UInt64 = 1
    /// Who is told that the room has changed.
    private var watchers: [UInt64: AsyncStream<Void>.Continuation] = [:]
    private var conditions: [(id: UInt64, holds: @Sendable (borrowing Room) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []

    private let serving: Serving
    private let identities: Identities
    private let readiness: Readiness

    /// - Parameters:
    ///   - addresses: The rule that `network` hands out addresses by.
    ///   - identities: How what makes each generation of a desktop itself is drawn.
    ///   - readiness: How a booting desktop is asked whether it is one.
    public init(
        store: DesktopStore, host: any DomainHost, disks: any DiskStore, network: any AddressBook, addresses: AddressPlan,
        settings: BrokerSettings = BrokerSettings(), identities: Identities = .random, readiness: Readiness = .overRDP,
        clock: BrokerClock = BrokerClock(), logger: Logger
    ) {
        self.identities = identities
        self.readiness = readiness
        self.store = store
        self.host = host
        self.disks = disks
        self.network = network
        self.logger = logger
        self.clock = clock
        serving = Serving(pauses: settings.retryPauses, clock: clock, logger: logger) { [host] domain, profile throws(HypervisorError) in
            try await host.serve(domain, with: profile)
        }
        room = Room(
            installation: store.installation, settings: settings, addresses: addresses, leadsToInternet: network.leadsToInternet,
            now: Instant(sinceStart: .zero))
    }

    /// Names who ends links at the relay. Before `run()`.
    public func useRelay(closingLinks: @escaping @Sendable (SessionID) async -> Void) {
        closeLinks = closingLinks
    }

    public func run() async throws {
        recorder = Recorder(store: store, clock: clock) { [weak self] in await self?.deliver($0) }
        keeper = PoolKeeper(host: host, disks: disks, identities: identities, readiness: readiness, clock: clock) { [weak self] in
            await self?.deliver($0)
        }
        consoles = ConsoleKeeper(host: host, deadline: room.settings.consoleDeadline, clock: clock, logger: logger) { [weak self] in
            await self?.deliver($0)
        }
        try await begin()
        for await event in host.events.cancelOnGracefulShutdown() { deliver(.domainEnded(event.uuid, event.kind)) }
        await stop()
    }

    private func begin() async throws {
        isReading = true
        let stored = try await store.room()
        let seats = try await store.seats()
        let domains = try await answered("Xen's list of domains") { [host] in try await host.domains() }
        let overlays = try await answered("the list of overlays") { [disks] in try await disks.overlays() }
        let checkpoints = try await answered("the list of checkpoints") { [disks] in try await disks.checkpoints() }
        let names = await consoles.names()
        isReading = false
        deliver(
            .began(
                Snapshot(
                    stored: stored,
                    seats: Dictionary(uniqueKeysWithValues: seats.map { ($0.id, RoomSeat($0)) }),
                    domains: domains, overlays: overlays, consoles: names, checkpoints: checkpoints)))
        phase = .serving
        for event in meanwhile { deliver(event) }
        meanwhile = []
        for waiting in early { waiting.resume() }
        early = []
        logger.notice(
            "room adopted",
            metadata: [
                "desktops": "\(room.desktops.count)", "sessions": "\(room.sessions.count)", "labs": "\(room.labs.count)",
                "domains": "\(domains.count)",
            ])
    }

    /// Asks what the start depends on. Where no answer comes in time the start fails, so that systemd makes another one.
    private func answered<Answer: Sendable>(_ what: String, _ ask: @escaping @Sendable () async throws -> Answer) async throws -> Answer {
        let (answers, continuation) = AsyncThrowingStream.makeStream(of: Answer.self)
        Task {
            do {
                continuation.yield(try await ask())
            } catch {
                continuation.finish(throwing: error)
            }
        }
        let deadline = room.settings.measureDeadline
        let timer = Task { [clock] in
            try await clock.sleep(for: deadline)
            continuation.finish(throwing: BrokerError.hypervisor(Refused.notInTime(what, deadline)))
        }
        defer { timer.cancel() }
        for try await answer in answers { return answer }
        throw CancellationError()
    }

    /// Breaks off what waits. What was decided is still written; domains, links and leases stay.
    private func stop() async {
        phase = .stopped
        serving.end()
        timer?.task.cancel()
        timer = nil
        await keeper.stop()
        for (_, stream) in streams { stream.continuation.finish() }
        streams = [:]
        for (_, watcher) in watchers { watcher.finish() }
        watchers = [:]
        for (_, claim) in claims { claim.resume(returning: .failure(.unavailable)) }
        claims = [:]
        for condition in conditions { condition.continuation.resume() }
        conditions = []
        await recordsWritten()
    }

    /// Waits until the room is what was found, so that nobody is judged by an empty one.
    public func adopted() async {
        guard phase == .starting else { return }
        await withCheckedContinuation { early.append($0) }
    }

    var now: Instant { Instant(sinceStart: clock.sinceStart) }

    // MARK: Events and effects

    /// Takes an event in, has carried out what follows, and looks who waited for it.
    func deliver(_ event: RoomEvent) {
        guard !isReading else { return meanwhile.append(event) }
        for effect in room.take(event, at: now) { carryOut(effect) }
        setTimer()
        tellOfChange()
        let met = conditions.filter { $0.holds(room) }
        guard !met.isEmpty else { return }
        conditions.removeAll { condition in met.contains { $0.id == condition.id } }
        for condition in met { condition.continuation.resume() }
    }

    private func carryOut(_ effect: RoomEffect) {
        switch effect {
        case .record(let changes, let milestone):
            enqueue { [recorder] in await recorder?.add(changes, milestone) }
        case .measure(let number):
            Task { deliver(await measure(number)) }
        case .step(let desktop, let generation, let step):
            enqueue { [keeper] in await keeper?.begin(step, of: desktop, generation) }
        case .endAiring(let desktop):
            enqueue { [keeper] in await keeper?.endAiring(of: desktop) }
        case .readConsole(let desktop, let generation, let name):
            enqueue { [consoles] in await consoles?.read(name, of: desktop, generation) }
        case .dropConsole(let name):
            enqueue { [consoles] in await consoles?.drop(name) }
        case .unpause(let session, let domain):
            Task { deliver(await unpause(session, domain)) }
        case .serve(let domain, let profile): serving.give(profile, to: domain)
        case .openInternet:
            mayInternetBeOtherwise = true
            Task { await openInternet() }
        case .answer(let claim, let answer):
            claims.removeValue(forKey: claim)?.resume(returning: answer)
        case .tell(let seat, let event):
            streams[seat]?.continuation.yield(event)
        case .closeLinks(let session):
            Task { [closeLinks] in await closeLinks(session) }
        case .destroyStray(let domain):
            Task { await destroyStray(domain) }
        case .removeStray(let overlay):
            Task { await removeStray(overlay) }
        case .removeCheckpoint(let checkpoint):
            Task { await removeCheckpoint(checkpoint) }
        case .notice(let message, let facts):
            logger.notice("\(message)", metadata: facts.mapValues { "\($0)" })
        }
    }

    /// What must reach another actor in the order in which it was decided.
    private var queue: [@Sendable () async -> Void] = []
    private var isDraining = false

    private func enqueue(_ work: @escaping @Sendable () async -> Void) {
        queue.append(work)
        guard !isDraining else { return }
        isDraining = true
        Task {
            while !queue.isEmpty {
                let batch = queue
                queue = []
                for work in batch { await work() }
            }
            isDraining = false
        }
    }

    /// Waits until all that was decided so far has been written, or has failed to be.
    func recordsWritten() async {
        await withCheckedContinuation { continuation in
            enqueue { [recorder] in
                Task {
                    await recorder?.settled()
                    continuation.resume()
                }
            }
        }
    }

    private func setTimer() {
        guard let deadline = room.nextDeadline, phase != .stopped else { return }
        if let timer, timer.at <= deadline { return }
        timer?.task.cancel()
        timer = (
            deadline,
            Task { [clock] in
                guard (try? await clock.sleep(until: deadline.sinceStart)) != nil else { return }
                self.timer = nil
                deliver(.timePassed)
            }
        )
    }

    private func measure(_ number: UInt64) async -> RoomEvent {
        if !isNetworkPrepared {
            await prepareNetwork()
            if let trouble = troubles["network"] { return .notMeasured(number, cause: trouble) }
        } else if room.desktops.values.contains(where: { $0.failure != nil }) {
            // What goes on failing may fail for want of the network.
            lookAfterNetwork()
        }
        do {
            let measurement = ServerMeasurement(host: try await host.capacity(), domains: try await host.domains(), disk: try await disks.space())
            troubles["server"] = nil
            return .measured(number, measurement)
        } catch {
            troubles["server"] = Sentence(error)
            return .notMeasured(number, cause: Sentence(error))
        }
    }

    /// What the server's processors have worked since the daemon began, as far as it was looked at; nil where the server does not tell it now.
    func serverWork() async -> ServerWork? {
        do {
            let (capacity, domains) = try await answered("what the processors work") { [host] in
                (try await host.capacity(), try await host.domains())
            }
            work.look(capacity, domains, of: room.installation)
            return work
        } catch {
            return nil
        }
    }

    private func prepareNetwork() async {
        do {
            try await network.prepare()
            isNetworkPrepared = true
            troubles["network"] = nil
            // Its rules may have been gone, and with them to whom the internet was open.
            Task { await openInternet() }
        } catch {
            troubles["network"] = Cause.noNetwork(Sentence(error))
        }
    }

    /// Sees to a network that stood, for as long as it takes, while desktops are made on it: whoever answers for it may be slow, or away.
    private func lookAfterNetwork() {
        guard !isNetworkLookedAfter else { return }
        isNetworkLookedAfter = true
        Task {
            await prepareNetwork()
            while troubles["network"] != nil, phase != .stopped, (try? await clock.sleep(for: room.settings.refillPause)) != nil {
                await prepareNetwork()
            }
            isNetworkLookedAfter = false
        }
    }

    /// Has the internet open to whom the room says, and to nobody where it does not say; tries until that is so.
    private func openInternet() async {
        mayInternetBeOtherwise = true
        guard !isInternetLookedAfter else { return }
        isInternetLookedAfter = true
        defer {
            isInternetLookedAfter = false
            internetWasTried()
        }
        while mayInternetBeOtherwise, phase != .stopped, let places = room.online {
            mayInternetBeOtherwise = false
            do {
                try await network.openInternet(to: places)
                troubles["internet"] = nil
            } catch {
                mayInternetBeOtherwise = true
                troubles["internet"] = Cause.noInternetChange(Sentence(error))
                logger.warning("to whom the internet is open could not be set", metadata: ["cause": "\(error)"])
                internetWasTried()
                guard (try? await clock.sleep(for: room.settings.refillPause)) != nil else { return }
            }
        }
    }

    /// Returns when the internet is open to whom the room says now, or could not be opened: then that is among the troubles, and is tried again.
    /// Waits for a refill's pause at most.
    func internetIsTried() async {
        guard mayInternetBeOtherwise || isInternetLookedAfter, phase != .stopped else { return }
        let limit = Task { [clock, pause = room.settings.refillPause] in
            guard (try? await clock.sleep(for: pause)) != nil else { return }
            internetWasTried()
        }
        defer { limit.cancel() }
        await withCheckedContinuation { awaitingInternet.append($0) }
    }

    private func internetWasTried() {
        for waiting in awaitingInternet { waiting.resume() }
        awaitingInternet = []
    }

    private func unpause(_ session: SessionID, _ domain: DomainUUID) async -> RoomEvent {
        do {
            try await host.unpause(domain)
            return .unpaused(session)
        } catch {
            return .notUnpaused(session, cause: Sentence(error))
        }
    }

    private func destroyStray(_ domain: DomainUUID) async {
        await clear("domain \(domain)") { [host] in try await host.destroy(domain) }
    }

    private func removeStray(_ overlay: OverlayName) async {
        await clear("overlay \(overlay)") { [disks] in try await disks.removeOverlay(overlay) }
    }

    private func removeCheckpoint(_ checkpoint: CheckpointID) async {
        await clear("checkpoint \(checkpoint)") { [disks] in try await disks.removeCheckpoint(checkpoint) }
    }

    /// Clears away what belongs to no desktop, however often it must be tried; the pauses grow.
    private func clear(_ what: String, _ attempt: @Sendable () async throws -> Void) async {
        var pauses = room.settings.retryPauses[...]
        while phase != .stopped {
            do {
                try await attempt()
                troubles[what] = nil
                return logger.notice("a stray is cleared away", metadata: ["what": "\(what)"])
            } catch {
                troubles[what] = Cause.stray(what, Sentence(error))
                logger.warning("a stray cannot be cleared away", metadata: ["what": "\(what)", "cause": "\(error)"])
            }
            let pause = pauses.count > 1 ? pauses.removeFirst() : pauses.first ?? .seconds(300)
            guard (try? await clock.sleep(for: pause)) != nil else { return }
        }
    }

    // MARK: Those who wait

    /// Takes a seat's claim in and waits for what comes of it; the wait ends when the task is cancelled, the decision stands.
    func claim(_ seat: SeatID, bootID: String, from address: String, ticket: TicketHash) async -> Result<Lent, BrokerError> {
        guard isServing else { return .failure(.unavailable) }
        let id = ClaimID(rawValue: nextClaim)
        nextClaim += 1
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                claims[id] = continuation
                deliver(.claim(Claim(id: id, seat: seat, bootID: bootID, address: address, ticket: ticket)))
            }
        } onCancel: {
            Task { await self.abandon(id) }
        }
    }

    private func abandon(_ id: ClaimID) {
        guard let continuation = claims.removeValue(forKey: id) else { return }
        deliver(.claimAbandoned(id))
        continuation.resume(returning: .failure(.unavailable))
    }

    /// Something for each change of the room; what comes while the last was not read yet counts as one.
    func changes() -> AsyncStream<Void> {
        let number = nextStream
        nextStream += 1
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        guard phase != .stopped else {
            continuation.finish()
            return stream
        }
        watchers[number] = continuation
        lookAtLoad()
        continuation.onTermination = { [weak self] _ in Task { await self?.forgetWatcher(number) } }
        return stream
    }

    /// Looks every few seconds how busy the processors are, as long as somebody watches the room: Xen counts what they work and tells nobody of it.
    private func lookAtLoad() {
        guard !isLoadLookedAt else { return }
        isLoadLookedAt = true
        Task {
            var before: (at: Duration, whole: Duration)?
            while isServing, !watchers.isEmpty {
                let work = await serverWork(), now = clock.sinceStart
                let former = load
                load = work.flatMap { work in
                    before.map {
                        ServerLoad(processors: work.processors, share: (work.whole - $0.whole) / ((now - $0.at) * max(1, work.processors)))
                    }
                }
                if load?.twentieths != former?.twentieths { tellOfChange() }
                let isFirst = before == nil
                before = work.map { (now, $0.whole) }
                guard (try? await clock.sleep(for: isFirst ? .seconds(1) : .seconds(5))) != nil else { break }
            }
            load = nil
            isLoadLookedAt = false
        }
    }

    private func forgetWatcher(_ number: UInt64) { watchers[number] = nil }

    func tellOfChange() {
        for watcher in watchers.values { watcher.yield() }
    }

    /// Opens a seat's stream; an older one of the same seat ends. The seat is present while one is open.
    func stream(of seat: SeatID) -> AsyncStream<SeatEvent> {
        let number = nextStream
        nextStream += 1
        streams[seat]?.continuation.finish()
        let (stream, continuation) = AsyncStream.makeStream(of: SeatEvent.self, bufferingPolicy: .bufferingNewest(16))
        guard isServing else {
            continuation.finish()
            return stream
        }
        streams[seat] = (number, continuation)
        continuation.onTermination = { [weak self] _ in
            Task { await self?.streamEnded(of: seat, number) }
        }
        deliver(.seatPresent(seat))
        return stream
    }

    /// Has a seat do something; false where its stream is not open.
    func order(_ order: SeatOrder, to seat: SeatID) -> Bool {
        guard let stream = streams[seat] else { return false }
        stream.continuation.yield(.order(order))
        return true
    }

    /// A seat that was to be removed is still there.
    func keep(_ id: SeatID, _ seat: RoomSeat) {
        deliver(.seatChanged(id, seat))
        if streams[id] != nil { deliver(.seatPresent(id)) }
    }

    /// A seat belongs to another lab, or is blocked or not: its session ends, if it must.
    func change(_ id: SeatID, to seat: RoomSeat, endingSession: Bool) {
        deliver(.seatChanged(id, seat))
        if endingSession, let open = room.sessions.session(of: id) { deliver(.end(open.session.id, .administrator)) }
    }

    private func streamEnded(of seat: SeatID, _ number: UInt64) {
        guard streams[seat]?.number == number else { return }
        streams[seat] = nil
        deliver(.seatAbsent(seat))
    }

    /// Waits until the room is so.
    func wait(until holds: @escaping @Sendable (borrowing Room) -> Bool) async {
        guard !holds(room) else { return }
        let id = nextClaim
        nextClaim += 1
        await withTaskCancellationHandler {
            await withCheckedContinuation { conditions.append((id, holds, $0)) }
        } onCancel: {
            Task { await self.stopWaiting(id) }
        }
    }

    private func stopWaiting(_ id: UInt64) {
        guard let index = conditions.firstIndex(where: { $0.id == id }) else { return }
        conditions.remove(at: index).continuation.resume()
    }
}

/// What the relay asks: which ticket is good, and for which desktop.
extension Broker: TicketDesk {
    public func admit(ticket: [UInt8], from address: String, link: LinkID) async -> Admission {
        await adopted()
        let admission = admission(ticket, from: address)
        if case .refused = admission { relayFigures.refused += 1 }
        return admission
    }

    private func admission(_ ticket: [UInt8], from address: String) -> Admission {
        let hash = TicketHash(bytes: ticket)
        guard let open = room.sessions.session(with: hash), open.phase == .handedOut,
            open.session.address == address, let desktop = room.desktops[open.session.desktop],
            let place = room.addresses.addresses(of: desktop.place)
        else { return .refused }
        return .admitted(session: open.session.id.rawValue, host: place.address.description, port: Readiness.port)
    }

    public func linkOpened(_ link: LinkID, session: Int64) async {
        await adopted()
        relayFigures.opened += 1
        deliver(.linkOpened(SessionID(rawValue: session), link.rawValue))
    }

    public func linkClosed(_ link: LinkID, session: Int64, cause: LinkEnd, carried: LinkBytes) async {
        await adopted()
        relayFigures.bytesFromSeats += carried.fromSeat
        relayFigures.bytesToSeats += carried.toSeat
        logger.info("link closed", metadata: ["session": "\(session)", "link": "\(link)", "cause": "\(cause)"])
        deliver(.linkClosed(SessionID(rawValue: session), link.rawValue))
    }

    public func linksAre(_ open: [OpenLink]) async {
        await adopted()
        deliver(
            .linksAre(
                open.reduce(into: [:]) { $0[SessionID(rawValue: $1.session), default: []].insert($1.link.rawValue) }))
    }
}
