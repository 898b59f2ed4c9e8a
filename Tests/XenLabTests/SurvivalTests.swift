import Foundation
import Hypervisor
import Testing

extension XenLab {
    /// Sudden ends, of the daemon, of domains, of the whole server: each time the pool is whole again in bounded time, no desktop that was
    /// ever leased is handed out again, and the server holds what it held before.
    ///
    /// `PUNNET_LONG` has the full number; without it there is one of each.
    struct Survival {
        let lab: Lab
        /// The room at rest, as the first of these tests found it.
        private static let course = Course()

        init() throws { lab = try #require(Lab.current) }

        /// What is awaited of a pool: two desktops booted at once take 30 to 90 s where everything is emulated.
        static let refill = Duration.seconds(400)
        static let refillAfterPowerCut = Duration.seconds(600)

        @Test func thePoolIsWholeAgainWhereverPunnetdIsKilledUnderClaimsAndEnds() async throws {
            let course = Self.course
            try await course.begin(lab)
            var seats: [LightSeat] = []
            for number in 1...3 { seats.append(try await course.seat(number, lab)) }
            let traffic = Traffic(lab, seats: seats)
            var random = SplitMix(seed: LongRun.seed)
            var restarts = try await lab.restarts()
            for round in 1...(LongRun.isLong ? 30 : 1) {
                // Over all of a making: the removal, the overlay, the domain, the boot, the parking.
                let moment = Int.random(in: 1000...60_000, using: &random)
                let rest = Int.random(in: 0...5000, using: &random)
                let found = try await traffic.flows(seed: random.next()) {
                    try await Task.sleep(for: .milliseconds(moment))
                    let found = try await lab.dom0(
                        "kill -9 $(systemctl show -P MainPID punnetd); xl list | awk 'NR > 2 {print $1, $5}' | tr '\\n' ' '")
                    try await eventually("punnetd is there again", within: .seconds(90)) { try await lab.desktopList() }
                    try await Task.sleep(for: .milliseconds(rest))
                    return found
                }
                try await lab.nobodyIsHere()
                try await course.settled(
                    "kill -9 of punnetd, \(round)", String(format: "after %.1f s; domains then: ", Double(moment) / 1000) + found, lab,
                    within: Self.refill)
                // It did not end by itself as well.
                restarts += 1
                try #require(try await lab.restarts() == restarts, "punnetd ended by itself")
            }
            let tally = await traffic.tally
            await course.run.say("Under the kills: \(tally); \(await traffic.domainsSeen) domains were seen with the session they ran for.")
            try #require(await traffic.given > 0)
        }

        @Test func aDesktopDestroyedBehindPunnetdsBackEndsItsSessionAndIsMadeAnew() async throws {
            let course = Self.course
            try await course.begin(lab)
            for round in 1...(LongRun.isLong ? 5 : 1) {
                let seat = try await course.seat(1, lab)
                let lease = try await seat.desktop()
                let ready = try #require(try await lab.desktopList().first { $0.state == "ready" })
                let leased = try await lab.desktop(lease.desktop)
                let took = try await time {
                    try await lab.dom0("xl destroy \(leased.domainName); xl destroy \(ready.domainName)")
                    try await eventually("session \(lease.session) has ended with its desktop", within: .seconds(30)) {
                        try await lab.session(lease.session).reason == "desktop-died" ? true : nil
                    }
                    try await eventually("neither desktop is handed out any more", within: .seconds(60)) {
                        let now = try await lab.desktopList()
                        return [leased, ready].allSatisfy { was in
                            now.contains {
                                $0.name == was.name && ($0.generation > was.generation || !["ready", "leased"].contains($0.state))
                            }
                        } ? true : nil
                    }
                }
                // In the short run the next test waits for these two.
                guard LongRun.isLong else {
                    return await course.run.note("xl destroy, leased and ready", "noticed in \(seconds(took))", nil)
                }
                try await course.settled(
                    "xl destroy of a leased and a ready desktop, \(round)", "noticed in \(seconds(took))", lab, within: Self.refill)
            }
        }

        @Test func afterAPowerCutTheRoomFillsAnewAndNothingOfTheSessionsIsLeft() async throws {
            let course = Self.course
            try await course.begin(lab)
            for round in 1...(LongRun.isLong ? 3 : 1) {
                // A real desktop, with a file in it; and one that is being made.
                let seat = try await lab.seat("pi-9")
                try await seat.start()
                let session = try await seat.desktopShown(within: .seconds(200))
                try await seat.openTerminal()
                try await seat.leaveTraces()
                try #require(try await seat.holds(Seat.traces), "the question sees what is there")
                let light = try await course.seat(2, lab)
                let other = try await light.desktop(within: .seconds(200))
                try #require(try await light.end(other.session))
                let before = try await lab.desktop(session.desktop)

                let cut = ContinuousClock.now
                try await lab.powerCut()
                let dark = ContinuousClock.now - cut
                try #require(try await lab.session(session.id).reason == "desktop-died")
                // The seat was on all the time; it asks again by itself, and is shown a desktop that has nothing of the one before.
                let next = try await seat.desktopShown(within: Self.refillAfterPowerCut)
                let shown = ContinuousClock.now - cut
                let after = try await lab.desktop(next.desktop)
                try #require(next.id != session.id && (after.name != before.name || after.generation > before.generation))
                try await seat.openTerminal()
                try #require(try await !seat.holds(Seat.traces))
                await lab.seatLeaves("pi-9")
                try await lab.nobodyIsHere()
                try await course.settled(
                    "power cut, \(round)", "punnetd answered after \(seconds(dark)), the seat showed a desktop after \(seconds(shown))",
                    lab,
                    within: Self.refillAfterPowerCut)
            }
            await course.end()
        }
    }
}

/// The story of these tests: what the room held at first, and what came of each event.
actor Course {
    let run = LongRun.shared
    private var before: Ledger?
    private var seats: [Int: LightSeat] = [:]

    /// Where the room was not measured yet, waits until nobody is in it and all of it is ready, and measures it.
    func begin(_ lab: Lab) async throws {
        guard before == nil else { return }
        try await lab.fillRoom()
        try await lab.nobodyIsHere()
        try await lab.whole(within: .seconds(600))
        let ledger = try await lab.ledger()
        before = ledger
        await run.say("The room at rest, before: \(ledger.line).")
    }

    func seat(_ number: Int, _ lab: Lab) async throws -> LightSeat {
        if let seat = seats[number] { return seat }
        let seat = try await LightSeat(name: "light-\(number)", lab: lab)
        seats[number] = seat
        return seat
    }

    /// Waits until the pool is whole, and compares what the server holds with what it held at first.
    func settled(_ event: String, _ detail: String, _ lab: Lab, within limit: Duration) async throws {
        let before = before
        do {
            let took = try await lab.whole(within: limit)
            let sessions = try await lab.requireNoneTainted()
            let now = try await eventually("the server holds what it held before", within: .seconds(60), every: .seconds(2)) {
                let now = try await lab.ledger()
                if let before { try now.requireSame(as: before) }
                return now
            }
            await run.note(event, detail, took)
            await run.say("After \(event): \(sessions) sessions so far, none on a desktop of another's; \(now.line).")
        } catch {
            await run.note(event, detail + "; FAILED: \(error)", nil)
            throw error
        }
    }

    func end() async {
        for seat in seats.values { await seat.leave() }
        seats = [:]
    }
}

extension Lab {
    /// How often systemd has started punnetd anew since this boot.
    func restarts() async throws -> Int {
        Int(try await dom0("systemctl show -P NRestarts punnetd").trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    /// Takes the power from the whole server and gives it back: the emulator is killed, its disk stays.
    func powerCut() async throws {
        guard let packages = Self.packages else { return }
        try await Self.run(["power", "cut"])
        try await Self.run(["start", "--network", "lan", "--packages", packages], within: .seconds(900))
        try await eventually("punnetd answers", within: .seconds(180)) { try await self.desktopList() }
        try await dom0(Wire.watchReadiness)
    }
}
