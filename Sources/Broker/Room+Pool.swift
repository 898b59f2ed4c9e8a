import DesktopModel
import DesktopStore
import Hypervisor

/// Keeping each lab's number of desktops: adding, making, parking, removing.
extension Room {
    /// Brings every pool nearer to what it should be, as far as may be begun now. Called after all that could matter to it.
    mutating func fill() {
        guard capacity != nil else { return measure() }
        for lab in labs.values.sorted(by: { $0.id < $1.id }) {
            addMissing(in: lab)
            removeSurplus(in: lab)
        }
        beginEmpty()
        for lab in labs.values.sorted(by: { $0.id < $1.id }) { removeOutdated(in: lab) }
        if desktops.empty.contains(where: { if case .doesNotFit? = works[$0]?.hindrance { true } else { false } }) {
            refillAt = refillAt ?? now + settings.fitPause
        }
    }

    /// How many desktops are being made or removed.
    var underWay: Int { desktops.underWay.count }

    private mutating func addMissing(in lab: Lab) {
        let wanted = wanted(in: lab)
        guard desktops.count(in: lab.id) < wanted else { return }
        let present = desktops.values.filter { $0.lab == lab.id }
        var numbers = Set(present.map(\.number))
        var taken = Set(desktops.values.map(\.place.rawValue))
        for _ in present.count..<wanted {
            guard let place = (1...max(1, addresses.places)).first(where: { !taken.contains($0) }), addresses.places > 0 else {
                effects.append(.notice("the desktops' network has no address left", ["lab": lab.name]))
                return
            }
            guard let number = (1...).first(where: { !numbers.contains($0) }) else { return }
            let desktop = Desktop(
                id: nextDesktop, lab: lab.id, number: number, name: "\(lab.name)-\(number)", place: Place(rawValue: place))
            nextDesktop = DesktopID(rawValue: nextDesktop.rawValue + 1)
            desktops[desktop.id] = desktop
            mayReachOtherwise = true
            works[desktop.id] = Work(since: now, isBeingAdded: true)
            numbers.insert(number)
            taken.insert(place)
            record([.desktopAdded(desktop)], .added(desktop.id))
        }
    }

    /// Takes back what a lab has beyond what it is to have now; never a leased desktop, which goes when its session ends. What is being removed
    /// already counts, since it is not made anew while there is a surplus, and so does what could not be removed, which is tried again at its own
    /// time. First goes what nobody could be given now, last what has hardware of its own, which goes only where the lab has more than its size, or is
    /// in quarantine by hand.
    private mutating func removeSurplus(in lab: Lab) {
        let wanted = wanted(in: lab)
        guard desktops.count(in: lab.id) > wanted else { return }
        let mine = desktops.values.filter { $0.lab == lab.id }.sorted { surplusRank($0) < surplusRank($1) }
        var surplus = mine.count - wanted - mine.count { $0.isOnItsWayOut }
        var spareReady = spareReady(in: lab)
        for desktop in mine where surplus > 0 {
            if desktop.ownProfile != nil && mine.count <= lab.size { continue }
            switch desktop.state {
            case .empty, .quarantined(_, holding: false):
                drop(desktop.id)
            case .preparing:
                retire(desktop.id, [])
            case .ready:
                guard spareReady > 0 else { continue }
                spareReady -= 1
                retire(desktop.id, [])
            case .leased, .retiring, .quarantined(_, holding: true):
                continue
            }
            surplus -= 1
        }
    }

    /// Takes back what was made of another image or profile than its lab has now, as many at a time as are made at a time, so that the others can
    /// be given meanwhile: those that were taken back are made first. Where what is made now fails before one of them was ready, the rest is kept.
    private mutating func removeOutdated(in lab: Lab) {
        guard desktops.kinds.keys.contains(where: { $0.lab == lab.id && isOutdated($0) }) else { return }
        var lacksRoom = false
        for id in desktops.empty where desktops[id]?.lab == lab.id {
            guard case .doesNotFit? = works[id]?.hindrance else { return }
            lacksRoom = true
        }
        let mine = desktops.values.filter { $0.lab == lab.id }.sorted { surplusRank($0) < surplusRank($1) }
        let current = mine.filter { !isOutdated(Desktops.Kind($0)) && !$0.isSetAside }
        let isProven = current.contains { desktop in
            switch desktop.state {
            case .ready, .leased: true
            case .empty, .preparing, .retiring, .quarantined: false
            }
        }
        guard isProven || lacksRoom || !current.contains(where: { $0.failure != nil }) else { return }
        for desktop in mine where isOutdated(Desktops.Kind(desktop)) {
            guard case .success = mayBegin(in: lab) else { return }
            guard let current = desktops[desktop.id] else { continue }
            switch current.state {
            case .ready, .preparing: retire(desktop.id, [])
            default: continue
            }
        }
    }

    /// The lowest goes first where a lab has too many.
    private func surplusRank(_ desktop: Desktop) -> (Int, Int, Int) {
        (desktop.ownProfile == nil && !desktop.isSetAside ? 0 : 1, desktop.state == .ready ? 1 : 0, -desktop.number)
    }

    /// Whether such desktops were made of another image or profile than their lab has now.
    private func isOutdated(_ kind: Desktops.Kind) -> Bool {
        guard let lab = labs[kind.lab], kind.image != nil else { return false }
        return kind.image != lab.image || kind.profile != kind.ownProfile ?? lab.profile
    }

    private mutating func drop(_ id: DesktopID) {
        desktops[id] = nil
        mayReachOtherwise = true
        works[id] = nil
        record([.desktopRemoved(id)], .dropped(id))
    }

    // MARK: Making

    /// Begins empty desktops, as far as may be: first of a lab where more wait than there will soon be desktops for, then of the lab with the
    /// fewest on their way, then of the one whose turn was longest ago; and of a lab the first by number.
    private mutating func beginEmpty() {
        var empty = Dictionary(grouping: desktops.empty.sorted().reversed()) { desktops[$0]?.lab }
        while let lab = empty.keys.compactMap({ $0 }).min(by: { turn(of: $0) < turn(of: $1) }) {
            guard let id = empty[lab]?.popLast() else {
                empty[lab] = nil
                continue
            }
            guard let making = due(id) else { continue }
            begin(id, making)
            turns[lab] = nextTurn
            nextTurn += 1
        }
    }

    /// The lowest has its turn first. Who waits where desktops fail does not keep the other labs from theirs.
    private func turn(of lab: LabID) -> (Int, Int, UInt64, LabID) {
        let making = desktops.underWay.count { id in
            guard let desktop = desktops[id], desktop.lab == lab, case .preparing = desktop.state else { return false }
            return true
        }
        let isMissed =
            lines[lab, default: []].count > desktops.ready(in: lab).count + making
            && !desktops.values.contains { $0.lab == lab && $0.failure != nil && !$0.isSetAside }
        return (isMissed ? 0 : 1, making, turns[lab, default: 0], lab)
    }

    /// How an empty desktop is to be begun now; nil where it is not.
    private mutating func due(_ id: DesktopID) -> Making? {
        works[id]?.hindrance = nil
        guard let desktop = desktops[id], desktop.state == .empty, works[id]?.isBeingAdded == false else { return nil }
        guard let lab = labs[desktop.lab], let image = images[lab.image] else { return nil }
        if case .failure(let hindrance) = mayBegin(in: lab) {
            works[id]?.hindrance = hindrance
            return nil
        }
        let profile = desktop.ownProfile ?? lab.profile
        switch making(of: desktop, of: image, profile) {
        case .failure(let hindrance): works[id]?.hindrance = hindrance
        case .success(let making):
            // A checkpoint needs more room than a desktop alone.
            let possible = making == .checkpoint(nextCheckpoint) ? [making, .boot] : [making]
            if let fitting = possible.first(where: { hindrance(to: profile, image, $0) == nil }) { return fitting }
            let why = hindrance(to: profile, image, possible.last ?? making)
            works[id]?.hindrance = why.map { .doesNotFit($0) }
        }
        return nil
    }

    private mutating func begin(_ id: DesktopID, _ making: Making) {
        guard let lab = desktops[id].flatMap({ labs[$0.lab] }), let profile = desktops[id].flatMap(profile(for:)) else { return }
        move(id, .prepare)
        guard var desktop = desktops[id] else { return }
        desktop.generation = desktop.generation.next
        desktop.image = lab.image
        desktop.profile = profile
        desktop.checkpoint = nil
        desktop.fingerprint = nil
        desktop.password = nil
        var changes: [StoreChange] = []
        switch making {
        case .boot: break
        case .checkpoint(let checkpoint): changes = beginCheckpoint(checkpoint, of: lab.image, profile)
        case .restore(let checkpoint): desktop.checkpoint = checkpoint
        }
        desktops[id] = desktop
        works[id]?.finding = nil
        works[id]?.making = making
        record(changes + [.desktopChanged(desktop)], .begun(id, desktop.generation))
        dropCheckpoints()
    }

    /// Asks for a step of a desktop that is being made, and sets its deadline.
    mutating func ask(_ id: DesktopID, _ step: Step, within deadline: Duration) {
        guard let desktop = desktops[id] else { return }
        works[id]?.deadline = now + deadline
        effects.append(.step(id, desktop.generation, step))
    }

    /// The desktop, if it is still at the step of the generation that an outcome speaks of; what comes too late is nobody's.
    private func preparing(_ id: DesktopID, _ generation: Generation, at step: PreparationStep) -> Desktop? {
        guard let desktop = desktops[id], desktop.generation == generation, desktop.state == .preparing(step) else { return nil }
        return desktop
    }

    mutating func stepDone(_ id: DesktopID, _ generation: Generation, _ outcome: StepOutcome) {
        switch outcome {
        case .overlayLaid(let path):
            guard let desktop = preparing(id, generation, at: .overlay), let plan = plan(for: desktop, overlay: path) else { return }
            move(id, .advance(to: .domain))
            let step: Step = if case .restore(let checkpoint)? = works[id]?.making { .restore(plan, checkpoint) } else { .build(plan) }
            ask(id, step, within: settings.deadline(of: .domain, in: works[id]?.making))
        case .domainBuilt:
            guard let desktop = preparing(id, generation, at: .domain), let image = desktop.image.flatMap({ images[$0] }) else { return }
            // What is to be frozen keeps what it has in common with its clones.
            if case .checkpoint? = works[id]?.making { return awaitReadiness(of: desktop) }
            guard image.hasGuest else { return awaitReadiness(of: desktop) }
            move(id, .advance(to: .identity))
            ask(
                id, .settle(uuid(of: desktop), hostname: desktop.name, user: image.account.user),
                within: settings.deadline(of: .identity, in: works[id]?.making))
        case .settled(let password):
            guard let desktop = preparing(id, generation, at: .identity) else { return }
            desktops[id]?.password = password
            awaitReadiness(of: desktop)
        case .answered(let fingerprint):
            guard let desktop = preparing(id, generation, at: .readiness) else { return }
            if case .checkpoint(let checkpoint)? = works[id]?.making {
                move(id, .advance(to: .freezing))
                let overlay = OverlayName(desktop: id, generation: generation)
                return ask(id, .freeze(uuid(of: desktop), overlay, checkpoint), within: settings.deadline(of: .freezing, in: works[id]?.making))
            }
            move(id, .advance(to: .parking))
            desktops[id]?.fingerprint = fingerprint
            ask(id, .pause(uuid(of: desktop)), within: settings.deadline(of: .parking, in: works[id]?.making))
        case .frozen(let memory):
            guard preparing(id, generation, at: .freezing) != nil, case .checkpoint(let checkpoint)? = works[id]?.making else { return }
            let took = works[id]?.doneText ?? ""
            retire(id, checkpointIsFrozen(checkpoint, of: id, holding: memory, took: took))
        case .paused:
            guard var desktop = preparing(id, generation, at: .parking) else { return }
            guard let parked = desktop.state.after(.parked) else { return }
            desktop.state = parked
            desktop.failure = nil
            let proven = proven(by: works[id]?.making).map { [StoreChange.checkpointChanged($0)] } ?? []
            record(proven + [.desktopChanged(desktop)], .parked(id, generation))
        case .aired:
            aired(id, generation)
        case .removed:
            removed(id, generation)
        }
    }

    private mutating func awaitReadiness(of desktop: Desktop) {
        guard let place = addresses.addresses(of: desktop.place) else { return }
        move(desktop.id, .advance(to: .readiness))
        ask(
            desktop.id, .awaitReadiness(uuid(of: desktop), place.address),
            within: settings.deadline(of: .readiness, in: works[desktop.id]?.making))
    }

    private func plan(for desktop: Desktop, overlay: String) -> DomainPlan? {
        guard let image = desktop.image.flatMap({ images[$0] }), let profile = desktop.profile,
            let place = addresses.addresses(of: desktop.place)
        else { return nil }
        return DomainPlan(
            uuid: uuid(of: desktop), name: domainName(of: desktop), boot: image.boot, kernel: image.kernel, ramdisk: image.ramdisk,
            commandLine: image.commandLine, profile: profile, memory: desktop.checkpoint.flatMap { checkpoints[$0]?.memory }, overlay: overlay,
            mac: place.mac, address: place.address)
    }

    /// The making of a generation, or its removal, has failed at this step; a step that it is no longer at is over, however it ended.
    mutating func stepFailed(_ id: DesktopID, _ generation: Generation, _ kind: StepKind, cause: Sentence, isSpoilt: Bool = false) {
        guard let desktop = desktops[id], desktop.generation == generation else { return }
        let failures = (desktop.failure?.count ?? 0) + 1
        switch (desktop.state, kind) {
        case (.preparing(let stands), .making(let step)) where stands == step:
            desktops[id]?.failure = Failure(count: failures, generation: generation, step: step, cause: cause)
            effects.append(
                .notice("a desktop could not be made", ["desktop": desktop.name, "generation": "\(generation)", "cause": "\(cause)"]))
            readConsole(of: id)
            retire(id, makingFailed(id, at: step, cause, isSpoilt: isSpoilt))
            // Others may have waited for it, and for minutes.
            capacity = nil
            measure()
        case (.ready, .airing), (.leased, .airing): airingFailed(id, cause: cause)
        case (.retiring, .removal):
            let cause = Cause.notRemoved(cause)
            if desktop.failure?.generation == generation {
                // Why its making failed stays the cause of all.
                desktops[id]?.failure?.count = failures
            } else {
                desktops[id]?.failure = Failure(count: failures, generation: generation, step: nil, cause: cause)
            }
            hold(id, cause: cause, holding: true)
            fill()
        default:
            return
        }
    }

    mutating func notReady(_ id: DesktopID, _ generation: Generation, _ finding: Sentence) {
        guard preparing(id, generation, at: .readiness) != nil else { return }
        works[id]?.finding = finding
    }

    /// Puts what failed into quarantine and sets the next try's time; the pauses grow.
    private mutating func hold(_ id: DesktopID, cause: Sentence, holding: Bool) {
        move(id, .quarantine(cause: cause, holding: holding))
        works[id]?.deadline = nil
        works[id]?.resists = holding
        let pause = pause(after: desktops[id]?.failure)
        works[id]?.retryAt = now + pause
        // Whose turn it is now may have waited for minutes.
        capacity = nil
        guard let desktop = desktops[id] else { return }
        record([.desktopChanged(desktop)], .held(id))
        effects.append(.notice("a desktop is in quarantine", ["desktop": desktop.name, "cause": "\(cause)"]))
    }

    mutating func overdueSteps() {
        for (id, work) in works.sorted(by: { $0.key < $1.key }) {
            if let deadline = work.deadline, deadline <= now, let desktop = desktops[id] {
                works[id]?.deadline = nil
                overdue(desktop, finding: work.finding)
            }
            if let retryAt = work.retryAt, retryAt <= now { retry(id) }
        }
    }

    private mutating func overdue(_ desktop: Desktop, finding: Sentence?) {
        switch desktop.state {
        case .preparing(let step):
            let limit = settings.deadline(of: step, in: works[desktop.id]?.making).text
            let cause =
                switch step {
                case .overlay: Cause.slowDisk(limit)
                case .domain: Cause.slowDomain(limit)
                case .identity: Cause.slowIdentity(limit)
                case .readiness: finding.map { Cause.noAnswerWith(limit, $0) } ?? Cause.noAnswer(limit)
                case .freezing: Cause.slowFreezing(limit)
                case .parking: Cause.slowParking(limit)
                }
            stepFailed(desktop.id, desktop.generation, .making(step), cause: cause)
        case .retiring:
            stepFailed(desktop.id, desktop.generation, .removal, cause: Cause.slowRemoval(settings.removalDeadline.text))
        case .ready:
            airingFailed(desktop.id, cause: Cause.noAnswer(settings.airingDeadline.text))
        case .empty, .leased, .quarantined:
            return
        }
    }

    /// How long what has failed waits for its next try.
    func pause(after failure: Failure?) -> Duration {
        settings.retryPauses[min(max(1, failure?.count ?? 1), settings.retryPauses.count) - 1]
    }

    private mutating func retry(_ id: DesktopID) {
        works[id]?.retryAt = nil
        guard let desktop = desktops[id], case .quarantined(_, let holding) = desktop.state else { return }
        move(id, .retry)
        // It has waited, and the server may have something else than before.
        capacity = nil
        if holding { resumeRemoval(of: id) }
    }

    // MARK: Removing

    /// Begins the end of what a desktop holds. `facts` go to the disk with it: the end of its session, say.
    mutating func retire(_ id: DesktopID, _ facts: [StoreChange]) {
        let abandoned = abandonCheckpoint(of: id)
        move(id, .retire)
        works[id]?.retryAt = nil
        works[id]?.isAiring = false
        guard let desktop = desktops[id] else { return }
        record(facts + [.desktopChanged(desktop)] + abandoned, .retiring(id))
        resumeRemoval(of: id)
        reviseOffers(in: desktop.lab)
    }

    mutating func resumeRemoval(of id: DesktopID) {
        guard let desktop = desktops[id] else { return }
        ask(
            id, .remove(uuid(of: desktop), OverlayName(desktop: id, generation: desktop.generation)), within: settings.removalDeadline)
    }

    private mutating func removed(_ id: DesktopID, _ generation: Generation) {
        guard let desktop = desktops[id], desktop.generation == generation else { return }
        switch desktop.state {
        case .retiring: break
        // It was given up, and went after all.
        case .quarantined(_, holding: true): move(id, .retry)
        case .empty, .preparing, .ready, .leased, .quarantined(_, holding: false): return
        }
        works[id]?.deadline = nil
        works[id]?.retryAt = nil
        works[id]?.resists = false
        effects.append(.dropConsole(domainName(of: desktop)))
        leaveCheckpoint(id)
        if let failure = desktop.failure, failure.generation == generation, failure.step != nil, labs[desktop.lab] != nil {
            hold(id, cause: failure.cause, holding: false)
        } else {
            move(id, .removed)
            desktops[id]?.fingerprint = nil
            desktops[id]?.password = nil
            guard let empty = desktops[id] else { return }
            record([.desktopChanged(empty)], .emptied(id, generation))
        }
        dropCheckpoints()
        capacity = nil
        // What was asked before would tell of what is gone as of somebody else's.
        measuring?.isOutdated = true
        fillAfterRemoval(of: id)
    }

    private mutating func fillAfterRemoval(of id: DesktopID) {
        guard let desktop = desktops[id] else { return }
        guard let lab = labs[desktop.lab] else { return drop(id) }
        if desktops.count(in: lab.id) > (desktop.ownProfile == nil && !desktop.isSetAside ? wanted(in: lab) : lab.size), desktop.state == .empty { drop(id) }
        fill()
    }

    // MARK: What has reached the disk

    mutating func recorded(_ milestone: Milestone) {
        switch milestone {
        case .added(let id):
            works[id]?.isBeingAdded = false
            fill()
        case .begun(let id, let generation):
            guard let desktop = preparing(id, generation, at: .overlay), let image = desktop.image.flatMap({ images[$0] }) else { return }
            let overlay = OverlayName(desktop: id, generation: generation)
            let step: Step =
                if case .restore(let checkpoint)? = works[id]?.making {
                    .layOverlayOver(checkpoint, overlay)
                } else {
                    .layOverlay(blank: image.blankOverlay, overlay)
                }
            ask(id, step, within: settings.deadline(of: .overlay, in: works[desktop.id]?.making))
        case .parked(let id, let generation):
            guard let desktop = preparing(id, generation, at: .parking) else { return }
            move(id, .parked)
            checkpointIsProven(by: works[id]?.making)
            let took = works[id]?.doneText ?? ""
            let done = works[id]?.done ?? []
            works[id] = Work(since: now, done: done)
            planAiring(of: id)
            desktops[id]?.failure = nil
            effects.append(.notice("desktop ready", ["desktop": desktop.name, "generation": "\(generation)", "took": took]))
            serveLine(of: desktop.lab)
            // Whose turn it is now may have waited for minutes.
            capacity = nil
            fill()
        case .leased(let session): leaseRecorded(session)
        case .ticketRenewed(let session, let claim): ticketRenewed(session, claim)
        case .retiring, .emptied, .dropped, .held, .consoleKept, .checkpointGone: return
        }
    }

    mutating func notRecorded(_ milestone: Milestone, cause: Sentence) {
        switch milestone {
        case .added(let id):
            // It exists nowhere but here; the next filling adds it again, with another number.
            desktops[id] = nil
            mayReachOtherwise = true
            works[id] = nil
            refillAt = now + settings.refillPause
            effects.append(.notice("a desktop could not be written to the database", ["cause": "\(cause)"]))
        case .begun(let id, let generation):
            // A checkpoint that the database does not know is none.
            if case .checkpoint(let checkpoint)? = works[id]?.making { checkpoints[checkpoint] = nil }
            stepFailed(id, generation, .making(.overlay), cause: Cause.databaseFailed(cause))
        case .parked(let id, let generation): stepFailed(id, generation, .making(.parking), cause: Cause.databaseFailed(cause))
        case .leased(let session): leaseNotRecorded(session, cause: cause)
        case .ticketRenewed(let session, let claim): ticketNotRenewed(session, claim, cause: cause)
        case .retiring, .emptied, .dropped, .held, .consoleKept, .checkpointGone: return
        }
    }

    // MARK: Consoles

    /// Asks for the last lines of a generation whose making failed. Before its domain was built it had no console.
    mutating func readConsole(of id: DesktopID) {
        guard let desktop = desktops[id], let failure = desktop.failure, failure.generation == desktop.generation else { return }
        guard let step = failure.step, step != .overlay else { return }
        effects.append(.readConsole(id, desktop.generation, domainName(of: desktop)))
    }

    /// They are kept with the failure of that generation, and only with it.
    mutating func consoleRead(_ id: DesktopID, _ generation: Generation, _ lines: [String]) {
        guard !lines.isEmpty, desktops[id]?.failure?.generation == generation else { return }
        desktops[id]?.failure?.console = lines
        record([.consoleRead(id, generation, lines)], .consoleKept(id))
    }

    // MARK: What happens by itself, and what administrators ask for

    mutating func domainEnded(_ uuid: DomainUUID, _ kind: DomainEvent.Kind) {
        guard let desktop = desktop(with: uuid) else { return }
        let deed =
            switch kind {
            case .shutDown: Cause.shutDown()
            case .crashed: Cause.crashed()
            case .died: Cause.ended()
            }
        switch desktop.state {
        case .leased(let session):
            if sessions[session]?.phase == .handedOut {
                end(session, because: .desktopDied)
            } else {
                notHandedOut(session, cause: deed)
            }
        case .ready:
            effects.append(.notice("a ready desktop ended by itself", ["desktop": desktop.name, "cause": "\(deed)"]))
            retire(desktop.id, [])
        case .preparing(let step) where step != .overlay && step != .domain:
            stepFailed(desktop.id, desktop.generation, .making(step), cause: Cause.beforeReady(deed))
        case .empty, .preparing, .retiring, .quarantined: return
        }
    }

    /// Takes a desktop out of use, one that somebody works at when that is over; or has it made again.
    mutating func setAside(_ id: DesktopID, _ isSetAside: Bool) {
        guard let desktop = desktops[id], desktop.isSetAside != isSetAside else { return }
        desktops[id]?.isSetAside = isSetAside
        switch desktop.state {
        case .ready where isSetAside, .preparing where isSetAside: retire(id, [])
        case .quarantined where !isSetAside: retry(id)
        case .empty, .preparing, .ready, .leased, .retiring, .quarantined: break
        }
        capacity = nil
        fill()
    }

    mutating func remake(_ id: DesktopID) {
        guard let desktop = desktops[id] else { return }
        desktops[id]?.failure = nil
        switch desktop.state {
        case .leased(let session): end(session, because: .administrator)
        case .ready, .preparing:
            retire(id, [])
            // Others may have waited for it, and for minutes.
            capacity = nil
        case .quarantined: retry(id)
        case .empty, .retiring: break
        }
        fill()
    }

    mutating func labChanged(_ lab: Lab) {
        followingAtOnce { $0.labs[lab.id] = lab }
        for id in desktops.keys where desktops[id]?.lab == lab.id { planAiring(of: id) }
        for (id, open) in sessions where desktops[open.session.desktop]?.lab == lab.id { reviseLimit(of: id) }
        // What failed with the former settings deserves a try with the new ones.
        for id in desktops.keys.sorted() where desktops[id]?.lab == lab.id {
            if case .quarantined = desktops[id]?.state { retry(id) }
        }
        if let checkpoint = checkpoint(of: lab.image, lab.profile) { checkpointRetryAt[checkpoint.id] = nil }
        dropCheckpoints()
        capacity = nil
        fill()
        serveLine(of: lab.id)
    }

    mutating func imageIs(_ image: ImageVersion) {
        images[image.id] = image
        dropCheckpoints()
        capacity = nil
        fill()
    }

    /// Nothing is made of it any more; what held something of it before names it no longer.
    mutating func imageRemoved(_ id: ImageVersionID) {
        images[id] = nil
        for desktop in desktops.keys where desktops[desktop]?.image == id && desktops[desktop]?.state.holdsResources == false { desktops[desktop]?.image = nil }
    }

    mutating func labRemoved(_ id: LabID) {
        labs[id] = nil
        lines[id] = nil
        turns[id] = nil
        for desktop in desktops.keys where desktops[desktop]?.lab == id { planAiring(of: desktop) }
        dropCheckpoints()
        capacity = nil
        fill()
    }
}
