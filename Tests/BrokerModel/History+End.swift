import DesktopModel
import Hypervisor

extension History {
    /// Once faults stop, every desktop is ready again in bounded time, and whoever asks is served, in order.
    func conclude() {
        server.setFaults(SimulatedServer.Faults())
        othersLeave()
        incarnation.gate.setDiskFull(false)
        incarnation.killer.disarm()
        seatsLeave()
        // Longer than a call that is not answered takes, and what follows it.
        advance(milliseconds: 1_200_000)
        limitsAreKept()
        quarantineIsKept()
        sessionsGoOn()
        sessionsEnd()
        guard becomesWhole() else { return }
        watch.concludes()
        serveAll()
    }

    /// Nobody has come for longer than any lab with a limit allows, its warning included.
    private func limitsAreKept() {
        for seat in watch.seatsBeyondTheirLimit() { watch.add("the session of seat \(seat) goes on for longer than its lab allows") }
    }

    /// What was put in quarantine by hand stands ready for nobody, until it is released.
    private func quarantineIsKept() {
        for desktop in watch.desktopsSetAside() {
            watch.require(desktop.state == "empty" || desktop.state == "quarantined" || desktop.state == "leased", "\(desktop.name) is in quarantine by hand, and \(desktop.state)")
        }
        for desktop in watch.desktopsSetAside() { begin { try? await $0.administration.releaseDesktop(desktop.name) } }
        advance(milliseconds: 1_000)
        watch.require(watch.desktopsSetAside().isEmpty, "a desktop is not released")
    }

    /// A session that goes on has a desktop that runs, and may have all of its memory.
    private func sessionsGoOn() {
        for session in watch.openSessions() where server.domains[session.domain]?.activity != .running {
            watch.add("session \(session.id) goes on though its desktop does not run")
        }
        for session in watch.openSessions() {
            guard let domain = server.domains[session.domain] else { continue }
            watch.require(domain.comesFirst, "session \(session.id) goes on though nobody was told that it comes first")
            guard domain.allowed < domain.maximum else { continue }
            watch.add("session \(session.id) goes on with \(domain.allowed) of the \(domain.maximum) that its desktop is to have")
        }
    }

    /// A session whose links are gone ends when its grace is over.
    private func sessionsEnd() {
        begin { await $0.broker.linksAre([]) }
        advance(milliseconds: 70_000)
        for session in watch.openSessions() { watch.add("session \(session.id) goes on though it has had no link for longer than its grace") }
    }

    private func becomesWhole() -> Bool {
        let limit = clock.now.advanced(by: .seconds(2 * 3600))
        while let unfinished = watch.unfinished(at: clock.now) {
            guard clock.now < limit else {
                watch.add("not whole again two hours after the faults: \(unfinished)")
                return false
            }
            advance(milliseconds: 30_000)
        }
        return true
    }

    /// All seats of each lab that has desktops come and claim, one after the other, and take late what they are offered; whoever is given a
    /// desktop leaves it at once, and claims once more while another is offered one. They are served in the order in which they claimed.
    private func serveAll() {
        let sizes = Dictionary(uniqueKeysWithValues: watch.labs().map { ($0.id, $0.size) })
        let open = labs.filter { sizes[$0.id, default: 0] > 0 }
        let before = seats.served.count
        var random = random
        let order = open.map { $0.seats.shuffled(using: &random) }
        for seat in order.joined() {
            comes(seat, .late)
            claim(seat, boot: 9)
            settle()
        }
        let wanted = Set(open.flatMap(\.seats))
        var returned: Set<SeatID> = []
        let limit = clock.now.advanced(by: .seconds(1800))
        while !wanted.isSubset(of: seats.served[before...]), clock.now < limit {
            advance(milliseconds: 1_000)
            for session in watch.openSessions() where seats.knows(session.id) {
                begin { try? await $0.sessions.end(session.id, of: session.seat, reason: .logOff) }
            }
            for lab in open where seats.areOffered(lab.seats) {
                guard let seat = lab.seats.first(where: { seats.served[before...].contains($0) && !returned.contains($0) }) else { continue }
                returned.insert(seat)
                claim(seat, boot: 10)
                settle()
            }
        }
        let served = seats.served[before...]
        for (lab, order) in zip(open, order) {
            var firsts: [SeatID] = []
            for seat in served where lab.seats.contains(seat) && !firsts.contains(seat) { firsts.append(seat) }
            watch.require(firsts == order, "seats claimed in the order \(order), and were served in the order \(firsts)")
        }
    }
}
