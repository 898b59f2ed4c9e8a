import DesktopModel

/// The sessions that go on, by their numbers; each is found by its seat and by its ticket as well.
struct OpenSessions: Sequence, Sendable {
    private var byID: [SessionID: OpenSession] = [:]
    private var bySeat: [SeatID: SessionID] = [:]
    private var byTicket: [TicketHash: SessionID] = [:]
    private var deadlines = Deadlines<SessionID>()

    var count: Int { byID.count }
    var isEmpty: Bool { byID.isEmpty }
    var keys: Dictionary<SessionID, OpenSession>.Keys { byID.keys }
    var values: Dictionary<SessionID, OpenSession>.Values { byID.values }
    func makeIterator() -> Dictionary<SessionID, OpenSession>.Iterator { byID.makeIterator() }

    /// When the first one ends unless something happens; nil where none does.
    var soonest: Instant? { deadlines.soonest?.at }

    /// The session that a seat has; it never has two.
    func session(of seat: SeatID) -> OpenSession? { bySeat[seat].flatMap { byID[$0] } }

    /// The session that a ticket is for, so long as no later one was made for it.
    func session(with ticket: TicketHash) -> OpenSession? { byTicket[ticket].flatMap { byID[$0] } }

    subscript(id: SessionID) -> OpenSession? {
        get { byID[id] }
        set {
            let former = byID[id]
            byID[id] = newValue
            deadlines[id] = newValue?.deadline
            let session = newValue?.session
            if let former, former.session.seat != session?.seat, bySeat[former.session.seat] == id { bySeat[former.session.seat] = nil }
            if let former, former.session.ticket != session?.ticket, byTicket[former.session.ticket] == id { byTicket[former.session.ticket] = nil }
            guard let session else { return }
            bySeat[session.seat] = id
            byTicket[session.ticket] = id
        }
    }
}
