import DesktopModel
import DesktopStore
import Hypervisor

/// What a daemon that starts makes of what it finds: it goes on with what it can vouch for, and ends what is its own and unvouched for.
extension Room {
    mutating func adopt(_ snapshot: Snapshot) {
        let stored = snapshot.stored
        labs = Dictionary(uniqueKeysWithValues: stored.labs.map { ($0.id, $0) })
        images = Dictionary(uniqueKeysWithValues: stored.images.map { ($0.id, $0) })
        for desktop in stored.desktops {
            desktops[desktop.id] = desktop
            // The calendar may have been set back meanwhile: nothing began in the future.
            let age = stored.since[desktop.id].map { max(0, stored.readAt - $0) } ?? 0
            works[desktop.id] = Work(since: now + .seconds(-age))
            planAiring(of: desktop.id)
        }
        seats = snapshot.seats
        nextDesktop = stored.nextDesktop
        nextSession = stored.nextSession
        adoptCheckpoints(snapshot)

        let open = Dictionary(uniqueKeysWithValues: stored.sessions.map { ($0.id, $0) })
        let domains = Dictionary(snapshot.domains.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
        var vouchedFor: Set<OverlayName> = []
        for desktop in stored.desktops.sorted(by: { $0.id < $1.id }) {
            if adopt(desktop, domain: domains[uuid(of: desktop)], overlays: snapshot.overlays, session: open) {
                vouchedFor.insert(OverlayName(desktop: desktop.id, generation: desktop.generation))
            }
        }
        for domain in snapshot.domains where domain.uuid.installation == installation && self.desktop(with: domain.uuid) == nil {
            effects.append(.destroyStray(domain.uuid))
            effects.append(.dropConsole(domain.name))
        }
        for overlay in snapshot.overlays where !vouchedFor.contains(overlay) {
            // The current generation's own is dropped with its domain, by the desktop's removal.
            if let desktop = desktops[overlay.desktop], desktop.generation == overlay.generation, desktop.state.holdsResources { continue }
            effects.append(.removeStray(overlay))
        }
        adoptConsoles(snapshot)
        fill()
    }

    /// Asks again for the lines of failures that a crash came before, and forgets the consoles of generations that are over.
    private mutating func adoptConsoles(_ snapshot: Snapshot) {
        for (id, desktop) in desktops.sorted(by: { $0.key < $1.key }) where desktop.failure?.console.isEmpty == true { readConsole(of: id) }
        // A retiring generation's own is forgotten with its removal.
        let kept = desktops.values.filter(\.state.holdsResources).map(domainName)
        let foreign = snapshot.domains.filter { $0.uuid.installation != installation }.map(\.name)
        for name in snapshot.consoles.sorted() where namesDesktop(name) && !kept.contains(name) && !foreign.contains(name) {
            effects.append(.dropConsole(name))
        }
    }

    /// Whether a domain of this name is or was a desktop of a lab that there is: `<lab>-<number>-g<generation>`.
    private func namesDesktop(_ name: String) -> Bool {
        labs.values.contains { lab in
            guard name.hasPrefix(lab.name + "-") else { return false }
            let rest = name.dropFirst(lab.name.count + 1).split(separator: "-", omittingEmptySubsequences: false)
            return rest.count == 2 && Int(rest[0]) != nil && rest[1].first == "g" && UInt32(rest[1].dropFirst()) != nil
        }
    }

    /// Takes one desktop over; tells whether its domain and overlay are vouched for.
    private mutating func adopt(
        _ desktop: Desktop, domain: RunningDomain?, overlays: [OverlayName], session open: [SessionID: Session]
    ) -> Bool {
        let overlayIsThere = overlays.contains(OverlayName(desktop: desktop.id, generation: desktop.generation))
        switch desktop.state {
        case .ready:
            guard domain?.activity == .paused, overlayIsThere, desktop.fingerprint != nil, !desktop.isSetAside else {
                retire(desktop.id, [])
                return false
            }
            return true
        case .leased(let id):
            guard let session = open[id], session.desktop == desktop.id, session.generation == desktop.generation else {
                retire(desktop.id, [])
                return false
            }
            sessions[id] = OpenSession(session: session, phase: .handedOut)
            guard let domain, overlayIsThere, domain.activity == .running || domain.activity == .paused else {
                end(id, because: .desktopDied)
                return false
            }
            // Which links are open is the relay's to tell; until then the session has its time to connect.
            let allowed = max(grace(of: OpenSession(session: session, phase: .handedOut)), settings.connectTime)
            sessions[id]?.deadline = now + allowed
            if domain.activity == .paused {
                sessions[id]?.phase = .unpausing
                sessions[id]?.deadline = now + settings.handOutDeadline
                effects.append(.unpause(id, domain.uuid))
            } else {
                serve(desktop.id)
                planLimit(of: id)
            }
            return true
        case .preparing, .quarantined(_, holding: true):
            retire(desktop.id, [])
            return false
        case .retiring:
            resumeRemoval(of: desktop.id)
            return false
        case .quarantined(_, holding: false):
            // A restart is no next try: what was left of the pause is still waited for.
            let passed = works[desktop.id]?.since.map { now - $0 } ?? .zero
            let left = max(.zero, pause(after: desktop.failure) - passed)
            works[desktop.id]?.retryAt = now + left
            return false
        case .empty:
            guard domain != nil || overlayIsThere else { return false }
            if let domain {
                effects.append(.destroyStray(domain.uuid))
                effects.append(.dropConsole(domain.name))
            }
            return false
        }
    }
}
