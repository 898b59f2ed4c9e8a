import DesktopModel

/// Where a desktop stands and what happens next.
struct Explanation: Hashable, Sendable {
    /// What its state means.
    var meaning: Sentence
    /// What is being done, or what it waits for.
    var present: Sentence?
    /// By when what is being done must be done.
    var deadline: Instant?
    var next: Sentence
    /// When that begins, where it has a time.
    var nextAt: Instant?
    /// What an administrator can do, each a sentence with its command.
    var remedies: [Sentence] = []
}

extension Room {
    func desktop(named name: String) throws(BrokerError) -> Desktop {
        guard let desktop = desktops.values.first(where: { $0.name == name }) else { throw .unknownDesktop(name) }
        return desktop
    }

    /// Why a desktop is not ready and what happens next, for one line of a list; nil where its state says it all.
    func note(on desktop: Desktop) -> Sentence? {
        switch desktop.state {
        case .leased where desktop.isSetAside: return Told.quarantineAfterSession()
        case .quarantined(_, holding: false) where desktop.isSetAside: return explanation(of: desktop).present
        case .ready, .leased: return nil
        case .quarantined(let cause, _):
            guard let retryAt = works[desktop.id]?.retryAt else { return cause }
            return Told.triedAgain(cause, max(.zero, retryAt - now).text)
        case .empty, .preparing, .retiring:
            let explanation = explanation(of: desktop)
            return explanation.present ?? explanation.next
        }
    }

    func explanation(of desktop: Desktop) -> Explanation {
        switch desktop.state {
        case .empty where desktop.isSetAside: ofSetAside(desktop)
        case .empty: ofEmpty(desktop)
        case .preparing(let step): ofPreparing(desktop, at: step)
        case .ready:
            Explanation(
                meaning: Told.parked(), present: works[desktop.id]?.isAiring == true ? Told.aired() : nil, next: Told.givenNext(),
                remedies: [Told.remakeThrowsAway(desktop.name)])
        case .leased(let session): ofLeased(desktop, session)
        case .retiring: ofRetiring(desktop)
        case .quarantined(_, let holding): ofQuarantined(desktop, holding)
        }
    }

    private func ofSetAside(_ desktop: Desktop) -> Explanation {
        Explanation(
            meaning: Told.setAside(), present: Told.waitsForRelease(), next: Told.madeOnceReleased(), remedies: [Told.releaseMakesAnew(desktop.name)])
    }

    private func ofEmpty(_ desktop: Desktop) -> Explanation {
        var told = Explanation(meaning: Told.empty(), next: Told.isMade())
        let work = works[desktop.id]
        guard let lab = labs[desktop.lab] else {
            told.next = Told.goesWithItsLab()
            return told
        }
        if work?.isBeingAdded == true {
            told.present = Told.isWritten()
        } else if capacity == nil {
            told.present = unmeasured.map { Told.unmeasured($0) } ?? Told.beingMeasured()
            told.next = Told.nothingBeforeMeasured()
            told.nextAt = refillAt
            if unmeasured != nil { told.remedies = [Told.statusTells()] }
        } else {
            switch work?.hindrance {
            case .othersFirst(let count):
                told.present = Told.othersFirst(count)
                told.next = Told.madeInItsTurn()
            case .checkpointFirst(let name):
                told.present = name.map { Told.checkpointFirstBy($0) } ?? Told.checkpointFirst()
                told.next = Told.restoredInSeconds()
            case .doesNotFit(let why):
                told.present = Told.doesNotFit(why)
                told.next = Told.madeOnceItFits()
                told.nextAt = refillAt
                told.remedies = [Told.smallerLabFits(lab.name), Told.othersMayRun()]
            case nil: told.next = Told.aboutToBeMade()
            }
        }
        return told
    }

    private func ofPreparing(_ desktop: Desktop, at step: PreparationStep) -> Explanation {
        let work = works[desktop.id]
        let steps = steps(of: desktop)
        let number = (steps.firstIndex(of: step) ?? 0) + 1
        let present =
            switch step {
            case .overlay: Told.disk()
            case .domain: Told.domain()
            case .identity: Told.identity()
            case .readiness: work?.finding.map { Told.bootsWith($0) } ?? Told.boots()
            case .freezing: Told.freezing()
            case .parking: Told.parking()
            }
        return Explanation(
            meaning: Told.making(number, steps.count), present: present, deadline: work?.deadline,
            next: Told.readyWhenDone(settings.deadline(of: step, in: work?.making).text), remedies: [Told.remakeGivesUp(desktop.name)])
    }

    private func ofLeased(_ desktop: Desktop, _ id: SessionID) -> Explanation {
        let session = sessions[id]
        let seat = session.flatMap { seats[$0.session.seat]?.name }
        var told = Explanation(
            meaning: seat.map { Told.leasedTo(id, $0) } ?? Told.leased(id), deadline: session?.deadline,
            next: desktop.isSetAside ? Told.asideAfterSession() : Told.anewAfterSession(), remedies: [Told.endEndsSession(id)])
        if let end = session.flatMap({ timeLimit(of: $0) }) {
            told.next = Told.sessionEndsByTime(told.next)
            told.nextAt = end
        }
        switch session?.phase {
        case .committing, .unpausing: told.present = Told.handedOut()
        case .handedOut where session?.links.isEmpty == true:
            told.present = Told.nobodyConnected()
        case .handedOut: told.present = Told.connected()
        case nil: break
        }
        return told
    }

    private func ofRetiring(_ desktop: Desktop) -> Explanation {
        var told = Explanation(
            meaning: Told.removing(), present: Told.removed(), deadline: works[desktop.id]?.deadline, next: Told.madeAnew())
        if labs[desktop.lab] == nil || desktops.count(in: desktop.lab) > labs[desktop.lab].map(wanted(in:)) ?? 0 {
            told.next = Told.madeAnewIfWanted()
        }
        if desktop.isSetAside { told.next = Told.staysAside() }
        if let failure = desktop.failure, failure.generation == desktop.generation, !desktop.isSetAside {
            told.present = Told.makingFailed(failure.cause)
            told.next = Told.madeAnewAfter(pause(after: failure).text)
        }
        return told
    }

    private func ofQuarantined(_ desktop: Desktop, _ holding: Bool) -> Explanation {
        if desktop.isSetAside, !holding { return ofSetAside(desktop) }
        let times = desktop.failure.map(\.count) ?? 1
        let retryAt = works[desktop.id]?.retryAt
        return holding
            ? Explanation(
                meaning: Told.notRemoved(), next: Told.removedAgain(), nextAt: retryAt,
                remedies: [Told.remakeTriesRemoval(desktop.name), Told.xenMayHoldIt(domainName(of: desktop))])
            : Explanation(
                meaning: times > 1 ? Told.failedOften(times) : Told.failed(), next: Told.madeAnew(), nextAt: retryAt,
                remedies: [Told.remakeMakesAnew(desktop.name)])
    }
}
