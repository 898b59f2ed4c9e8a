import DesktopModel
import DesktopStore

/// Sessions: claims, hand-out, links, ends, and the line of those who wait.
extension Room {
    // MARK: Claims

    mutating func take(_ claim: Claim) {
        guard let seat = seats[claim.seat] else { return refuse(claim, .unknownSeat("\(claim.seat)")) }
        guard !seat.isBlocked else { return refuse(claim, .seatIsBlocked(seat.name)) }
        guard let lab = labs[seat.lab] else { return refuse(claim, .unknownLab("\(seat.lab)")) }
        if let open = sessions.session(of: claim.seat) {
            guard open.session.bootID != claim.bootID else { return resume(open, claim) }
            end(open.session.id, because: .seatRestarted)
        }
        guard lab.size > 0 else { return refuse(claim, .noDesktops(lab: lab.name)) }
        if let desktop = desktopFor(claim.seat, in: lab.id) {
            if let waiting = lines[lab.id]?.first(where: { $0.seat == claim.seat }) { figures.waits.add(now - waiting.since) }
            lines[lab.id]?.removeAll { $0.seat == claim.seat }
            lease(desktop, to: claim)
            tellPlaces(in: lab.id)
            follow(lab.id)
        } else {
            effects.append(.answer(claim.id, .success(.place(join(claim.seat, lineOf: lab.id)))))
            follow(lab.id)
        }
    }

    private mutating func refuse(_ claim: Claim, _ error: BrokerError) {
        effects.append(.answer(claim.id, .failure(error)))
    }

    /// The ready desktop that a seat may have now: any, so long as enough stay for those who were offered one before it.
    private func desktopFor(_ seat: SeatID, in lab: LabID) -> Desktop? {
        let line = lines[lab, default: []]
        let offered = line.count { $0.offeredUntil != nil && $0.seat != seat }
        let ready = desktops.ready(in: lab)
        guard ready.count > offered else { return nil }
        return best(of: ready)
    }

    /// Of ready desktops in the order of their numbers: one of the present image and profile if there is one, then one that stands parked
    /// now, then the first.
    private func best(of ready: [Desktops.Ready]) -> Desktop? {
        var best: (rank: Int, desktop: Desktop)?
        for place in ready {
            guard let desktop = desktops[place.id] else { continue }
            let isCurrent = desktop.image == labs[desktop.lab]?.image && desktop.profile == profile(for: desktop)
            let rank = (isCurrent ? 0 : 2) + (works.airing.contains(desktop.id) ? 1 : 0)
            if rank == 0 { return desktop }
            if best.map({ rank < $0.rank }) ?? true { best = (rank, desktop) }
        }
        return best?.desktop
    }

    /// The lease: from its commit on, the desktop is tainted; it is let run only after.
    private mutating func lease(_ desktop: Desktop, to claim: Claim) {
        let session = Session(
            id: nextSession, seat: claim.seat, desktop: desktop.id, generation: desktop.generation, bootID: claim.bootID,
            ticket: claim.ticket, address: claim.address)
        nextSession = SessionID(rawValue: nextSession.rawValue + 1)
        lastClaimAt = now
        move(desktop.id, .lease(session.id))
        sessions[session.id] = OpenSession(
            session: session, phase: .committing, claims: [claim], deadline: now + settings.handOutDeadline)
        guard let leased = desktops[desktop.id] else { return }
        record(
            [.sessionBegan(session, desktopName: desktop.name, seatName: seats[claim.seat]?.name ?? ""), .desktopChanged(leased)],
            .leased(session.id))
    }

    mutating func leaseRecorded(_ id: SessionID) {
        guard let open = sessions[id], open.phase == .committing, let desktop = desktops[open.session.desktop] else { return }
        sessions[id]?.phase = .unpausing
        // An airing ends by parking it: it is let run after that.
        effects.append(works[desktop.id]?.isAiring == true ? .endAiring(desktop.id) : .unpause(id, uuid(of: desktop)))
    }

    /// A session's desktop runs: it comes first from now on, and gets the memory that its guest had given back before it was frozen, which was
    /// promised all the while; and as many of its virtual CPUs as it is to have. Memory is never taken from under who works.
    mutating func serve(_ id: DesktopID) {
        guard let desktop = desktops[id], let built = desktop.profile else { return }
        effects.append(.serve(uuid(of: desktop), Profile(vcpus: vcpusInUse(of: desktop, built), memory: built.memory)))
    }

    /// How many of the virtual CPUs that it was built with a desktop is to use.
    func vcpusInUse(of desktop: Desktop, _ built: Profile) -> Int { min(built.vcpus, profile(for: desktop)?.vcpus ?? built.vcpus) }

    /// Whether the lease is on the disk is not known, so the desktop is tainted.
    mutating func leaseNotRecorded(_ id: SessionID, cause: Sentence) {
        guard let open = sessions[id] else { return }
        for claim in open.claims { refuse(claim, .storage(cause)) }
        sessions[id]?.claims = []
        end(id, because: .handOutFailed)
    }

    mutating func handedOut(_ id: SessionID) {
        guard let open = sessions[id], open.phase == .unpausing else { return }
        sessions[id]?.phase = .handedOut
        sessions[id]?.claims = []
        serve(open.session.desktop)
        let allowed = connectTime(of: open)
        sessions[id]?.deadline = open.links.isEmpty ? now + allowed : nil
        planLimit(of: id)
        for (number, claim) in open.claims.enumerated() {
            // The ticket that was committed is the first claim's; who asked again meanwhile gets one of its own.
            if number == 0, claim.ticket == open.session.ticket {
                effects.append(.answer(claim.id, .success(.desktop(id, resumed: false))))
            } else if let current = sessions[id] {
                resume(current, claim)
            }
        }
        effects.append(.notice("desktop leased", ["session": "\(id)", "desktop": desktops[open.session.desktop]?.name ?? ""]))
    }

    /// The desktop cannot run: its session ends, and its claims are served anew, with another desktop or a place in the line.
    mutating func notHandedOut(_ id: SessionID, cause: Sentence) {
        guard let open = sessions[id], open.phase != .handedOut else { return }
        effects.append(.notice("a desktop could not be handed out", ["session": "\(id)", "cause": "\(cause)"]))
        sessions[id]?.claims = []
        end(id, because: .handOutFailed)
        for claim in open.claims { take(claim) }
    }

    /// The seat waits no longer for the answer; what was decided stands, and is found again by the seat's next claim.
    mutating func abandon(_ claim: ClaimID) {
        for id in sessions.keys where sessions[id]?.claims.contains(where: { $0.id == claim }) == true {
            // The session keeps the committed ticket, which nobody was told: the seat's next claim renews it.
            sessions[id]?.claims.removeAll { $0.id == claim }
        }
    }

    // MARK: Resuming

    private mutating func resume(_ open: OpenSession, _ claim: Claim) {
        guard open.phase == .handedOut else {
            sessions[open.session.id]?.claims.append(claim)
            return
        }
        record([.sessionTicket(open.session.id, claim.ticket, address: claim.address)], .ticketRenewed(open.session.id, claim))
    }

    mutating func ticketRenewed(_ id: SessionID, _ claim: Claim) {
        guard let open = sessions[id] else {
            // It ended while the ticket was on its way to the disk.
            return take(claim)
        }
        sessions[id]?.session.ticket = claim.ticket
        sessions[id]?.session.address = claim.address
        let allowed = connectTime(of: open)
        if open.links.isEmpty { sessions[id]?.deadline = now + allowed }
        effects.append(.answer(claim.id, .success(.desktop(id, resumed: true))))
    }

    mutating func ticketNotRenewed(_ id: SessionID, _ claim: Claim, cause: Sentence) {
        // It ended meanwhile, which is why there was nothing to renew.
        guard sessions[id] != nil else { return take(claim) }
        refuse(claim, .storage(cause))
    }

    private func connectTime(of open: OpenSession) -> Duration {
        max(grace(of: open), settings.connectTime)
    }

    func grace(of open: OpenSession) -> Duration {
        desktops[open.session.desktop].flatMap { labs[$0.lab]?.grace } ?? settings.connectTime
    }

    // MARK: Ends

    mutating func end(_ id: SessionID, because reason: EndReason) {
        guard let open = sessions[id] else { return }
        sessions[id] = nil
        planLimit(of: id)
        for claim in open.claims { refuse(claim, .unknownSession(id)) }
        effects.append(.closeLinks(id))
        effects.append(.tell(open.session.seat, .ended(id, reason)))
        effects.append(
            .notice(
                "session ended",
                ["session": "\(id)", "desktop": desktops[open.session.desktop]?.name ?? "", "reason": reason.rawValue]))
        guard desktops[open.session.desktop]?.state == .leased(id) else { return }
        figures.ended[reason.rawValue, default: 0] += 1
        retire(open.session.desktop, [.sessionEnded(id, reason)])
    }

    mutating func overdueSessions() {
        for (id, open) in sessions.sorted(by: { $0.key < $1.key }) {
            guard let deadline = open.deadline, deadline <= now else { continue }
            switch open.phase {
            case .handedOut: end(id, because: .linkLost)
            case .committing:
                // The disk does not answer. Nobody is kept waiting; the lease itself is settled when the disk does.
                sessions[id]?.deadline = nil
                sessions[id]?.claims = []
                for claim in open.claims { refuse(claim, .storage(Cause.longerThan(settings.handOutDeadline))) }
            case .unpausing:
                notHandedOut(id, cause: Cause.slowHandOut(settings.handOutDeadline))
            }
        }
    }

    // MARK: Links

    mutating func linkOpened(_ id: SessionID, _ link: UInt64) {
        guard let open = sessions[id] else {
            // The relay was let through before the session ended, and tells of it after.
            return effects.append(.closeLinks(id))
        }
        sessions[id]?.links.insert(link)
        if open.phase == .handedOut { sessions[id]?.deadline = nil }
    }

    mutating func linkClosed(_ id: SessionID, _ link: UInt64) {
        guard let open = sessions[id], open.links.contains(link) else { return }
        sessions[id]?.links.remove(link)
        guard open.links.count == 1, open.phase == .handedOut else { return }
        let allowed = grace(of: open)
        sessions[id]?.deadline = now + allowed
    }

    mutating func linksAre(_ links: [SessionID: Set<UInt64>]) {
        for (id, open) in sessions.sorted(by: { $0.key < $1.key }) {
            let now = links[id] ?? []
            for link in open.links.subtracting(now) { linkClosed(id, link) }
            for link in now.subtracting(open.links) { linkOpened(id, link) }
        }
        for id in links.keys.sorted() where sessions[id] == nil { effects.append(.closeLinks(id)) }
    }

    // MARK: Seats

    mutating func seatPresent(_ id: SeatID) {
        seats[id]?.isPresent = true
        if let name = seats[id]?.name { effects.append(.tell(id, .name(name))) }
        // What it was told before went to a stream that is gone.
        if let open = sessions.session(of: id) { warn(open.session.id) }
        guard let lab = seats[id]?.lab, let index = lines[lab]?.firstIndex(where: { $0.seat == id }) else { return }
        lines[lab]?[index].leavesAt = nil
        // What it was told last went to a stream that is gone.
        effects.append(.tell(id, .place(index + 1)))
        serveLine(of: lab)
    }

    mutating func seatAbsent(_ id: SeatID) {
        seats[id]?.isPresent = false
        guard let lab = seats[id]?.lab, let index = lines[lab]?.firstIndex(where: { $0.seat == id }) else { return }
        lines[lab]?[index].leavesAt = now + settings.absence
    }

    /// A seat was added, named otherwise, moved to another lab, blocked, unblocked, or removed.
    mutating func seatChanged(_ id: SeatID, _ seat: RoomSeat?) {
        let former = seats[id]
        seats[id] = seat
        if let present = former?.isPresent { seats[id]?.isPresent = present }
        if let lab = former?.lab, lab != seat?.lab || seat?.isBlocked == true {
            lines[lab]?.removeAll { $0.seat == id }
            tellPlaces(in: lab)
            serveLine(of: lab)
        }
        if let former, let seat, former.name != seat.name { effects.append(.tell(id, .name(seat.name))) }
        if let former, let seat, (former.lab, former.isBlocked) != (seat.lab, seat.isBlocked), sessions.session(of: id) == nil {
            // It claims now: there is a desktop for it, its place in another line, or the reason why there is none.
            effects.append(.tell(id, .offer(within: settings.offerTime)))
        }
        guard seat == nil else { return }
        if let open = sessions.session(of: id) { end(open.session.id, because: .seatRemoved) }
    }

    // MARK: The line

    /// Gives a seat its place in the line, from 1; one that waits already keeps it.
    private mutating func join(_ seat: SeatID, lineOf lab: LabID) -> Int {
        let leavesAt = seats[seat]?.isPresent == true ? nil : now + settings.absence
        if let index = lines[lab]?.firstIndex(where: { $0.seat == seat }) {
            lines[lab]?[index].leavesAt = leavesAt
            return index + 1
        }
        figures.emptyClaims += 1
        lastClaimAt = now
        let place = lines[lab, default: []].count + 1
        lines[lab, default: []].append(Waiting(seat: seat, since: now, leavesAt: leavesAt, toldPlace: place))
        return place
    }

    /// Keeps each free desktop for the next present seat in the line, and tells it.
    mutating func serveLine(of lab: LabID) {
        let ready = desktops.ready(in: lab).count
        var offered = lines[lab, default: []].count { $0.offeredUntil != nil }
        for index in lines[lab, default: []].indices where offered < ready {
            guard let waiting = lines[lab]?[index], waiting.offeredUntil == nil, seats[waiting.seat]?.isPresent == true else { continue }
            lines[lab]?[index].offeredUntil = now + settings.offerTime
            offered += 1
            effects.append(.tell(waiting.seat, .offer(within: settings.offerTime)))
        }
    }

    /// Takes back the last offers when there are fewer free desktops than offers.
    mutating func reviseOffers(in lab: LabID) {
        let ready = desktops.ready(in: lab).count
        var offered = lines[lab, default: []].count { $0.offeredUntil != nil }
        for index in lines[lab, default: []].indices.reversed() where offered > ready && lines[lab]?[index].offeredUntil != nil {
            lines[lab]?[index].offeredUntil = nil
            offered -= 1
        }
    }

    private mutating func tellPlaces(in lab: LabID) {
        for index in lines[lab, default: []].indices {
            guard let waiting = lines[lab]?[index], waiting.toldPlace != index + 1 else { continue }
            lines[lab]?[index].toldPlace = index + 1
            effects.append(.tell(waiting.seat, .place(index + 1)))
        }
    }

    mutating func overdueWaiting() {
        for lab in lines.keys.sorted() {
            guard let line = lines[lab] else { continue }
            let gone = line.filter { $0.leavesAt.map { $0 <= now } ?? false }
            // Who lets an offer pass goes to the end: the others are not kept waiting for it again.
            let late = line.filter { waiting in
                waiting.offeredUntil.map { $0 <= now } ?? false && !gone.contains { $0.seat == waiting.seat }
            }
            guard !gone.isEmpty || !late.isEmpty else { continue }
            let moved = Set((gone + late).map(\.seat))
            lines[lab] = line.filter { !moved.contains($0.seat) }
                + late.map { Waiting(seat: $0.seat, since: $0.since, offeredUntil: nil, leavesAt: $0.leavesAt, toldPlace: $0.toldPlace) }
            tellPlaces(in: lab)
            serveLine(of: lab)
        }
    }
}
