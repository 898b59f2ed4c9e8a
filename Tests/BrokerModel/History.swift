import Broker
import DesktopModel
import DesktopStore
import Foundation
import Hypervisor
import Identity
import Relay

/// A history of one room: what happens to it, the daemons it has had, and what was seen that must never be.
final class History {
    private let folder: String
    private let path: String
    let clock = SimulatedClock()
    let server: SimulatedServer
    let watch: Watch
    let seats: Seats
    var incarnation: Incarnation
    private let settings = {
        var settings = BrokerSettings()
        // Seats claim in quick succession here.
        settings.airingPause = .seconds(10)
        return settings
    }()
    private(set) var random: SplitMix
    /// The labs that have seats, and these, in their order.
    private(set) var labs: [(id: LabID, seats: [SeatID])] = []
    private var allSeats: [SeatID] { labs.flatMap(\.seats) }
    private var streams: [SeatID: Task<Void, Never>] = [:]
    private var labsAdded = 0
    private var foreignersCome: UInt32 = 0
    private(set) var kills = 0

    var digest: Int { watch.digest }

    /// What must never be, and was.
    var violations: [String] { watch.violations.withLock { $0 } }

    init(seed: UInt64, folder: String, template: String) throws {
        random = SplitMix(seed: seed)
        self.folder = folder
        path = folder + "/punnet.db"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: template, toPath: path)
        let watch = Watch(path: path, settings: settings)
        self.watch = watch
        seats = Seats(watch, clock, settings)
        // The subnet is written here.
        let plan = AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!)
        // In some rooms more desktops are wanted than fit at once, or than dom0 has memory for.
        let control = ByteCount.mebibytes([2_048, 2_048, 2_048, 730].randomElement(using: &random)!)
        let forDomains = ByteCount.mebibytes([1_900, 2_400, 4_096].randomElement(using: &random)!)
        let server = SimulatedServer(
            seed: random.next(), clock: clock, plan: plan, totalMemory: control + forDomains, controlMemory: control,
            wakeTime: seed.isMultiple(of: 2) ? .zero : .seconds(40)
        ) { [clock] in watch.see($0, at: clock.now) }
        self.server = server
        watch.server.withLock { $0 = server }
        incarnation = try Incarnation(path: path, server: server, settings: settings)
        foreignComes(.mebibytes(256))
        advance(milliseconds: 10_000)
        for number in 1...Int.random(in: 1...2, using: &random) { try furnish("room\(number)", size: Int.random(in: 1...3, using: &random)) }
    }

    deinit {
        incarnation.bury()
        watch.close()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Adds a lab with three seats.
    private func furnish(_ name: String, size: Int) throws {
        let airing = Duration.seconds([60, 600, 0].randomElement(using: &random)!)
        let furnished = ask { daemon -> Result<(LabID, [SeatID]), any Error> in
            do {
                let lab = try await daemon.administration.createLab(Self.draft(name, airing: airing)).lab.id
                // Refused where it does not fit.
                _ = try? await daemon.administration.changeLab(name, LabChange(size: size))
                for seat in 1...3 { _ = try await daemon.seats.add("\(name)-\(seat)", lab: name) }
                return .success((lab, try await daemon.store.seats().filter { $0.lab == lab }.map(\.id)))
            } catch {
                return .failure(error)
            }
        }
        guard let furnished else { throw ModelError("the room is not furnished within a minute") }
        let (lab, added) = try furnished.get()
        labs.append((lab, added))
        for seat in added { seats.add(seat, lab: lab) }
    }

    private static func draft(_ name: String, size: Int = 0, airing: Duration = .seconds(600)) -> LabDraft {
        LabDraft(
            name: name, image: Template.images[0], vcpus: 1, memory: .mebibytes(512), size: size, grace: .seconds(60), airing: airing,
            afterSession: .claimAgain)
    }

    // MARK: What happens

    func happen(_ action: Action) throws {
        switch action {
        case .passTime(let milliseconds): advance(milliseconds: milliseconds)
        case .claim(let number, let boot, let givesUp):
            let claim = claim(allSeats[number % allSeats.count], boot: boot)
            settle()
            if givesUp { claim.cancel() }
        case .end(let number, let reason):
            guard let session = pick(number, watch.openSessions()) else { return }
            begin { try? await $0.sessions.end(session.id, of: session.seat, reason: reason) }
        case .openLink(let number, let link):
            guard let session = pick(number, watch.openSessions()) else { return }
            begin { await $0.broker.linkOpened(LinkID(rawValue: link), session: session.id.rawValue) }
        case .closeLink(let number, let link):
            guard let session = pick(number, watch.openSessions()) else { return }
            let carried = LinkBytes(fromSeat: 1, toSeat: 1)
            begin { await $0.broker.linkClosed(LinkID(rawValue: link), session: session.id.rawValue, cause: .seatClosed, carried: carried) }
        case .knock(let number, let isFromElsewhere): knock(allSeats[number % allSeats.count], isFromElsewhere: isFromElsewhere)
        case .comes(let number, let taking): comes(allSeats[number % allSeats.count], taking)
        case .leaves(let number): streams.removeValue(forKey: allSeats[number % allSeats.count])?.cancel()
        case .guestEnds(let number, let kind):
            guard let guest = pick(number, ours) else { return }
            if server.domains[guest]?.activity == .running { watch.loses([guest]) }
            server.guestEnds(guest, kind)
        case .guestHangs(let number):
            if let guest = pick(number, ours) { server.guestHangs(guest) }
        case .endFromOutside(let number):
            guard let guest = pick(number, ours) else { return }
            watch.loses([guest])
            server.endFromOutside(guest)
        case .foreignComes(let mebibytes): foreignComes(.mebibytes(Int64(mebibytes)))
        case .foreignGoes(let number):
            if let guest = pick(number, foreigners) { foreignGoes(guest) }
        case .remake(let number):
            guard let name = pick(number, watch.desktops().map(\.name)) else { return }
            begin { try? await $0.administration.remakeDesktop(name) }
        case .resize(let number, let size):
            guard let name = pick(number, watch.labs())?.name else { return }
            begin { _ = try? await $0.administration.changeLab(name, LabChange(size: size)) }
        case .refit(let number, let image, let mebibytes):
            guard let name = pick(number, watch.labs())?.name else { return }
            let change = LabChange(image: Template.images[image], memory: .mebibytes(Int64(mebibytes)))
            begin { _ = try? await $0.administration.changeLab(name, change) }
        case .pace(let number, let ready, let atOnce):
            guard let name = pick(number, watch.labs())?.name else { return }
            begin { _ = try? await $0.administration.changeLab(name, LabChange(leastReady: ready, atOnce: atOnce, internet: ready.isMultiple(of: 2))) }
        case .own(let number, let mebibytes):
            guard let name = pick(number, watch.desktops().map(\.name)) else { return }
            let change = mebibytes.map { HardwareChange.own(vcpus: nil, memory: .mebibytes(Int64($0))) } ?? .asLab
            begin { _ = try? await $0.administration.changeDesktop(name, change, onlyTell: false) }
        case .quarantine(let number):
            guard let name = pick(number, watch.desktops().map(\.name)) else { return }
            begin { try? await $0.administration.quarantineDesktop(name) }
        case .release(let number):
            guard let name = pick(number, watch.desktops().map(\.name)) else { return }
            begin { try? await $0.administration.releaseDesktop(name) }
        case .limit(let number, let seconds, let warning):
            guard let name = pick(number, watch.labs())?.name else { return }
            let change = LabChange(longest: .seconds(seconds), warning: .seconds(warning))
            begin { _ = try? await $0.administration.changeLab(name, change) }
        case .share(let accepted): begin { _ = try? await $0.administration.changeImage(Template.images[1], ImageChange(sharesIdentity: accepted)) }
        case .addLab(let size):
            labsAdded += 1
            let draft = Self.draft("spare\(labsAdded)", size: size)
            begin { _ = try? await $0.administration.createLab(draft) }
        case .deleteLab(let number):
            guard let name = pick(number, watch.labs())?.name else { return }
            begin { try? await $0.administration.deleteLab(name) }
        case .faults(let failures, let lies, let silences, let hangs):
            var faults = SimulatedServer.Faults()
            faults.failures = failures ? 0.15 : 0
            faults.lies = lies ? 0.1 : 0
            faults.silences = silences ? 0.05 : 0
            faults.hangs = hangs ? 0.3 : 0
            faults.stubbornness = hangs ? 0.2 : 0
            server.setFaults(faults)
        case .faultsEnd: server.setFaults(SimulatedServer.Faults())
        case .leaveDisk(let gibibytes):
            server.setFreeDisk(.gibibytes(Int64(gibibytes)))
            watch.diskTaken(at: clock.now)
        case .diskFull(let full): incarnation.gate.setDiskFull(full)
        case .kill(let moments): incarnation.killer.arm(moments)
        case .losePower:
            incarnation.killer.arm(1)
            _ = incarnation.killer.pass()
            watch.loses(ours)
            for guest in foreigners { watch.foreignGoes(guest) }
            server.losePower()
        }
        settle()
        try revive()
    }

    /// Starts the daemon anew where it was killed or has ended.
    func revive() throws {
        while incarnation.killer.isDead || incarnation.hasEnded.isSet {
            kills += 1
            seatsLeave()
            seats.daemonEnds()
            incarnation.bury()
            watch.daemonEnds()
            // What the former daemon began to end ends, whatever its successor makes of it.
            watch.loses(ours.filter { server.domains[$0]?.activity == .dying })
            clock.pass(.seconds(1))
            incarnation = try Incarnation(path: path, server: server, settings: settings)
            settle()
        }
    }

    /// Lets everything happen that is due now.
    func settle() {
        incarnation.settle()
        seats.settled()
    }

    func advance(milliseconds: Int) {
        let target = clock.now.advanced(by: .milliseconds(milliseconds))
        settle()
        while let next = clock.nextDeadline, next <= target {
            clock.advance()
            settle()
            // A daemon that was killed is started anew before the time goes on.
            do { try revive() } catch { watch.add("the daemon does not start: \(error)") }
        }
        if clock.now < target { clock.pass(clock.now.duration(to: target)) }
    }

    /// Asks for something whose answer nobody waits for.
    func begin(_ body: @escaping @Sendable (Incarnation) async -> Void) {
        let daemon = incarnation
        Task { await body(daemon) }
        settle()
    }

    /// Asks for something and lets time pass until it is answered; nil where it is not within a minute.
    private func ask<Answer: Sendable>(_ body: @escaping @Sendable (Incarnation) async -> Answer) -> Answer? {
        let box = Box<Answer>()
        begin { daemon in
            let answer = await body(daemon)
            box.value.withLock { $0 = answer }
        }
        for _ in 0..<600 {
            if let answer = box.value.withLock({ $0 }) { return answer }
            advance(milliseconds: 100)
        }
        return box.value.withLock { $0 }
    }

    private func pick<Element>(_ number: Int, _ among: [Element]) -> Element? {
        among.isEmpty ? nil : among[number % among.count]
    }

    // MARK: Domains

    private var ours: [DomainUUID] { domains { $0.installation == Watch.installation } }
    private var foreigners: [DomainUUID] { domains { $0.installation != Watch.installation } }

    private func domains(where holds: (DomainUUID) -> Bool) -> [DomainUUID] {
        server.domains.keys.filter(holds).sorted { ($0.desktop, $0.generation) < ($1.desktop, $1.generation) }
    }

    /// Somebody else's domain is started, of another installation of Punnet even, if there is memory for it.
    private func foreignComes(_ memory: ByteCount) {
        let used = server.domains.values.reduce(server.controlMemory) { $0 + $1.memory }
        guard used + memory <= server.totalMemory else { return }
        foreignersCome += 1
        let uuid = DomainUUID(
            installation: Watch.installation + 1, desktop: DesktopID(rawValue: foreignersCome), generation: Generation(rawValue: 1))
        server.addForeign(uuid, name: "foreign\(foreignersCome)", memory: memory)
        watch.foreignComes(uuid, at: clock.now)
    }

    private func foreignGoes(_ uuid: DomainUUID) {
        watch.foreignGoes(uuid)
        server.endFromOutside(uuid)
    }

    /// All that others have taken they give back.
    func othersLeave() {
        for guest in foreigners { foreignGoes(guest) }
        server.setFreeDisk(server.disk.free)
    }

    // MARK: Seats

    private static func address(of seat: SeatID) -> String { "10.77.0.\(seat.rawValue)" }

    /// A seat asks for a desktop, and hears the answer while the daemon lives.
    @discardableResult
    func claim(_ seat: SeatID, boot: Int) -> Task<Void, Never> {
        Self.claim(seat, boot: boot, of: incarnation.sessions, killer: incarnation.killer, seats)
    }

    @discardableResult
    private static func claim(
        _ seat: SeatID, boot: Int, of sessions: SessionBroker, killer: Killer, _ seats: Seats
    ) -> Task<Void, Never> {
        let number = seats.claims(seat, boot: boot)
        return Task {
            let answer: Result<ClaimAnswer, any Error>
            do {
                answer = .success(try await sessions.claim(seat, bootID: "boot-\(boot)", from: Self.address(of: seat)))
            } catch {
                answer = .failure(error)
            }
            if !killer.isDead { seats.answered(number, of: seat, answer) }
        }
    }

    /// A seat opens its stream, and listens while the daemon lives.
    func comes(_ seat: SeatID, _ taking: Action.Taking) {
        let sessions = incarnation.sessions
        let killer = incarnation.killer
        let (seats, clock) = (seats, clock)
        streams[seat]?.cancel()
        streams[seat] = Task { await History.listen(as: seat, taking, to: sessions, killer: killer, seats, clock) }
        settle()
    }

    private static func listen(
        as seat: SeatID, _ taking: Action.Taking, to sessions: SessionBroker, killer: Killer, _ seats: Seats, _ clock: SimulatedClock
    ) async {
        let events = await sessions.events(of: seat)
        guard !Task.isCancelled else { return }
        let number = seats.comes(seat)
        for await event in events {
            if killer.isDead { continue }
            seats.told(seat, event)
            guard taking != .never, case .offer(let within) = event else { continue }
            // Cancelled where the seat leaves meanwhile.
            if taking == .late, (try? await clock.sleep(until: clock.now.advanced(by: within * 0.8), tolerance: nil)) == nil { continue }
            if !killer.isDead { claim(seat, boot: seats.boot(of: seat), of: sessions, killer: killer, seats) }
        }
        seats.leaves(seat, number)
    }

    func seatsLeave() {
        for stream in streams.values { stream.cancel() }
        streams = [:]
    }

    /// A ticket lets its seat through to the desktop that it was handed out with, while that session goes on; and nobody else.
    private func knock(_ seat: SeatID, isFromElsewhere: Bool) {
        guard let lease = seats.lease(of: seat), let ticket = Token(untrusted: lease.ticket) else { return }
        let address = isFromElsewhere ? "10.77.1.1" : Self.address(of: seat)
        let (watch, server, killer) = (watch, server, incarnation.killer)
        begin { daemon in
            guard case .admitted(let id, let host, _) = await daemon.broker.admit(ticket: ticket.hash, from: address, link: LinkID(rawValue: 9))
            else { return }
            guard !killer.isDead else { return }
            watch.note("\(seat) is let through to \(host)")
            watch.require(!isFromElsewhere, "a ticket of seat \(seat) lets another address through")
            watch.require(id == lease.session.rawValue, "a ticket of session \(lease.session) lets through to session \(id)")
            guard let session = watch.session(lease.session), session.isOpen else {
                return watch.add("a ticket of session \(lease.session) lets through though that is over")
            }
            let there = server.domains.filter { $0.value.address?.description == host && $0.value.activity == .running }.keys
            watch.require(there.allSatisfy { $0 == session.domain }, "a ticket of session \(lease.session) lets through to another's desktop")
        }
    }
}

struct ModelError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
