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
        for id in desktops.keys.sorted() where isDue(id) { begin(id) }
    }

    /// How many desktops are being made or removed.
    private var underWay: Int {
        desktops.values.count { desktop in
            switch desktop.state {
            case .preparing, .retiring: true
            default: false
            }
        }
    }

    private mutating func addMissing(in lab: Lab) {
        let present = desktops.values.filter { $0.lab == lab.id }
        guard present.count < lab.size else { return }
        var numbers = Set(present.map(\.number))
        var taken = Set(desktops.values.map(\.place.rawValue))
        for _ in present.count..<lab.size {
            guard let place = (1...max(1, addresses.places)).first(where: { !taken.contains($0) }), addresses.places > 0 else {
                effects.append(.notice("the desktops' network has no address left", ["lab": lab.name]))
                return
            }
            guard let number = (1...).first(where: { !numbers.contains($0) }) else { return }
            let desktop = Desktop(
                id: nextDesktop, lab: lab.id, number: number, name: "\(lab.name)-\(number)", place: Place(rawValue: place))
            nextDesktop = DesktopID(rawValue: nextDesktop.rawValue + 1)
            desktops[desktop.id] = desktop
            works[desktop.id] = Work(since: now, isBeingAdded: true)
            numbers.insert(number)
            taken.insert(place)
            record([.desktopAdded(desktop)], .added(desktop.id))
        }
    }

    /// Takes back what a lab has beyond its size, and what was made of another image or profile; never a leased desktop, which goes when
    /// its session ends. What is being removed already counts, since it is not made anew while there is a surplus.
    private mutating func removeSurplus(in lab: Lab) {
        let mine = desktops.values.filter { $0.lab == lab.id }.sorted { $0.number > $1.number }
        var surplus = mine.count - lab.size - mine.count { $0.state == .retiring }
        for desktop in mine where surplus > 0 {
            switch desktop.state {
            case .empty, .quarantined(_, holding: false):
                drop(desktop.id)
            case .preparing, .ready, .quarantined(_, holding: true):
                retire(desktop.id, [])
            case .leased, .retiring:
                continue
            }
            surplus -= 1
        }
        for desktop in mine where isOutdated(desktop) && underWay < settings.atOnce {
            guard let current = desktops[desktop.id] else { continue }
            switch current.state {
            case .ready, .preparing: retire(desktop.id, [])
            default: continue
            }
        }
    }

    /// Whether it was made of another image or profile than its lab has now.
    private func isOutdated(_ desktop: Desktop) -> Bool {
        guard let lab = labs[desktop.lab], desktop.image != nil else { return false }
        return desktop.image != lab.image || desktop.profile != lab.profile
    }

    private mutating func drop(_ id: DesktopID) {
        desktops[id] = nil
        works[id] = nil
        record([.desktopRemoved(id)], .dropped(id))
    }

    // MARK: Admission

    private mutating func measure() {
        guard measuring == nil else { return }
        measuring = (nextMeasuring, now + settings.measureDeadline)
        effects.append(.measure(nextMeasuring))
        nextMeasuring += 1
    }

    /// What comes too late is not what the server has now: it was asked again.
    mutating func takeMeasurement(_ measurement: ServerMeasurement, _ number: UInt64) {
        guard measuring?.number == number else { return }
        measuring = nil
        let host = measurement.host
        // What is neither dom0's nor a desktop's of ours is somebody else's, and so is what is left of a generation that is over.
        var others = ByteCount.zero
        for domain in measurement.domains where desktop(with: domain.uuid)?.state.holdsResources != true { others += domain.memory }
        capacity = Capacity(
            total: host.totalMemory,
            memory: max(.zero, host.totalMemory - host.controlMemory - settings.memoryReserve - others),
            controlMemory: max(.zero, host.controlMemory - settings.controlReserve),
            disk: max(.zero, measurement.disk.free + measurement.disk.overlays - settings.diskReserve),
            diskTotal: measurement.disk.total, diskFree: measurement.disk.free)
        fill()
    }

    mutating func overdueMeasurement() {
        guard let measuring, measuring.until <= now else { return }
        measurementFailed("the server did not tell it within \(settings.measureDeadline)", measuring.number)
    }

    mutating func measurementFailed(_ cause: String, _ number: UInt64) {
        guard measuring?.number == number else { return }
        measuring = nil
        refillAt = now + settings.refillPause
        effects.append(.notice("the server's capacity is unknown; no desktop is begun", ["cause": cause]))
    }

    /// What a domain of this profile takes from Xen: its memory and the hypervisor's own tables for it.
    static func memoryNeeded(by profile: Profile) -> ByteCount {
        profile.memory + ByteCount(rawValue: profile.memory.rawValue / 128) + .mebibytes(Int64(2 + profile.vcpus))
    }

    /// What is promised to desktops now, whether they use it yet or not.
    var promised: (memory: ByteCount, disk: ByteCount, desktops: Int) {
        var memory = ByteCount.zero
        var disk = ByteCount.zero
        var count = 0
        for desktop in desktops.values where desktop.state.holdsResources {
            count += 1
            if let profile = desktop.profile { memory += Self.memoryNeeded(by: profile) }
            if let image = desktop.image.flatMap({ images[$0] }) { disk += image.diskSize }
        }
        return (memory, disk, count)
    }

    /// Why one more desktop of the profile and image cannot be promised; nil when it can.
    func hindrance(to profile: Profile, _ image: ImageVersion) -> String? {
        guard let capacity else { return "the server's capacity is not known yet" }
        let promised = promised
        let needed = Self.memoryNeeded(by: profile)
        if promised.memory + needed > capacity.memory {
            return "it needs \(needed) of memory; \(capacity.memory - promised.memory) of \(capacity.memory) are not promised yet"
        }
        if settings.controlMemoryPerDesktop * (promised.desktops + 1) > capacity.controlMemory {
            return "dom0 has no memory left for one more desktop's disk process"
        }
        if promised.disk + image.diskSize > capacity.disk {
            return "its disk may grow to \(image.diskSize); \(capacity.disk - promised.disk) of \(capacity.disk) are not promised yet"
        }
        return nil
    }

    /// How many desktops of the profile and image the server holds beside what other labs are to have.
    func holds(of profile: Profile, _ image: ImageVersion, inPlaceOf lab: LabID?) -> Int? {
        guard let capacity else { return nil }
        var memory = capacity.memory
        var control = capacity.controlMemory
        var disk = capacity.disk
        var places = addresses.places
        for other in labs.values where other.id != lab {
            memory = memory - Self.memoryNeeded(by: other.profile) * other.size
            control = control - settings.controlMemoryPerDesktop * other.size
            disk = disk - (images[other.image]?.diskSize ?? .zero) * other.size
            places -= other.size
        }
        let counts = [
            memory.rawValue / Self.memoryNeeded(by: profile).rawValue, control.rawValue / settings.controlMemoryPerDesktop.rawValue,
            disk.rawValue / max(1, image.diskSize.rawValue), Int64(places),
        ]
        return max(0, Int(counts.min() ?? 0))
    }

    // MARK: Making

    /// Whether an empty desktop may be begun now.
    private mutating func isDue(_ id: DesktopID) -> Bool {
        guard let desktop = desktops[id], desktop.state == .empty, works[id]?.isBeingAdded == false else { return false }
        guard let lab = labs[desktop.lab], let image = images[lab.image] else { return false }
        guard underWay < settings.atOnce else {
            works[id]?.hindrance = "others are being made first"
            return false
        }
        let hindrance = hindrance(to: lab.profile, image)
        works[id]?.hindrance = hindrance
        return hindrance == nil
    }

    private mutating func begin(_ id: DesktopID) {
        guard let lab = desktops[id].flatMap({ labs[$0.lab] }) else { return }
        move(id, .prepare)
        guard var desktop = desktops[id] else { return }
        desktop.generation = desktop.generation.next
        desktop.image = lab.image
        desktop.profile = lab.profile
        desktop.fingerprint = nil
        desktops[id] = desktop
        record([.desktopChanged(desktop)], .begun(id, desktop.generation))
    }

    /// Asks for a step of a desktop that is being made, and sets its deadline.
    private mutating func ask(_ id: DesktopID, _ step: Step, within deadline: Duration) {
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
            ask(id, .build(plan), within: settings.domainDeadline)
        case .domainBuilt:
            guard let desktop = preparing(id, generation, at: .domain), let place = addresses.addresses(of: desktop.place) else { return }
            move(id, .advance(to: .readiness))
            ask(id, .awaitReadiness(uuid(of: desktop), place.address), within: settings.readinessDeadline)
        case .answered(let fingerprint):
            guard let desktop = preparing(id, generation, at: .readiness) else { return }
            move(id, .advance(to: .parking))
            desktops[id]?.fingerprint = fingerprint
            ask(id, .pause(uuid(of: desktop)), within: settings.parkingDeadline)
        case .paused:
            guard var desktop = preparing(id, generation, at: .parking) else { return }
            guard let parked = desktop.state.after(.parked) else { return }
            desktop.state = parked
            record([.desktopChanged(desktop)], .parked(id, generation))
        case .removed:
            removed(id, generation)
        }
    }

    private func plan(for desktop: Desktop, overlay: String) -> DomainPlan? {
        guard let image = desktop.image.flatMap({ images[$0] }), let profile = desktop.profile,
            let place = addresses.addresses(of: desktop.place)
        else { return nil }
        return DomainPlan(
            uuid: uuid(of: desktop), name: "\(desktop.name)-g\(desktop.generation)", boot: image.boot, kernel: image.kernel,
            ramdisk: image.ramdisk, commandLine: image.commandLine, profile: profile, overlay: overlay, mac: place.mac, address: place.address)
    }

    /// The making of a generation, or its removal, has failed.
    mutating func stepFailed(_ id: DesktopID, _ generation: Generation, cause: String) {
        guard let desktop = desktops[id], desktop.generation == generation else { return }
        switch desktop.state {
        case .preparing:
            works[id]?.failures += 1
            works[id]?.cause = cause
            effects.append(
                .notice("a desktop could not be made", ["desktop": desktop.name, "generation": "\(generation)", "cause": cause]))
            retire(id, [])
        case .retiring:
            works[id]?.failures += 1
            hold(id, cause: "it could not be removed: \(cause)", holding: true)
        case .empty, .ready, .leased, .quarantined:
            return
        }
    }

    /// Puts what failed into quarantine and sets the next try's time; the pauses grow.
    private mutating func hold(_ id: DesktopID, cause: String, holding: Bool) {
        move(id, .quarantine(cause: cause, holding: holding))
        let failures = max(1, works[id]?.failures ?? 1)
        works[id]?.deadline = nil
        works[id]?.cause = nil
        works[id]?.retryAt = now + settings.retryPauses[min(failures, settings.retryPauses.count) - 1]
        guard let desktop = desktops[id] else { return }
        record([.desktopChanged(desktop)], .held(id))
        effects.append(.notice("a desktop is in quarantine", ["desktop": desktop.name, "cause": cause]))
    }

    mutating func overdueSteps() {
        for (id, work) in works.sorted(by: { $0.key < $1.key }) {
            if let deadline = work.deadline, deadline <= now, let desktop = desktops[id] {
                works[id]?.deadline = nil
                stepFailed(id, desktop.generation, cause: "\(Self.deed(of: desktop.state)) took longer than it may")
            }
            if let retryAt = work.retryAt, retryAt <= now { retry(id) }
        }
    }

    private static func deed(of state: DesktopState) -> String {
        switch state {
        case .preparing(.overlay): "laying its disk"
        case .preparing(.domain): "building its domain"
        case .preparing(.readiness): "booting until RDP answered"
        case .preparing(.parking): "parking it"
        case .retiring: "removing it"
        case .empty, .ready, .leased, .quarantined: "a step"
        }
    }

    private mutating func retry(_ id: DesktopID) {
        works[id]?.retryAt = nil
        guard let desktop = desktops[id], case .quarantined(_, let holding) = desktop.state else { return }
        move(id, .retry)
        if holding { resumeRemoval(of: id) }
    }

    // MARK: Removing

    /// Begins the end of what a desktop holds. `facts` go to the disk with it: the end of its session, say.
    mutating func retire(_ id: DesktopID, _ facts: [StoreChange]) {
        move(id, .retire)
        works[id]?.retryAt = nil
        guard let desktop = desktops[id] else { return }
        record(facts + [.desktopChanged(desktop)], .retiring(id))
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
        if let cause = works[id]?.cause, labs[desktop.lab] != nil {
            hold(id, cause: cause, holding: false)
        } else {
            move(id, .removed)
            desktops[id]?.fingerprint = nil
            guard let empty = desktops[id] else { return }
            record([.desktopChanged(empty)], .emptied(id, generation))
        }
        capacity = nil
        fillAfterRemoval(of: id)
    }

    private mutating func fillAfterRemoval(of id: DesktopID) {
        guard let desktop = desktops[id] else { return }
        guard let lab = labs[desktop.lab] else { return drop(id) }
        let mine = desktops.values.filter { $0.lab == lab.id }
        if mine.count > lab.size, desktop.state == .empty { drop(id) }
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
            ask(
                id, .layOverlay(blank: image.blankOverlay, OverlayName(desktop: id, generation: generation)),
                within: settings.overlayDeadline)
        case .parked(let id, let generation):
            guard let desktop = preparing(id, generation, at: .parking) else { return }
            move(id, .parked)
            works[id] = Work(since: now)
            effects.append(.notice("desktop ready", ["desktop": desktop.name, "generation": "\(generation)"]))
            serveLine(of: desktop.lab)
            fill()
        case .leased(let session): leaseRecorded(session)
        case .ticketRenewed(let session, let claim): ticketRenewed(session, claim)
        case .retiring, .emptied, .dropped, .held: return
        }
    }

    mutating func notRecorded(_ milestone: Milestone, cause: String) {
        switch milestone {
        case .added(let id):
            // It exists nowhere but here; the next filling adds it again, with another number.
            desktops[id] = nil
            works[id] = nil
            refillAt = now + settings.refillPause
            effects.append(.notice("a desktop could not be written to the database", ["cause": cause]))
        case .begun(let id, let generation), .parked(let id, let generation):
            stepFailed(id, generation, cause: "the database could not be written: \(cause)")
        case .leased(let session): leaseNotRecorded(session, cause: cause)
        case .ticketRenewed(let session, let claim): ticketNotRenewed(session, claim, cause: cause)
        case .retiring, .emptied, .dropped, .held: return
        }
    }

    // MARK: What happens by itself, and what administrators ask for

    mutating func domainEnded(_ uuid: DomainUUID, _ kind: DomainEvent.Kind) {
        guard let desktop = desktop(with: uuid) else { return }
        let deed =
            switch kind {
            case .shutDown: "it shut itself down"
            case .crashed: "it crashed"
            case .died: "its domain was ended from outside"
            }
        switch desktop.state {
        case .leased(let session):
            if sessions[session]?.phase == .handedOut {
                end(session, because: .desktopDied)
            } else {
                notHandedOut(session, cause: deed)
            }
        case .ready:
            effects.append(.notice("a ready desktop ended by itself", ["desktop": desktop.name, "cause": deed]))
            retire(desktop.id, [])
        case .preparing(.readiness), .preparing(.parking): stepFailed(desktop.id, desktop.generation, cause: deed)
        case .empty, .preparing, .retiring, .quarantined: return
        }
    }

    mutating func remake(_ id: DesktopID) {
        guard let desktop = desktops[id] else { return }
        works[id]?.failures = 0
        switch desktop.state {
        case .leased(let session): end(session, because: .administrator)
        case .ready, .preparing: retire(id, [])
        case .quarantined: retry(id)
        case .empty, .retiring: break
        }
        fill()
    }

    mutating func labChanged(_ lab: Lab) {
        labs[lab.id] = lab
        // What failed with the former settings deserves a try with the new ones.
        for id in desktops.keys.sorted() where desktops[id]?.lab == lab.id {
            if case .quarantined = desktops[id]?.state { retry(id) }
        }
        capacity = nil
        fill()
        serveLine(of: lab.id)
    }

    mutating func labRemoved(_ id: LabID) {
        labs[id] = nil
        lines[id] = nil
        capacity = nil
        fill()
    }
}
