import Broker
import ControlAPI
import DesktopModel
import Identity

/// What the broker says, as it goes over the wire.
extension LeaseMessage {
    init(_ lease: Lease, relayPort: Int) {
        self.init(
            session: lease.session.rawValue, desktop: lease.desktop, ticket: lease.ticket,
            account: Account(user: lease.account.user, password: lease.account.password),
            fingerprint: lease.fingerprint.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":"),
            relayPort: relayPort, resumed: lease.resumed, afterSession: lease.afterSession.rawValue,
            graceSeconds: Int(lease.grace.components.seconds), idleSeconds: Int(lease.idle.components.seconds),
            warningSeconds: Int(lease.warning.components.seconds))
    }
}

extension RoomMessage {
    init(_ room: RoomReport) {
        self.init(
            labs: room.labs.map(LabMessage.init),
            memory: room.memory.map {
                Memory(total: $0.total.rawValue, forDesktops: $0.forDesktops.rawValue, promised: $0.promised.rawValue)
            },
            disk: Disk(free: room.diskFree?.rawValue, total: room.diskTotal?.rawValue),
            seatsPresent: room.seatsPresent, seats: room.seats, troubles: room.troubles.map(\.description))
    }
}

extension LabMessage {
    init(_ report: LabReport) {
        let lab = report.lab
        self.init(
            name: lab.name, image: report.image, vcpus: lab.profile.vcpus, memory: lab.profile.memory.rawValue, size: lab.size,
            leastReady: lab.leastReady, atOnce: lab.atOnce, graceSeconds: Int(lab.grace.components.seconds),
            airingSeconds: Int(lab.airing.components.seconds), afterSession: lab.afterSession.rawValue,
            longestSeconds: Int(lab.longest.components.seconds), idleSeconds: Int(lab.idle.components.seconds),
            warningSeconds: Int(lab.warning.components.seconds), internet: lab.internet, desktops: report.desktops, waiting: report.waiting)
    }
}

extension LabDraft {
    init(_ untrusted: LabDraftMessage) throws(Problem) {
        self.init(
            name: try Untrusted.name(untrusted.name, field: "name"), image: try Untrusted.name(untrusted.image, field: "image"),
            vcpus: untrusted.vcpus, memory: ByteCount(rawValue: untrusted.memory), size: untrusted.size,
            leastReady: untrusted.leastReady ?? 0, atOnce: untrusted.atOnce ?? 0, grace: .seconds(untrusted.graceSeconds),
            airing: untrusted.airingSeconds.map { .seconds($0) } ?? Lab.usualAiring, afterSession: try Untrusted.afterSession(untrusted.afterSession),
            longest: .seconds(untrusted.longestSeconds ?? 0), idle: .seconds(untrusted.idleSeconds ?? 0),
            warning: untrusted.warningSeconds.map { .seconds($0) } ?? Lab.usualWarning, internet: untrusted.internet ?? false)
    }
}

extension LabChange {
    init(_ untrusted: LabChangeMessage) throws(Problem) {
        self.init()
        if let image = untrusted.image { self.image = try Untrusted.name(image, field: "image") }
        vcpus = untrusted.vcpus
        memory = untrusted.memory.map { ByteCount(rawValue: $0) }
        size = untrusted.size
        leastReady = untrusted.leastReady
        atOnce = untrusted.atOnce
        grace = untrusted.graceSeconds.map { .seconds($0) }
        airing = untrusted.airingSeconds.map { .seconds($0) }
        longest = untrusted.longestSeconds.map { .seconds($0) }
        idle = untrusted.idleSeconds.map { .seconds($0) }
        warning = untrusted.warningSeconds.map { .seconds($0) }
        internet = untrusted.internet
        if let after = untrusted.afterSession { afterSession = try Untrusted.afterSession(after) }
    }
}

extension HardwareChange {
    init(_ untrusted: DesktopChangeMessage) throws(Problem) {
        let namesHardware = untrusted.vcpus != nil || untrusted.memory != nil
        switch (untrusted.asLab ?? false, namesHardware) {
        case (true, false): self = .asLab
        case (false, true): self = .own(vcpus: untrusted.vcpus, memory: untrusted.memory.map { ByteCount(rawValue: $0) })
        default:
            throw Problem.invalid(
                "asLab", value: "\(untrusted.asLab ?? false)", remedy: Declined.giveHardware())
        }
    }
}

extension DesktopMessage {
    init(_ desktop: DesktopReport) {
        var step: String?
        var session: Int64?
        switch desktop.state {
        case .preparing(let preparation): step = preparation.rawValue
        case .leased(let lease): session = lease.rawValue
        case .empty, .ready, .retiring, .quarantined: break
        }
        var explanation = desktop.explanation
        if case .quarantined(let cause, _) = desktop.state { explanation = explanation ?? cause }
        self.init(
            name: desktop.name, lab: desktop.lab, state: desktop.state.word, step: step, session: session,
            generation: desktop.generation.rawValue, vcpus: desktop.profile.vcpus, memory: desktop.profile.memory.rawValue,
            hasOwnHardware: desktop.hasOwnProfile, isSetAside: desktop.isSetAside, address: desktop.address,
            since: desktop.since.map(Moment.init(seconds:)), explanation: explanation?.description)
    }
}

extension DesktopExplanationMessage {
    init(_ told: DesktopExplanation) {
        self.init(
            desktop: DesktopMessage(told.desktop), meaning: told.meaning.description, present: told.present?.description,
            deadline: told.deadline.map(Moment.init(seconds:)), next: told.next.description, nextAt: told.nextAt.map(Moment.init(seconds:)),
            cause: told.cause?.description,
            failure: told.failure.map {
                Failure(
                    count: $0.count, generation: $0.generation.rawValue, step: $0.step?.rawValue, cause: $0.cause.description, console: $0.console)
            }, remedies: told.remedies.map(\.description))
    }
}

extension SeatListMessage {
    init(_ seat: SeatReport) {
        self.init(
            id: seat.id.rawValue, name: seat.name, lab: seat.lab, enrolled: seat.enrolled, present: seat.present, desktop: seat.desktop,
            blocked: seat.isBlocked, place: seat.place.map { TablePlaceMessage(column: $0.column, row: $0.row) },
            health: seat.health.flatMap { health in seat.healthAt.map { SeatHealthMessage(health, at: $0) } })
    }
}

extension SeatHealthMessage {
    init(_ health: SeatHealth, at seconds: CalendarSeconds) {
        self.init(
            reported: Moment(seconds: seconds), model: health.model, version: health.version,
            uptimeSeconds: health.uptime.map { Int($0.components.seconds) }, millidegrees: health.millidegrees,
            memoryTotal: health.memoryTotal?.rawValue, memoryAvailable: health.memoryAvailable?.rawValue, screenWidth: health.screen?.width,
            screenHeight: health.screen?.height, warnings: health.warnings.map(\.rawValue))
    }
}

extension SeatHealth {
    init(_ untrusted: HealthReport) throws(BrokerError) {
        var draft = Draft()
        draft.model = untrusted.model
        draft.version = untrusted.version
        draft.uptimeSeconds = untrusted.uptimeSeconds
        draft.millidegrees = untrusted.millidegrees
        draft.memoryTotal = untrusted.memoryTotal
        draft.memoryAvailable = untrusted.memoryAvailable
        draft.throttledFlags = untrusted.throttledFlags
        draft.screenWidth = untrusted.screenWidth
        draft.screenHeight = untrusted.screenHeight
        try self.init(draft)
    }
}

extension SeatJoinMessage {
    init(_ join: SeatJoin) {
        self.init(
            pin: join.pin, words: join.words, model: join.stranger.model, version: join.stranger.version, address: join.stranger.address,
            since: Moment(seconds: join.since))
    }
}

extension JoinDecisionAnswer {
    init(_ decision: SeatJoinDecision) {
        switch decision {
        case .undecided: self.init(state: "waiting")
        case .accepted(let word): self.init(state: "accepted", word: word)
        case .refused: self.init(state: "refused")
        }
    }
}

extension SessionMessage {
    init(_ session: SessionReport) {
        self.init(
            id: session.id.rawValue, seat: session.seat, desktop: session.desktop, began: Moment(seconds: session.began),
            ended: session.ended.map(Moment.init(seconds:)), reason: session.reason?.rawValue, connected: session.connected)
    }
}

extension CertificateMessage {
    init(_ given: GivenCertificate) {
        self.init(names: given.names, ends: Moment(seconds: given.ends), fingerprint: Hex.text(of: given.fingerprint, separator: ":"))
    }
}

extension ImageMessage {
    init(_ report: ImageReport) {
        let version = report.version
        self.init(
            name: version.name, image: version.image, version: version.version, boot: version.boot.rawValue,
            user: version.account.user, checksum: version.checksum, diskSize: version.diskSize.rawValue,
            minimumMemory: version.minimumMemory.rawValue, hasGuest: version.hasGuest, sharesIdentity: version.sharesIdentity,
            notes: version.notes, added: version.added.map(Moment.init(seconds:)), labs: report.labs, desktops: report.desktops,
            checkpoints: report.checkpoints.map { checkpoint in
                var cause: String?
                if case .failed(let why) = checkpoint.state { cause = why.description }
                return Checkpoint(
                    vcpus: checkpoint.profile.vcpus, memory: checkpoint.profile.memory.rawValue, state: checkpoint.state.word, cause: cause,
                    keptMemory: checkpoint.memory.rawValue)
            })
    }
}
