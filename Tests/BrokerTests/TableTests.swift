import DesktopModel
import Hypervisor
import Testing

@testable import Broker

extension World {
    /// What a room keeps counted of its desktops, works and sessions is what going through all of them gives.
    func recount(_ room: Room) {
        let all = Array(room.desktops.values)
        func ids(_ holds: (DesktopState) -> Bool) -> Set<DesktopID> { Set(all.filter { holds($0.state) }.map(\.id)) }
        let mayBeMade = Set(all.filter { $0.toldState == .empty }.map(\.id))
        require(room.desktops.empty == mayBeMade, "the empty desktops are counted wrong")
        require(room.desktops.underWay == ids { ["preparing", "retiring"].contains($0.word) }, "those under way are counted wrong")
        require(room.desktops.stuck == ids { $0.word == "quarantined" && $0.holdsResources }, "those that hold something are counted wrong")
        require(room.desktops.kinds == all.reduce(into: [:]) { $0[Desktops.Kind($1), default: 0] += 1 }, "the kinds are counted wrong")
        for lab in Set(all.map(\.lab)) {
            let ready = all.filter { $0.lab == lab && $0.state == .ready }.sorted { $0.number < $1.number }
            require(room.desktops.ready(in: lab).map(\.id) == ready.map(\.id), "the ready desktops are counted wrong")
            let busy = all.count { $0.lab == lab && ["leased", "quarantined"].contains($0.toldState.word) }
            require(room.desktops.busy(in: lab) == busy, "those that nobody can be given are counted wrong")
            require(room.desktops.count(in: lab) == all.count { $0.lab == lab }, "the desktops of a lab are counted wrong")
        }
        let works = room.works.map { $0 }
        require(room.works.soonest == works.flatMap { [$0.value.deadline, $0.value.retryAt] }.compactMap { $0 }.min(), "a deadline is missed")
        require(room.works.airing == Set(works.filter(\.value.isAiring).map(\.key)), "those that are aired are counted wrong")
        let airings = all.compactMap { desktop -> Instant? in
            guard desktop.state == .ready, let lab = room.labs[desktop.lab], lab.airing > .zero, let work = room.works[desktop.id] else { return nil }
            return (work.airedAt ?? work.since).map { $0 + lab.airing }
        }
        require(room.airings.soonest?.at == airings.min(), "an airing is missed")
        require(room.sessions.soonest == room.sessions.values.compactMap(\.deadline).min(), "a session's deadline is missed")
        let limits = room.sessions.values.compactMap { open -> Instant? in
            guard let end = room.timeLimit(of: open), let lab = room.desktops[open.session.desktop].flatMap({ room.labs[$0.lab] }) else { return nil }
            return open.warnedAt == nil ? end + (.zero - room.warning(in: lab)) : end
        }
        require(room.limits.soonest?.at == limits.min(), "a session's limit is missed")
        for session in room.sessions.values.map(\.session) {
            require(room.sessions.session(of: session.seat)?.session.id == session.id, "a seat's session is not found")
            require(room.sessions.session(with: session.ticket)?.session.id == session.id, "a ticket's session is not found")
        }
    }
}

@Suite struct TableTests {
    @Test func theSoonestOfManyDeadlinesIsAtHandHoweverTheyAreMoved() {
        var random = SplitMix(seed: 1)
        var deadlines = Deadlines<DesktopID>()
        var plain: [DesktopID: Instant] = [:]
        for _ in 0..<20_000 {
            let id = DesktopID(rawValue: .random(in: 1...100, using: &random))
            // Often the same instants, and often none.
            let instant = Bool.random(using: &random) ? Instant(sinceStart: .seconds(Int.random(in: 0...50, using: &random))) : nil
            deadlines[id] = instant
            plain[id] = instant
            let soonest = plain.min { ($0.value, $0.key) < ($1.value, $1.key) }
            #expect(deadlines.soonest?.id == soonest?.key && deadlines.soonest?.at == soonest?.value)
            #expect(deadlines[id] == instant)
        }
    }

    @Test func aTicketThatWasRenewedFindsItsSessionAndTheFormerOneDoesNot() {
        var sessions = OpenSessions()
        func ticket(_ byte: UInt8) -> TicketHash { TicketHash(bytes: [UInt8](repeating: byte, count: 32)) }
        let session = Session(
            id: SessionID(rawValue: 1), seat: SeatID(rawValue: 7), desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1),
            bootID: "boot", ticket: ticket(1), address: "10.77.0.101")
        sessions[session.id] = OpenSession(session: session, phase: .handedOut)
        sessions[session.id]?.session.ticket = ticket(2)
        #expect(sessions.session(with: ticket(1)) == nil)
        #expect(sessions.session(with: ticket(2))?.session.id == session.id)
        sessions[session.id] = nil
        #expect(sessions.session(with: ticket(2)) == nil)
        #expect(sessions.session(of: session.seat) == nil)
        #expect(sessions.isEmpty)
    }
}
