import Foundation
import Testing

extension XenLab {
    /// What users of seats see, one after the other.
    struct Sessions {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        /// A seat that is switched on and shows a desktop.
        private func seat(_ name: String) async throws -> (seat: Seat, session: Lab.Session) {
            try await lab.fillRoom()
            let seat = try await lab.seat(name)
            try await seat.start()
            return (seat, try await seat.desktopShown(within: .seconds(200)))
        }

        @Test func aSeatIsShownItsOwnDesktopAndTheOtherStaysPaused() async throws {
            try await lab.fillRoom()
            let first = try await lab.seat("pi-1")
            let answered = try await Wire.answered(in: lab)
            var session: Lab.Session?
            let took = try await time {
                try await first.start()
                session = try await first.desktopShown()
            }
            figure("seat switched on to its desktop on the screen", seconds(took))
            let own = try #require(session).desktop
            // Of Xen: the one runs, the other does not.
            let desktops = try await lab.desktopList()
            for desktop in desktops {
                let domain = try #require(try await lab.domain(of: desktop.name))
                try #require(domain.name == desktop.domainName)
                try #require(domain.isPaused == (desktop.name != own), "\(domain)")
            }
            // The seat took no certificate but the one by which the desktop had answered before it was parked.
            try #require(answered.contains(try await lab.desktop(own).address))
            // And no other desktop's colour is on the screen.
            let picture = try await first.picture()
            for desktop in desktops where desktop.name != own {
                try #require(picture.share(of: try .ofDesktop(at: desktop.address)) < 0.01)
            }
        }

        @Test func desktopsOfOneMemoryAreThemselves() async throws {
            var machines: Set<String> = [], certificates: Set<String> = []
            var numbers: [Lab.Randomness] = []
            for name in ["pi-1", "pi-2"] {
                let (seat, session) = try await seat(name)
                try await seat.openTerminal()
                try #require(try await seat.holds("test \"$(hostname)\" = \(session.desktop)"))
                machines.insert(try await seat.digits(of: "sha256sum /etc/machine-id"))
                certificates.insert(try await lab.certificate(of: session.desktop))
                numbers.append(try await lab.randomness(of: session.desktop))
                // It would be as late as the memory is old.
                try await seat.requireRightTime()
                let (own, images) = try await lab.passwords(of: session.desktop)
                try #require(own != images)
                let isEntered = try await seat.holds("echo '\(own)' | su -c true $USER 2>/dev/null")
                try #require(isEntered, "by the password that its seat was told")
                try #require(try await !seat.holds("echo '\(images)' | su -c true $USER 2>/dev/null"))
            }
            // And so is a third one, of the same place as the second.
            let (seat, session) = try await seat("pi-2")
            let before = try await lab.desktop(session.desktop)
            try await seat.type("punnet-desktop-log-off")
            _ = try await lab.remade(before.name, after: before.generation)
            let next = try await seat.desktopShown()
            try #require(next.id != session.id)
            try await seat.openTerminal()
            machines.insert(try await seat.digits(of: "sha256sum /etc/machine-id"))
            certificates.insert(try await lab.certificate(of: next.desktop))
            numbers.append(try await lab.randomness(of: next.desktop))
            try await seat.requireRightTime()
            try #require(machines.count == 3, "\(machines)")
            try #require(certificates.count == 3, "\(certificates)")
            // As they woke, before punnet-guest had done anything, each drew what the others drew; and after it none of that.
            let first = numbers.map { $0.woken[0] }
            try #require(Set(first).count == 1, "\(numbers)")
            try #require(Set(numbers.map(\.renewed)).union(numbers.flatMap(\.woken)).count == 3 + numbers[0].woken.count, "\(numbers)")
            figure(
                "32 random bytes of three clones", "\(first[0].prefix(16))… in each as it wakes, then "
                    + numbers.map { "\($0.renewed.prefix(16))…" }.joined(separator: ", "))
            // Nothing was ever booted but what was frozen.
            try #require(try await lab.boots() == (1, 0))
            await lab.seatLeaves(seat.name)
        }

        @Test func killingPunnetdDoesNotEvenFreezeThePicture() async throws {
            let (seat, session) = try await seat("pi-1")
            let domain = try #require(try await lab.domain(of: session.desktop))
            try await seat.openTerminal()
            try await seat.type("while :; do date +%N; sleep .1; done")
            try await seat.movesOn(for: .seconds(2), withoutAPauseOf: .seconds(5))
            let connections = try await seat.connections()
            try #require(connections.count == 1)

            try await lab.withPunnetdDead {
                try await seat.movesOn(for: .seconds(15), withoutAPauseOf: .seconds(3))
            }
            try await eventually("punnetd has adopted the session", within: .seconds(60)) {
                try await lab.session(ofSeat: seat.name)?.connected == true
            }
            try #require(try await lab.session(ofSeat: seat.name)?.id == session.id)
            try await seat.movesOn(for: .seconds(3), withoutAPauseOf: .seconds(3))
            try #require(try await seat.connections() == connections, "it is the same TCP connection")
            try #require(try await lab.domain(of: session.desktop)?.id == domain.id)
            try await seat.press("ctrl+c")
        }

        @Test func aCableThatIsPluggedInAgainWithinTheGraceTimeFindsTheSameSession() async throws {
            let (seat, session) = try await seat("pi-1")
            let domain = try #require(try await lab.domain(of: session.desktop))
            try await seat.openTerminal()
            try await seat.type("while :; do date +%N; sleep .1; done")
            try await seat.movesOn(for: .seconds(1), withoutAPauseOf: .seconds(5))
            try await seat.pullCable()
            try await eventually("the lost link is noticed", within: .seconds(50)) {
                try await lab.session(ofSeat: seat.name)?.connected == false
            }
            try await seat.plugCableIn()
            try await eventually("the link is there again", within: .seconds(60)) {
                try await lab.session(ofSeat: seat.name)?.connected == true
            }
            try #require(try await lab.session(ofSeat: seat.name)?.id == session.id)
            try #require(try await lab.domain(of: session.desktop)?.id == domain.id)
            // What ran, runs: the same numbers go on in the same terminal.
            try await eventually("the picture moves again", within: .seconds(60), holds: {
                try await seat.movesOn(for: .seconds(3), withoutAPauseOf: .seconds(8))
                return true
            })
            try await seat.press("ctrl+c")
        }

        @Test func theNextUserFindsNeitherFileNorProcessOfTheOneBefore() async throws {
            let (first, session) = try await seat("pi-1")
            let before = try await lab.desktop(session.desktop)
            let overlay = try await lab.overlay(of: before.domainName)
            try await first.openTerminal()
            try await first.leaveTraces()
            try #require(try await first.holds(Seat.traces), "the question sees what is there")
            var after: Lab.Desktop?
            let took = try await time {
                try await first.type("punnet-desktop-log-off")
                try await eventually("session \(session.id) has ended", within: .seconds(30)) {
                    try await lab.session(session.id).reason == "log-off" ? true : nil
                }
                after = try await lab.remade(before.name, after: before.generation)
            }
            figure("log-off to made anew and parked", seconds(took))
            try #require(after?.generation == before.generation + 1, "nothing had to be tried twice")
            // Of Xen and of the disk: the domain and the overlay of that session are gone, and nobody holds the overlay open.
            try #require(try await !lab.domains().contains { $0.name == before.domainName })
            try #require(try await !lab.overlays().contains(overlay))
            let holders = try await lab.dom0("ls -l /proc/[0-9]*/fd 2>/dev/null | grep -F '\(overlay)' || true")
            try #require(holders.isEmpty, "\(holders)")
            try await lab.requireNothingLeftOver()

            // The first seat has been given the other desktop, and the second gets the one that was left; or the first has it again, where the
            // other was not ready.
            let next = try await first.desktopShown()
            try #require(next.id != session.id)
            var user = first
            if next.desktop != before.name {
                let (second, given) = try await seat("pi-2")
                try #require(given.desktop == before.name)
                user = second
            }
            try await user.openTerminal()
            try #require(try await !user.holds(Seat.traces))
            try await user.type("echo | tee left-behind")
            try #require(try await user.holds("test -e left-behind"), "files can be kept there")
        }

        @Test func whoComesThirdIsToldItsPlaceAndGetsWhatComesFree() async throws {
            let (_, one) = try await seat("pi-1")
            let (second, two) = try await seat("pi-2")
            try #require(one.desktop != two.desktop)
            let third = try await lab.seat("pi-3")
            try await third.start()
            try await eventually("the third seat is told its place", within: .seconds(60)) { third.log.contains("place in the line: 1") }
            try await third.shows(.seatScreen, on: 0.8, "its own screen, with the place")
            let empty = try await third.picture().share(of: .seatScreen)
            try #require(empty < 0.999, "something stands on it")
            try #require(try await lab.session(ofSeat: third.name) == nil)

            // The second leaves; it asks again at once, and has to stand behind the third.
            let before = try await lab.desktop(two.desktop)
            try await second.openTerminal()
            try await second.type("punnet-desktop-log-off")
            try await eventually("session \(two.id) has ended", within: .seconds(30)) {
                try await lab.session(two.id).reason == "log-off" ? true : nil
            }
            try await eventually("the second seat is told the second place", within: .seconds(60)) {
                second.log.contains("place in the line: 2")
            }
            let given = try await third.desktopShown(within: .seconds(400))
            try #require(given.desktop == two.desktop)
            try #require(try await lab.desktop(two.desktop).generation > before.generation)
            try #require(try await lab.session(ofSeat: second.name) == nil)
            try await eventually("the second seat has moved up", within: .seconds(30)) {
                second.log.components(separatedBy: "place in the line: 1").count > 1
            }
            await lab.seatLeaves(second.name)
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run"))
        func aSeatStartedAnewGetsAFreshDesktopThoughPunnetdIsKilledAtEachStepOfMakingIt() async throws {
            let (seat, session) = try await seat("pi-1")
            _ = try await self.seat("pi-3")
            let before = try await lab.desktop(session.desktop)
            let domain = try #require(try await lab.domain(of: session.desktop))
            try await seat.openTerminal()
            try await seat.leaveTraces()
            try #require(try await seat.holds(Seat.traces))

            let overlays = try await lab.overlays()
            try await seat.powerCycle()
            try await eventually("the session before has ended", within: .seconds(60)) {
                try await lab.session(session.id).reason == "seat-restarted" ? true : nil
            }
            for moment in KillMoment.allCases {
                let said = try await lab.dom0(moment.script(desktop: before.name, overlays: overlays), within: .seconds(150))
                say("punnetd was killed \(moment.rawValue): \(said.split(separator: "\n").joined(separator: "; "))")
                try await eventually("punnetd is there again", within: .seconds(60)) { try await lab.desktopList() }
                try #require(try await lab.session(ofSeat: "pi-3") != nil, "the other session goes on")
            }
            let given = try await seat.desktopShown(within: .seconds(400))
            try #require(given.id != session.id && given.desktop == before.name)
            let after = try await lab.desktop(given.desktop)
            try #require(after.generation >= before.generation + KillMoment.allCases.count - 1, "each broken making was a generation")
            // Of Xen: it is a domain built since, and nothing of the broken ones is left.
            let fresh = try #require(try await lab.domain(of: given.desktop))
            try #require(fresh.id > domain.id && fresh.name == after.domainName)
            try await lab.requireNothingLeftOver()
            try await seat.openTerminal()
            try #require(try await !seat.holds(Seat.traces))
        }
    }
}

/// When punnetd is killed while a desktop is made anew.
enum KillMoment: String, CaseIterable {
    case whileTheDesktopIsRemoved = "while the desktop was on its way out"
    case whenTheOverlayIsLaid = "when the new overlay lay there"
    case whileTheDomainIsBuilt = "while Xen built the domain"
    case whileItStarts = "while the new desktop started"

    /// Waits in dom0 for the moment, kills, and says what there was.
    ///
    /// - Parameter overlays: What lay there before the desktop was to be made anew.
    func script(desktop: String, overlays: Set<String>) -> String {
        let kill = "kill -9 $(systemctl show -P MainPID punnetd)"
        let limit = Int(140 * Pace.factor)
        let seen = "xl list | awk 'NR > 1 {print $1, $5}'; ls /var/lib/punnet/desktops; exit 0"
        func until(_ condition: String) -> String {
            "for i in $(seq 100000); do if \(condition); then \(kill); \(seen); fi; [ $SECONDS -lt \(limit) ] || exit 9; done; exit 9"
        }
        let state = "printf 'GET /api/v1/desktops HTTP/1.1\\r\\nHost: punnet\\r\\nConnection: close\\r\\n\\r\\n' | "
            + "socat -t 20 - UNIX-CONNECT:/run/punnet/control.sock | grep -Eo '[{][^}]*\"name\":\"\(desktop)\"[^}]*[}]'"
        return switch self {
        case .whileTheDesktopIsRemoved: until("true")
        case .whenTheOverlayIsLaid:
            until("find /var/lib/punnet/desktops -type f | grep -qvxF \(overlays.map { "-e \($0)" }.joined(separator: " "))")
        case .whileTheDomainIsBuilt: until("\(state) | grep -q '\"step\":\"domain\"' && xl list | grep -q '^\(desktop)-g'")
        case .whileItStarts: until("\(state) | grep -qE '\"step\":\"(identity|readiness)\"'")
        }
    }
}

extension Seat {
    /// Whether a user of this desktop finds what another left on it: a condition for its shell.
    static let traces = "test -e marker || pgrep -f 98765"

    /// Leaves a file in the home folder and a process that outlives the session.
    func leaveTraces() async throws { try await type("touch marker; setsid -f sleep 98765; sync") }

    /// Takes pictures for so long and sees that each pause between two different ones is short enough for a quiet machine.
    func movesOn(for duration: Duration, withoutAPauseOf limit: Duration) async throws {
        let limit = limit * Pace.factor
        let clock = ContinuousClock()
        let start = clock.now
        var last = try await picture(), moved = clock.now, longest = Duration.zero, changes = 0
        while clock.now - start < duration || changes < 3 {
            let next = try await picture()
            longest = max(longest, clock.now - moved)
            guard longest < limit else {
                throw Program.Failure(description: "\(name)'s picture stood still for \(seconds(longest)) after \(changes) changes")
            }
            guard next != last else { continue }
            last = next
            moved = clock.now
            changes += 1
        }
        say("\(name)'s picture changed \(changes) times in \(seconds(clock.now - start)), its longest pause was \(seconds(longest))")
    }
}

extension Seat {
    /// Sees that the clock of the desktop on the screen is right to a second. One that is wrong stays so, however often it is asked.
    func requireRightTime() async throws {
        try await eventually("the clock of \(name)'s desktop is right", within: .seconds(60)) {
            let lateness = try await self.lateness()
            guard abs(lateness) < 1 else { throw Program.Failure(description: "it is \(lateness) s late") }
            figure("a desktop's clock, and the way of its answer, behind dom0's", String(format: "%.3f s", lateness))
            return true
        }
    }
}

extension Lab {
    /// What a desktop's console says, in dom0.
    func console(of desktop: String) async throws -> String {
        "/var/log/xen/console/guest-\(try await self.desktop(desktop).domainName).log"
    }

    /// Random numbers that a clone's kernel gave, each 32 bytes: Scripts/lib/xen-lab-desktop tells them.
    struct Randomness: Sendable {
        /// The first ones that it gave as it woke.
        let woken: [String]
        /// One when its identity was its own.
        let renewed: String
    }

    func randomness(of desktop: String) async throws -> Randomness {
        let lines = try await dom0("cat \(try await console(of: desktop))").split(whereSeparator: \.isNewline)
        func told(_ what: String) -> [String] {
            lines.filter { $0.hasPrefix("lab: \(what) ") }.flatMap { $0.split(separator: " ").dropFirst(2).map(String.init) }
        }
        let (woken, renewed) = (told("woke"), told("renewed"))
        guard woken.count == 8, renewed.count == 1, (woken + renewed).allSatisfy({ $0.count == 64 }) else {
            throw Program.Failure(description: "\(desktop) tells of its random numbers: \(lines.suffix(20).joined(separator: "; "))")
        }
        return Randomness(woken: woken, renewed: renewed[0])
    }

    /// The fingerprint of the certificate by which a desktop's RDP answered before it was parked.
    func certificate(of desktop: String) async throws -> String {
        try await dom0(
            """
            python3 - <<'END'
            import sqlite3
            db = sqlite3.connect("file:/var/lib/punnet/punnet.db?mode=ro", uri=True)
            print(db.execute("SELECT fingerprint FROM desktop WHERE name = '\(desktop)'").fetchone()[0].hex())
            END
            """)
    }

    /// The password by which a desktop is entered now, and the one that its image came with.
    func passwords(of desktop: String) async throws -> (own: String, images: String) {
        let answer = try await dom0(
            """
            python3 - <<'END'
            import sqlite3
            db = sqlite3.connect("file:/var/lib/punnet/punnet.db?mode=ro", uri=True)
            print(*db.execute("SELECT desktop.password, image_version.password FROM desktop JOIN image_version"
                              " ON image_version.id = desktop.image_version WHERE name = '\(desktop)'").fetchone())
            END
            """)
        let words = answer.split(whereSeparator: \.isWhitespace).map(String.init)
        guard words.count == 2 else { throw Program.Failure(description: "of \(desktop)'s passwords is told: \(answer)") }
        return (words[0], words[1])
    }

    /// How many checkpoints were ever made, and how many desktops were not restored from one.
    func boots() async throws -> (checkpoints: Int, desktops: Int) {
        let answer = try await dom0(
            """
            python3 - <<'END'
            import sqlite3
            db = sqlite3.connect("file:/var/lib/punnet/punnet.db?mode=ro", uri=True)
            print(*db.execute("SELECT next_checkpoint - 1, (SELECT count(*) FROM desktop WHERE checkpoint IS NULL) FROM appliance").fetchone())
            END
            """)
        let words = answer.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard words.count == 2 else { throw Program.Failure(description: "of checkpoints is told: \(answer)") }
        return (words[0], words[1])
    }

    /// Kills punnetd, does the work while it is dead, and has systemd start it again.
    func withPunnetdDead(_ work: @Sendable () async throws -> Void) async throws {
        let folder = "/run/systemd/system/punnetd.service.d"
        try await dom0("mkdir -p \(folder); printf '[Service]\\nRestart=no\\n' > \(folder)/lab.conf; systemctl daemon-reload")
        let outcome: Result<Void, any Error>
        do {
            try await dom0("kill -9 $(systemctl show -P MainPID punnetd)")
            try await eventually("punnetd is dead", within: .seconds(10)) { try await self.punnetdIsDead() }
            // Nobody holds what it listened at: neither its domains' programs nor anything else that it started.
            let holders = try await dom0("ss -Hlntxp | grep -E ':443 |/run/punnet/' || true")
            try #require(holders.isEmpty, "\(holders)")
            try await work()
            try #require(try await punnetdIsDead(), "it was dead all the time")
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await dom0(
            "rm -r \(folder); systemctl daemon-reload; systemctl reset-failed punnetd; systemctl start punnetd", within: .seconds(180))
        try outcome.get()
    }

    private func punnetdIsDead() async throws -> Bool { try await dom0("pgrep -x punnetd || true").isEmpty }

    /// The disk file of a domain, as Xen has it.
    func overlay(of domain: String) async throws -> String {
        let line = try await dom0(
            "xenstore-ls -f /local/domain/0/backend/qdisk/$(xl domid \(domain)) | sed -n 's/.*\\/params = \"[a-z0-9]*:\\(.*\\)\"/\\1/p'")
        let path = line.trimmingCharacters(in: .whitespacesAndNewlines)
        guard try await overlays().contains(path) else { throw Program.Failure(description: "\(domain) has no overlay but '\(path)'") }
        return path
    }
}
