import Identity
import Relay

/// A desk with a book of tickets, which writes down what it is told.
actor TicketBook: TicketDesk {
    enum Event: Hashable, Sendable {
        case asked(LinkID, address: String)
        case opened(LinkID, session: Int64)
        case closed(LinkID, session: Int64, LinkEnd)
        case links([OpenLink])
    }

    private struct Entry {
        let session: Int64
        let address: String
        let host: String
        let port: UInt16
    }

    private var entries: [[UInt8]: Entry] = [:]
    private var isHeldBack = false
    private var held: [CheckedContinuation<Void, Never>] = []
    private(set) var events: [Event] = []

    /// Makes a ticket good from now on.
    func issue(_ ticket: String, session: Int64, from address: String = "127.0.0.1", host: String = "127.0.0.1", port: Int) {
        entries[Digest.sha256(ticket)] = Entry(session: session, address: address, host: host, port: UInt16(port))
    }

    /// The session is over: its ticket is good no more.
    func expire(session: Int64) {
        entries = entries.filter { $0.value.session != session }
    }

    /// From now on answers wait for `answer()`.
    func holdBack() { isHeldBack = true }

    func answer() {
        isHeldBack = false
        for continuation in held { continuation.resume() }
        held = []
    }

    func admit(ticket: [UInt8], from address: String, link: LinkID) async -> Admission {
        events.append(.asked(link, address: address))
        let entry = entries[ticket]
        if isHeldBack { await withCheckedContinuation { held.append($0) } }
        guard let entry, entry.address == address else { return .refused }
        return .admitted(session: entry.session, host: entry.host, port: entry.port)
    }

    func linkOpened(_ link: LinkID, session: Int64) { events.append(.opened(link, session: session)) }
    func linkClosed(_ link: LinkID, session: Int64, cause: LinkEnd, carried: LinkBytes) { events.append(.closed(link, session: session, cause)) }
    func linksAre(_ open: [OpenLink]) { events.append(.links(open)) }
}
