import DesktopModel
import Identity

/// What seats ask for: claims, ends and the stream of what they are told. Any task.
public final class SessionBroker: Sendable {
    private let broker: Broker

    public init(_ broker: Broker) { self.broker = broker }

    /// Whether the room was found after the start, and seats are served.
    public var isServing: Bool { get async { await broker.isServing } }

    /// Asks for a desktop for a seat that was started with this boot_id, or for the one it has since that start.
    ///
    /// A desktop that is given is leased on the disk and runs when this returns. The ticket in the answer is new with every claim; the one
    /// before is good no longer.
    public func claim(_ seat: SeatID, bootID: String, from address: String) async throws(BrokerError) -> ClaimAnswer {
        let ticket = Token()
        let lent = try await broker.claim(seat, bootID: bootID, from: address, ticket: TicketHash(bytes: ticket.hash)).get()
        switch lent {
        case .place(let place):
            return .waiting(place: place)
        case .desktop(let session, let resumed):
            guard let lease = await broker.lease(session, ticket: ticket.text, resumed: resumed) else { throw .unknownSession(session) }
            return .leased(lease)
        }
    }

    /// Ends a session of the seat's own: the pupil has left.
    public func end(_ session: SessionID, of seat: SeatID, reason: EndReason) async throws(BrokerError) {
        try await broker.end(session, of: seat, reason: reason)
    }

    /// What the seat is told from now on; it is present while the stream is read. A second stream of the same seat ends the first.
    public func events(of seat: SeatID) async -> AsyncStream<SeatEvent> {
        await broker.stream(of: seat)
    }
}

extension Broker {
    func lease(_ id: SessionID, ticket: String, resumed: Bool) -> Lease? {
        guard let open = room.sessions[id], let desktop = room.desktops[open.session.desktop], let lab = room.labs[desktop.lab],
            let image = desktop.image.flatMap({ room.images[$0] }), let fingerprint = desktop.fingerprint
        else { return nil }
        let account = Account(user: image.account.user, password: desktop.password ?? image.account.password)
        return Lease(
            session: id, desktop: desktop.name, ticket: ticket, account: account, fingerprint: fingerprint, resumed: resumed,
            afterSession: lab.afterSession, grace: lab.grace, idle: lab.idle, warning: lab.warning)
    }

    func end(_ id: SessionID, of seat: SeatID?, reason: EndReason) throws(BrokerError) {
        guard isServing else { throw .unavailable }
        guard let open = room.sessions[id] else { throw .unknownSession(id) }
        if let seat, open.session.seat != seat { throw .notYourSession(id) }
        deliver(.end(id, reason))
    }
}
