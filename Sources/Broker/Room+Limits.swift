import DesktopModel

/// Sessions that last as long as their lab allows: their seat is warned, and then they are ended.
extension Room {
    /// When a session is ended because of its length; nil where its lab has no limit. One that is over its time already, since its lab was changed,
    /// is warned first like any other.
    func timeLimit(of open: OpenSession) -> Instant? {
        guard open.phase == .handedOut, let desktop = desktops[open.session.desktop], let lab = labs[desktop.lab], lab.longest > .zero,
            let began = works[desktop.id]?.since
        else { return nil }
        let end = began + lab.longest
        return open.warnedAt.map { max(end, $0 + warning(in: lab)) } ?? end
    }

    /// Sets when a session is to be warned or ended next. Called when it was handed out, its lab was changed, or it is over.
    mutating func planLimit(of id: SessionID) {
        guard let open = sessions[id], let end = timeLimit(of: open) else { return limits[id] = nil }
        limits[id] = open.warnedAt == nil ? end + (.zero - warning(of: open)) : end
    }

    /// After its lab was changed: who has more time again than the warning is warned anew when it comes to that.
    mutating func reviseLimit(of id: SessionID) {
        guard let open = sessions[id] else { return }
        var unwarned = open
        unwarned.warnedAt = nil
        if timeLimit(of: unwarned).map({ $0 + (.zero - warning(of: open)) > now }) ?? true { sessions[id]?.warnedAt = nil }
        planLimit(of: id)
    }

    private func warning(of open: OpenSession) -> Duration { desktops[open.session.desktop].flatMap { labs[$0.lab] }.map(warning(in:)) ?? .zero }

    /// How long before its end a session is warned: at most half of what it may last.
    func warning(in lab: Lab) -> Duration { min(lab.warning, lab.longest / 2) }

    mutating func overdueLimits() {
        while let next = limits.soonest, next.at <= now {
            guard let open = sessions[next.id], open.warnedAt == nil, warning(of: open) > .zero else {
                end(next.id, because: .timeLimit)
                limits[next.id] = nil
                continue
            }
            sessions[next.id]?.warnedAt = now
            planLimit(of: next.id)
            warn(next.id)
        }
    }

    /// Tells a session's seat when it ends, if it was warned of that.
    mutating func warn(_ id: SessionID) {
        guard let open = sessions[id], open.warnedAt != nil, let end = timeLimit(of: open), end > now else { return }
        effects.append(.tell(open.session.seat, .ending(id, within: end - now)))
    }
}
