import DesktopModel
import DesktopStore
import Foundation
import Hypervisor

@testable import Broker

/// One history of a room: effects wait here until they are done, in any order that the daemon could see, and the daemon can be cut off at
/// any of them.
struct History {
    enum Pending {
        case record([StoreChange], Milestone)
        case measure(UInt64)
        case step(DesktopID, Generation, Step)
        case unpause(SessionID, DomainUUID)
        case stray(DomainUUID)
        case strayOverlay(OverlayName)
        case dropCheckpoint(CheckpointID)
        case readConsole(DesktopID, Generation, String)
        case dropConsole(String)
    }

    let world: World
    var room: Room
    var pending: [Pending] = []
    var instant = Instant(sinceStart: .zero)
    var answers: [(ClaimID, Result<Lent, BrokerError>)] = []
    var told: [(SeatID, SeatEvent)] = []
    var closedLinks: [SessionID] = []
    var airingsEnded: [DesktopID] = []
    var nextClaim: UInt64 = 1
    private(set) var milestones: [Milestone] = []

    init(_ world: World, settings: BrokerSettings = BrokerSettings()) async throws {
        self.world = world
        room = world.newRoom(settings: settings)
        try await begin()
    }

    mutating func begin() async throws {
        take(.began(try await world.snapshot()))
    }

    /// Drops all that the daemon had in memory, without clean-up, and starts anew from disk and hypervisor.
    mutating func crash() async throws {
        let settings = room.settings
        pending = []
        instant = Instant(sinceStart: .zero)
        room = world.newRoom(settings: settings)
        try await begin()
    }

    mutating func take(_ event: RoomEvent) {
        for effect in room.take(event, at: instant) {
            switch effect {
            case .record(let changes, let milestone): pending.append(.record(changes, milestone))
            case .measure(let number): pending.append(.measure(number))
            case .step(let desktop, let generation, let step): pending.append(.step(desktop, generation, step))
            case .unpause(let session, let domain): pending.append(.unpause(session, domain))
            case .endAiring(let desktop): airingsEnded.append(desktop)
            case .serve(let domain, let profile):
                world.domains[domain]?.memory = profile.memory
                world.domains[domain]?.vcpus = profile.vcpus
            case .openInternet(let places): world.online = places
            case .answer(let claim, let answer): answers.append((claim, answer))
            case .tell(let seat, let event): told.append((seat, event))
            case .closeLinks(let session): closedLinks.append(session)
            case .destroyStray(let domain): pending.append(.stray(domain))
            case .removeStray(let overlay): pending.append(.strayOverlay(overlay))
            case .removeCheckpoint(let checkpoint): pending.append(.dropCheckpoint(checkpoint))
            case .readConsole(let desktop, let generation, let name): pending.append(.readConsole(desktop, generation, name))
            case .dropConsole(let name): pending.append(.dropConsole(name))
            case .notice: break
            }
        }
        world.inspect(room)
    }

    /// Which of the waiting effects may be done now: the first record, each desktop's first step, and all else.
    var possible: [Int] {
        var recordSeen = false
        var lanes: Set<DesktopID> = []
        var consoles: Set<String> = []
        return pending.indices.filter { index in
            switch pending[index] {
            case .record:
                defer { recordSeen = true }
                return !recordSeen
            case .step(let desktop, _, _): return lanes.insert(desktop).inserted
            case .readConsole(_, _, let name), .dropConsole(let name): return consoles.insert(name).inserted
            case .measure, .unpause, .stray, .strayOverlay, .dropCheckpoint: return true
            }
        }
    }

    /// Does one waiting effect; with `reporting` false the daemon never learns of it.
    mutating func doEffect(_ index: Int, reporting: Bool = true) async throws {
        let event: RoomEvent?
        switch pending.remove(at: index) {
        case .record(let changes, let milestone):
            try await world.store.apply(changes)
            milestones.append(milestone)
            event = .recorded(milestone)
        case .measure(let number): event = .measured(number, world.measurement())
        case .step(let desktop, let generation, let step): event = world.carryOut(step, of: desktop, generation)
        case .unpause(let session, let domain): event = try await world.unpause(session, domain)
        case .stray(let domain):
            world.require(domain.installation == world.store.installation, "a foreign domain is ended as a stray")
            world.require(room.desktop(with: domain).map { !$0.state.holdsResources } ?? true, "a living desktop is ended as a stray")
            world.domains[domain] = nil
            event = nil
        case .strayOverlay(let overlay):
            world.require(
                !world.domains.values.contains { $0.overlay == overlay.fileName }
                    || !world.domains.contains { room.desktop(with: $0.key) != nil && $0.value.overlay == overlay.fileName },
                "the overlay of a living desktop is removed")
            world.overlays.remove(overlay)
            event = nil
        case .dropCheckpoint(let checkpoint):
            world.require(
                !room.desktops.values.contains { $0.state.holdsResources && $0.checkpoint == checkpoint },
                "checkpoint \(checkpoint) is removed from under a desktop")
            world.checkpoints.remove(checkpoint)
            event = nil
        case .readConsole(let desktop, let generation, let name):
            event = .consoleRead(desktop, generation, world.consoles[name] ?? [])
        case .dropConsole(let name):
            world.require(
                !room.desktops.values.contains { $0.state.holdsResources && room.domainName(of: $0) == name },
                "the console of a living desktop is removed")
            world.consoles[name] = nil
            event = nil
        }
        if reporting, let event { take(event) }
    }

    /// Lets an effect fail.
    mutating func failEffect(_ index: Int) {
        switch pending[index] {
        case .record(_, let milestone) where milestone.isFact: return
        case .stray, .strayOverlay, .dropCheckpoint: return
        case .readConsole, .dropConsole: pending.remove(at: index)
        case .record(_, let milestone):
            pending.remove(at: index)
            take(.notRecorded(milestone, cause: "disk full"))
        case .measure(let number):
            pending.remove(at: index)
            take(.notMeasured(number, cause: "xenstore does not answer"))
        case .step(let desktop, let generation, let step):
            pending.remove(at: index)
            if case .build(let plan) = step { world.domains[plan.uuid] = nil }
            take(.stepFailed(desktop, generation, step.kind, cause: "it failed"))
        case .unpause(let session, _):
            pending.remove(at: index)
            take(.notUnpaused(session, cause: "it failed"))
        }
    }

    /// Does all that waits, until nothing does.
    mutating func settle() async throws {
        while let first = possible.first { try await doEffect(first) }
    }

    /// Lets time pass until the next deadline.
    mutating func passTime() {
        guard let deadline = room.nextDeadline else { return }
        instant = max(instant, deadline)
        take(.timePassed)
    }

    @discardableResult
    mutating func claim(_ seat: SeatID, boot: String = "boot-1", address: String = "10.77.0.101", ticket: UInt8 = 1) -> ClaimID {
        let id = ClaimID(rawValue: nextClaim)
        nextClaim += 1
        take(
            .claim(
                Claim(
                    id: id, seat: seat, bootID: boot, address: address,
                    ticket: TicketHash(bytes: [UInt8](repeating: ticket, count: 24) + (0..<8).map { UInt8(truncatingIfNeeded: id.rawValue >> ($0 * 8)) }))))
        return id
    }

    func answer(to claim: ClaimID) -> Result<Lent, BrokerError>? {
        answers.last { $0.0 == claim }?.1
    }

    /// The session that a claim was answered with, if any.
    func session(from claim: ClaimID) -> SessionID? {
        if case .success(.desktop(let session, _)) = answer(to: claim) { session } else { nil }
    }

    func states(of lab: LabID? = nil) -> [String] {
        room.desktops.values.filter { lab == nil || $0.lab == lab }.sorted { $0.id < $1.id }.map(\.state.word)
    }
}
