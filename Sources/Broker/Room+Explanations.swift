import DesktopModel

/// Where a desktop stands and what happens next, in plain words.
struct Explanation: Hashable, Sendable {
    /// What its state means.
    var meaning: String
    /// What is being done, or what it waits for.
    var present: String?
    /// By when what is being done must be done.
    var deadline: Instant?
    var next: String
    /// When that begins, where it has a time.
    var nextAt: Instant?
    /// What an administrator can do, each a sentence with its command.
    var remedies: [String] = []
}

extension Duration {
    /// Whole seconds, as people read them: `420 s`.
    var text: String { "\(components.seconds) s" }
    /// With a tenth: `5.2 s`.
    var tenths: String {
        let tenths = (components.seconds * 100 + components.attoseconds / 10_000_000_000_000_000 + 5) / 10
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

extension Room {
    func desktop(named name: String) throws(BrokerError) -> Desktop {
        guard let desktop = desktops.values.first(where: { $0.name == name }) else { throw .unknownDesktop(name) }
        return desktop
    }

    /// Why a desktop is not ready and what happens next, for one line of a list; nil where its state says it all.
    func note(on desktop: Desktop) -> String? {
        switch desktop.state {
        case .leased where desktop.isSetAside: return "it goes into quarantine when its session ends"
        case .quarantined(_, holding: false) where desktop.isSetAside: return explanation(of: desktop).present
        case .ready, .leased: return nil
        case .quarantined(let cause, _):
            guard let retryAt = works[desktop.id]?.retryAt else { return cause }
            return "\(cause); tried again in \(max(0, (retryAt - now).components.seconds)) s"
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
                meaning: "Its RDP has answered in this generation, and it is parked",
                present: works[desktop.id]?.isAiring == true ? "it is let run for a moment, so that it answers as at first" : nil,
                next: "the next seat that asks is given it at once, unless its lab's image or profile changes before: then it is made anew",
                remedies: ["'punnet desktop remake \(desktop.name)' throws it away and makes it anew"])
        case .leased(let session): ofLeased(desktop, session)
        case .retiring: ofRetiring(desktop)
        case .quarantined(_, let holding): ofQuarantined(desktop, holding)
        }
    }

    private func ofSetAside(_ desktop: Desktop) -> Explanation {
        Explanation(
            meaning: "An administrator has put it in quarantine. Nothing is left of it, and it takes nothing of the server",
            present: "it is in quarantine until an administrator releases it", next: "it is made anew once it is released",
            remedies: ["'punnet desktop release \(desktop.name)' has it made anew"])
    }

    private func ofEmpty(_ desktop: Desktop) -> Explanation {
        var told = Explanation(meaning: "It holds nothing: no domain and no disk", next: "it is made")
        let work = works[desktop.id]
        guard let lab = labs[desktop.lab] else {
            told.next = "it goes with its lab, which is being deleted"
            return told
        }
        if work?.isBeingAdded == true {
            told.present = "it is being written to the database"
        } else if capacity == nil {
            told.present = unmeasured.map { "what the server has is not known: \($0)" } ?? "the server is being asked what it has"
            told.next = "nothing is begun before that is known; the server is asked again"
            told.nextAt = refillAt
            if unmeasured != nil { told.remedies = ["'punnet status' tells what is wrong with the server"] }
        } else {
            switch work?.hindrance {
            case .othersFirst(let count):
                told.present = "others are being made first: \(count) at once are under way, and more may not be"
                told.next = "it is made when its turn comes"
            case .checkpointFirst(let name):
                told.present = "its image is started once for all of its desktops\(name.map { ", by '\($0)'" } ?? ""), which comes first"
                told.next = "it is restored from that in seconds"
            case .doesNotFit(let why):
                told.present = "it does not fit the server now: \(why)"
                told.next = "it is made as soon as it fits; the server is asked again"
                told.nextAt = refillAt
                told.remedies = [
                    "'punnet lab set \(lab.name)' with a smaller --size or less --memory makes it fit", "'xl list' tells what else runs",
                ]
            case nil: told.next = "it is about to be made"
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
            case .overlay: "its disk is being laid"
            case .domain: "Xen builds its domain"
            case .identity: "it starts, and takes over an identity of its own"
            case .readiness: "it boots; RDP does not answer yet" + (work?.finding.map { " (\($0))" } ?? "")
            case .freezing: "RDP has answered; it is being frozen, so that all others of its image and profile are restored from it"
            case .parking: "RDP has answered; it is being parked"
            }
        return Explanation(
            meaning: "It is being made: step \(number) of \(steps.count)", present: present, deadline: work?.deadline,
            next: "it is ready when all steps are done. A step that is not done within \(settings.deadline(of: step, in: work?.making).text) has failed: then "
                + "what there is of it is removed, and it is made anew after a pause",
            remedies: ["'punnet desktop remake \(desktop.name)' gives this try up and begins another"])
    }

    private func ofLeased(_ desktop: Desktop, _ id: SessionID) -> Explanation {
        let session = sessions[id]
        let seat = session.flatMap { seats[$0.session.seat]?.name }.map { " of seat '\($0)'" } ?? ""
        var told = Explanation(
            meaning: "It belongs to session \(id)\(seat)", deadline: session?.deadline,
            next: desktop.isSetAside
                ? "when the session ends it is thrown away, and stays in quarantine until an administrator releases it"
                : "when the session ends it is thrown away and made anew", remedies: ["'punnet session end \(id)' ends its session"])
        if let end = session.flatMap({ timeLimit(of: $0) }) {
            told.next = "the session ends, since it has lasted as long as its lab allows; \(told.next)"
            told.nextAt = end
        }
        switch session?.phase {
        case .committing, .unpausing: told.present = "it is being handed out"
        case .handedOut where session?.links.isEmpty == true:
            told.present = "nobody is connected: the session ends unless somebody is by then"
        case .handedOut: told.present = "its seat is connected"
        case nil: break
        }
        return told
    }

    private func ofRetiring(_ desktop: Desktop) -> Explanation {
        var told = Explanation(
            meaning: "What it held is being removed: its domain and its disk", present: "what it held is being removed",
            deadline: works[desktop.id]?.deadline, next: "it is made anew")
        if labs[desktop.lab] == nil || desktops.count(in: desktop.lab) > labs[desktop.lab].map(wanted(in:)) ?? 0 {
            told.next = "it is made anew where its lab still wants it, and forgotten otherwise"
        }
        if desktop.isSetAside { told.next = "it stays in quarantine until an administrator releases it" }
        if let failure = desktop.failure, failure.generation == desktop.generation, !desktop.isSetAside {
            told.present = "its making failed: \(failure.cause)"
            told.next = "it is made anew, \(pause(after: failure).text) after all of it is removed"
        }
        return told
    }

    private func ofQuarantined(_ desktop: Desktop, _ holding: Bool) -> Explanation {
        if desktop.isSetAside, !holding { return ofSetAside(desktop) }
        let times = desktop.failure.map(\.count) ?? 1
        var told = Explanation(meaning: "", next: "", nextAt: works[desktop.id]?.retryAt)
        if holding {
            told.meaning = "Its domain or its disk could not be removed. It is out of use, and what it held stays in the books"
            told.next = "its removal is tried again"
            told.remedies = [
                "'punnet desktop remake \(desktop.name)' tries it at once",
                "'xl list' tells whether Xen still has its domain, \(domainName(of: desktop)); 'xl destroy' ends it",
            ]
        } else {
            told.meaning =
                "Making it has failed" + (times > 1 ? " (\(times) failures in a row)" : "")
                + ". Nothing is left of it, and it takes nothing of the server"
            told.next = "it is made anew"
            told.remedies = ["'punnet desktop remake \(desktop.name)' makes it anew at once"]
        }
        return told
    }
}
