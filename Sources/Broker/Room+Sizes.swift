import DesktopModel
import DesktopStore

/// What each lab is to have now: how many desktops, of what hardware, and how many of them are made at once.
extension Room {
    /// How many desktops a lab is to have now, at most its size: those that nobody can be given soon, and beside them as many as it keeps ready,
    /// as are waited for, or as have hardware of their own, which would go with them.
    func wanted(in lab: Lab) -> Int {
        guard lab.leastReady > 0 else { return lab.size }
        return min(lab.size, desktops.busy(in: lab.id) + max(wantedReady(in: lab), desktops.withOwnHardware(in: lab.id)))
    }

    /// How many desktops of a lab that keeps fewer than all ready are to be there for who comes.
    private func wantedReady(in lab: Lab) -> Int { max(lab.leastReady, lines[lab.id, default: []].count) }

    /// How many ready desktops of a lab may be taken back where it has more desktops than it is to have: while others are on their way, those that
    /// stand ready are not fewer for it.
    func spareReady(in lab: Lab) -> Int {
        let ready = desktops.ready(in: lab.id).count
        guard lab.leastReady > 0, desktops.count(in: lab.id) <= lab.size else { return ready }
        return max(0, ready - wantedReady(in: lab))
    }

    /// After a desktop of the lab was leased or is waited for: others have to be made where not all of its size stand ready anyway. What the server had
    /// when it was last measured may be long ago.
    mutating func follow(_ lab: LabID) {
        guard let lab = labs[lab], desktops.count(in: lab.id) < wanted(in: lab) else { return }
        capacity = nil
        fill()
    }

    /// The hardware that a desktop is to have when it is made next.
    func profile(for desktop: Desktop) -> Profile? { desktop.ownProfile ?? labs[desktop.lab]?.profile }

    /// Whether one more desktop of a lab may be made or removed beside those that are; else, how many those are. What could not be removed before
    /// takes nobody's turn when that is tried again.
    func mayBegin(in lab: Lab) -> Result<Void, Hindrance> {
        let others = desktops.underWay.filter { works[$0]?.resists != true }
        guard others.count < settings.atOnce else { return .failure(.othersFirst(others.count)) }
        guard lab.atOnce > 0 else { return .success(()) }
        let mine = others.count { desktops[$0]?.lab == lab.id }
        return mine < lab.atOnce ? .success(()) : .failure(.othersFirst(mine))
    }

    /// Changes what desktops are to have; those that somebody works at follow at once as far as Xen can: with the virtual CPUs that they were built
    /// with.
    mutating func followingAtOnce(_ change: (inout Room) -> Void) {
        func inUse(_ room: Room) -> [DesktopID: Int] {
            room.sessions.values.reduce(into: [:]) { counts, open in
                guard open.phase == .handedOut, let desktop = room.desktops[open.session.desktop], let built = desktop.profile else { return }
                counts[desktop.id] = room.vcpusInUse(of: desktop, built)
            }
        }
        let before = inUse(self)
        change(&self)
        for (id, count) in inUse(self).sorted(by: { $0.key < $1.key }) where before[id] != count { serve(id) }
    }

    /// What it would mean for its desktops that a lab becomes this one. Refused where it is not possible.
    func consequences(of changed: Lab) throws(BrokerError) -> [LabConsequence] {
        guard let lab = labs[changed.id] else { throw .unknownLab(changed.name) }
        let image = try image(changed.image)
        try check(changed, image)
        let own = desktops.values.filter { $0.lab == lab.id }
        let (before, after) = (wanted(in: lab), wanted(in: changed))
        let removed = max(0, own.count - after)
        let touched = own.filter { changed.image != lab.image || (changed.profile != lab.profile && $0.ownProfile == nil) }
        var inUse = 0
        var parked = 0
        for desktop in touched {
            switch desktop.state {
            case .leased: inUse += 1
            case .ready, .preparing: parked += 1
            case .empty, .retiring, .quarantined: break
            }
        }
        var told: [LabConsequence] = []
        if parked > removed { told.append(.madeAnew(parked - removed)) }
        if inUse > 0 { told.append(.whenTheyEnd(inUse)) }
        if removed > 0 { told.append(.removed(removed)) }
        if after > before { told.append(.added(after - before)) }
        if changed.image != lab.image || changed.profile != lab.profile, settings.usesCheckpoints, image.mayBeRestored,
            checkpoint(of: image.id, changed.profile) == nil
        {
            told.append(.bootedFirst)
        }
        if changed.internet != lab.internet { told.append(changed.internet ? .internetOpened : .internetClosed) }
        return told.isEmpty ? [.nothing] : told
    }

    // MARK: A desktop with hardware of its own

    /// What it would mean that a desktop is to have this hardware, one sentence each. Refused where it is not possible.
    func consequences(of wished: Profile, for desktop: Desktop) throws(BrokerError) -> [Sentence] {
        guard let lab = labs[desktop.lab] else { throw .unknownDesktop(desktop.name) }
        let image = try image(lab.image)
        try check(wished, image)
        try admit(wished, for: desktop)
        guard wished != profile(for: desktop) else { return [Told.nothingChanges()] }
        var told: [Sentence] = []
        switch desktop.state {
        case .leased(let session):
            told.append(Told.sessionGoesOn(session, desktop.name, wished.text))
            if let built = desktop.profile, min(built.vcpus, wished.vcpus) != vcpusInUse(of: desktop, built) {
                told.append(Told.usesAtOnce(min(built.vcpus, wished.vcpus), built.vcpus))
            }
        case .ready, .preparing: told.append(Told.madeAnewWith(desktop.name, wished.text))
        case .empty, .retiring, .quarantined: told.append(Told.hasFromNextMaking(desktop.name, wished.text))
        }
        if settings.usesCheckpoints, image.mayBeRestored, checkpoint(of: image.id, wished) == nil {
            told.append(Told.bootedFirst(Self.diskNeeded(byMemoryOf: wished)))
        }
        return told
    }

    mutating func ownProfileChanged(_ id: DesktopID, _ own: Profile?) {
        followingAtOnce { $0.desktops[id]?.ownProfile = own }
        dropCheckpoints()
        capacity = nil
        fill()
    }
}

extension Desktop {
    /// Whether it is being removed, or could not be and will be tried again.
    var isOnItsWayOut: Bool {
        switch state {
        case .retiring, .quarantined(_, holding: true): true
        case .empty, .preparing, .ready, .leased, .quarantined(_, holding: false): false
        }
    }
}
