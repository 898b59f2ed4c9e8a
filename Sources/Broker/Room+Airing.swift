import DesktopModel
import DesktopStore
import Hypervisor

/// Airing: a desktop that has stood parked for so long as its lab sets is let run for a moment and asked for RDP. What waits in its guest for the
/// time to pass is done then, and not under the eyes of the one who is given it; and whether it still answers is known before.
///
/// One at a time, and only while nobody is about to come and nothing is being made.
extension Room {
    /// The parked desktop that is to be aired next, and when; nil where none is, or it is not known yet when.
    var nextAiring: (desktop: DesktopID, at: Instant)? {
        guard let next = airings.soonest, underWay == 0 else { return nil }
        guard !works.airing.contains(where: { desktops[$0]?.state == .ready }) else { return nil }
        return (next.id, max(next.at, lastClaimAt.map { $0 + settings.airingPause } ?? next.at))
    }

    /// Reckons when a desktop is to be aired. Called where it comes to stand ready or does so no longer, and where its lab is changed.
    mutating func planAiring(of id: DesktopID) {
        guard let desktop = desktops[id], desktop.state == .ready, let lab = labs[desktop.lab], lab.airing > .zero,
            let parked = works[id]?.airedAt ?? works[id]?.since
        else { return airings[id] = nil }
        airings[id] = parked + lab.airing
    }

    mutating func air() {
        guard let next = nextAiring, next.at <= now, let desktop = desktops[next.desktop], let fingerprint = desktop.fingerprint,
            let place = addresses.addresses(of: desktop.place)
        else { return }
        works[desktop.id]?.isAiring = true
        ask(desktop.id, .air(uuid(of: desktop), place.address, fingerprint: fingerprint), within: settings.airingDeadline)
    }

    /// It is parked again; whoever was given it meanwhile has waited for that.
    mutating func aired(_ id: DesktopID, _ generation: Generation) {
        guard let desktop = desktops[id], desktop.generation == generation, works[id]?.isAiring == true else { return }
        airingIsOver(id)
        guard case .leased(let session) = desktop.state, sessions[session]?.phase == .unpausing else { return }
        effects.append(.unpause(session, uuid(of: desktop)))
    }

    /// It does not answer any more, or could not be parked again.
    mutating func airingFailed(_ id: DesktopID, cause: Sentence) {
        guard let desktop = desktops[id], works[id]?.isAiring == true else { return }
        airingIsOver(id)
        effects.append(
            .notice("a parked desktop does not answer any more, and is made anew", ["desktop": desktop.name, "cause": "\(cause)"]))
        switch desktop.state {
        case .ready: retire(id, [])
        case .leased(let session): notHandedOut(session, cause: cause)
        case .empty, .preparing, .retiring, .quarantined: break
        }
    }

    private mutating func airingIsOver(_ id: DesktopID) {
        works[id]?.isAiring = false
        works[id]?.airedAt = now
        works[id]?.deadline = nil
        planAiring(of: id)
    }
}
