import Glibc
import Logging
import NIOCore
import NIOPosix
import Relay
import Synchronization

/// All connections behind the door, from their first byte to their end.
///
/// Confined to one event loop, but for the gate and the book of incidents, which the accepting thread uses too. A session has one link: the
/// link that is admitted later takes the place of the one before, which is closed first.
final class LinkTable: DeskLine.Owner {
    private let loop: any EventLoop
    private let limits: DoorLimits
    private let gate: SharedGate
    private let book: IncidentBook
    private let line: DeskLine
    private let logger: Logger
    private var links: [LinkID: Link] = [:]
    private var bySession: [Int64: Link] = [:]
    /// When each session was admitted last, those of the last moments at least.
    private var admissions: [Int64: NIODeadline] = [:]
    /// Who has not sent a first packet, in the order in which they came; those at its end that have since are among them.
    private var silent = CircularBuffer<LinkID>()
    private var nextID: UInt64
    private var isStopping = false

    init(loop: any EventLoop, limits: DoorLimits, gate: SharedGate, book: IncidentBook, deskSocket: String, logger: Logger) {
        self.loop = loop
        self.limits = limits
        self.gate = gate
        self.book = book
        self.logger = logger
        line = DeskLine(path: deskSocket, loop: loop, logger: logger)
        nextID = UInt64(UInt32.random(in: .min ... .max)) << 32
        line.owner = self
    }

    func start() { line.open() }

    /// Ends every link, says so to punnetd, and ends the connection to it.
    func stop() -> EventLoopFuture<Void> {
        isStopping = true
        for link in Array(links.values) { close(link, .relayStopped) }
        return line.close()
    }

    // MARK: A seat's connection

    /// Takes in a connection that the gate has let enter. On the event loop, before the channel is active.
    func take(_ seat: any Channel, from source: SourceAddress) throws {
        nextID += 1
        let link = Link(id: LinkID(rawValue: nextID), source: source, seat: seat)
        guard !isStopping else {
            gate.leave(from: source, waiting: true)
            return seat.close(promise: nil)
        }
        links[link.id] = link
        do {
            try seat.setLinkOptions(limits)
            try seat.pipeline.syncOperations.addHandler(
                RequestReader { [weak self, weak link] outcome in
                    if let self, let link { self.read(outcome, of: link) }
                })
        } catch {
            turnAway(link, .truncated)
            throw error
        }
        setDeadline(of: link, in: limits.requestTime) { $0.turnAway($1, .slow) }
        while let first = silent.first, !isSilent(first) { silent.removeFirst() }
        silent.append(link.id)
        // The handlers hear of the end of a channel that was active; this hears of every end.
        seat.closeFuture.assumeIsolated().whenComplete { [weak self, weak link] _ in
            if let self, let link { self.read(.ended, of: link) }
        }
        makeRoom(for: link)
    }

    private func isSilent(_ id: LinkID) -> Bool {
        if case .reading? = links[id]?.stage { true } else { false }
    }

    /// Where too many wait, those that have been silent the longest leave: a seat says at once what it wants.
    private func makeRoom(for newcomer: Link) {
        while gate.isCrowded, let first = silent.first, first != newcomer.id {
            silent.removeFirst()
            if let link = links[first], case .reading = link.stage { turnAway(link, .crowdedOut) }
        }
    }

    private func read(_ outcome: RequestReader.Outcome, of link: Link) {
        switch (outcome, link.stage) {
        case (.request(let request, let bytes), .reading):
            link.stage = .asking(request: bytes)
            setDeadline(of: link, in: limits.answerTime) { $0.turnAway($1, .deskAway) }
            line.ask(link.id, ticket: request.ticket.hash, from: link.source.text)
        case (.malformed(let fault), .reading), (.malformed(let fault), .asking): turnAway(link, .garbage, detail: fault.rawValue)
        case (.ended, .reading), (.ended, .asking): turnAway(link, .truncated)
        case (.malformed(let fault), .connecting):
            hold(.garbage, against: link, detail: fault.rawValue)
            close(link, .seatClosed)
        case (.ended, .connecting): close(link, .seatClosed)
        case (.request, _), (_, .open), (_, .over): break
        }
    }

    // MARK: punnetd

    var openLinks: [OpenLink] {
        links.values.compactMap { link in
            guard case .open(let session, let since) = link.stage else { return nil }
            return OpenLink(link: link.id, session: session, since: since)
        }
    }

    func deskAnswered(_ id: LinkID, with admission: Admission) {
        guard let link = links[id], case .asking(let request) = link.stage else {
            if case .admitted(let session, _, _) = admission {
                line.tell(.closed(link: id, session: session, cause: .seatClosed, bytesFromSeat: 0, bytesToSeat: 0))
            }
            return
        }
        switch admission {
        case .refused: turnAway(link, .refused)
        case .admitted(let session, let host, let port):
            if let before = bySession[session] { close(before, .replaced) }
            guard gate.admit(from: link.source) else {
                line.tell(.closed(link: id, session: session, cause: .seatClosed, bytesFromSeat: 0, bytesToSeat: 0))
                return turnAway(link, .full)
            }
            noteAdmission(link, to: session)
            link.stage = .connecting(session: session)
            bySession[session] = link
            connect(link, host: host, port: port, request: request)
        }
    }

    func deskClosesLinks(of session: Int64) {
        if let link = bySession[session] { close(link, .sessionEnded) }
    }

    // MARK: The desktop

    private func connect(_ link: Link, host: String, port: UInt16, request: ByteBuffer) {
        let address: SocketAddress
        do {
            address = try SocketAddress(ipAddress: host, port: Int(port))
        } catch {
            return unreachable(link, "'\(host)' is no IP address")
        }
        // One deadline for everything until the link is open; the bootstrap's own is the net beneath it.
        setDeadline(of: link, in: limits.desktopTime) { $0.unreachable($1, "no connection within the time") }
        let limits = limits
        ClientBootstrap(group: loop)
            .connectTimeout(limits.desktopTime)
            .channelInitializer { channel in channel.eventLoop.makeCompletedFuture { try channel.setLinkOptions(limits) } }
            .connect(to: address)
            .assumeIsolated()
            .whenComplete { [weak self, weak link] result in
                switch result {
                case .success(let desktop):
                    guard let self, let link, case .connecting(let session) = link.stage else { return desktop.close(promise: nil) }
                    self.open(link, session: session, desktop: desktop, request: request)
                case .failure(let error):
                    if let self, let link { self.unreachable(link, "\(error)") }
                }
            }
    }

    private func unreachable(_ link: Link, _ reason: String) {
        guard case .connecting = link.stage else { return }
        book.write(.desktopUnreachable, from: link.source.text, detail: reason)
        close(link, .desktopUnreachable)
    }

    private func open(_ link: Link, session: Int64, desktop: any Channel, request: ByteBuffer) {
        link.desktop = desktop
        let seatSide = SpliceHandler { [weak self, weak link] in
            if let self, let link { self.hear($0, of: link, closed: .seatClosed, lost: .seatLost, other: link.desktopSide) }
        }
        let desktopSide = SpliceHandler { [weak self, weak link] in
            if let self, let link { self.hear($0, of: link, closed: .desktopClosed, lost: .desktopLost, other: link.seatSide) }
        }
        do {
            let seatPipeline = link.seat.pipeline.syncOperations
            let reader = try seatPipeline.handler(type: RequestReader.self)
            try seatPipeline.addHandler(seatSide)
            seatPipeline.removeHandler(reader, promise: nil)
            try desktop.pipeline.syncOperations.addHandler(desktopSide)
        } catch {
            return close(link, link.seat.isActive ? .desktopLost : .seatClosed)
        }
        link.seatSide = seatSide
        link.desktopSide = desktopSide
        link.deadline?.cancel()
        link.deadline = nil
        let since = Int64(time(nil))
        link.stage = .open(session: session, since: since)
        logger.info("link opened", metadata: ["link": "\(link.id)", "session": "\(session)", "address": "\(link.source.text)"])
        line.tell(.opened(link: link.id, session: session))
        desktop.writeAndFlush(request, promise: nil)
        SpliceHandler.join(seatSide, desktopSide)
    }

    // MARK: The end

    private func hear(_ news: SpliceHandler.News, of link: Link, closed: LinkEnd, lost: LinkEnd, other: SpliceHandler?) {
        switch news {
        case .inputEnded:
            guard link.firstEnd == nil else { return }
            link.firstEnd = closed
            setDeadline(of: link, in: limits.halfClosedTime) { table, link in
                table.close(link, link.firstEnd ?? closed)
            }
        case .failed: link.firstEnd = link.firstEnd ?? lost
        case .gone:
            guard !link.isOver else { return }
            let channels = [link.seat, link.desktop].compactMap { $0 }
            other?.closeWhenSent()
            end(link, link.firstEnd ?? closed)
            // What is still to be sent to the other side may take its time, but not for ever.
            let net = loop.scheduleTask(in: limits.halfClosedTime) { for channel in channels { channel.close(promise: nil) } }
            for channel in channels where channel.isActive { channel.closeFuture.whenComplete { _ in net.cancel() } }
        }
    }

    /// Closes a connection that was not admitted.
    private func turnAway(_ link: Link, _ incident: DoorIncident, detail: String? = nil) {
        guard !link.isOver, link.session == nil else { return }
        hold(incident, against: link, detail: detail)
        close(link, .seatClosed)
    }

    private func hold(_ incident: DoorIncident, against link: Link, detail: String? = nil) {
        book.write(incident, from: link.source.text, detail: detail)
        if incident.isHeldAgainstSource { gate.refuse(link.source) }
    }

    /// Each admission costs punnetd and the desktop something, so that even a good ticket is not for playing with.
    private func noteAdmission(_ link: Link, to session: Int64) {
        let now = NIODeadline.now()
        if admissions.count >= limits.links { admissions = admissions.filter { now - $0.value < limits.hastyTime } }
        if let before = admissions.updateValue(now, forKey: session), now - before < limits.hastyTime { hold(.hasty, against: link) }
    }

    /// Closes both sides at once.
    private func close(_ link: Link, _ cause: LinkEnd) {
        end(link, cause)
        link.cut()
    }

    /// Strikes a link off the books and tells punnetd, if it was admitted. Its channels are the caller's to close.
    private func end(_ link: Link, _ cause: LinkEnd) {
        guard !link.isOver else { return }
        let session = link.session
        var isWaiting = false
        if case .reading = link.stage { isWaiting = true }
        if case .asking = link.stage { isWaiting = true }
        link.stage = .over
        link.deadline?.cancel()
        link.deadline = nil
        links[link.id] = nil
        line.withdraw(link.id)
        gate.leave(from: link.source, waiting: isWaiting)
        guard let session else { return }
        if bySession[session] === link { bySession[session] = nil }
        let (fromSeat, toSeat) = (link.seatSide?.bytesRead ?? 0, link.desktopSide?.bytesRead ?? 0)
        logger.info(
            "link closed",
            metadata: [
                "link": "\(link.id)", "session": "\(session)", "cause": "\(cause)", "bytesFromSeat": "\(fromSeat)",
                "bytesToSeat": "\(toSeat)",
            ])
        line.tell(.closed(link: link.id, session: session, cause: cause, bytesFromSeat: fromSeat, bytesToSeat: toSeat))
    }

    private func setDeadline(of link: Link, in time: TimeAmount, _ action: @escaping (LinkTable, Link) -> Void) {
        link.deadline?.cancel()
        link.deadline = loop.assumeIsolated().scheduleTask(in: time) { [weak self, weak link] in
            if let self, let link { action(self, link) }
        }
    }
}
