import Foundation
import Testing

extension XenLab {
    /// A desktop that nobody came to for long.
    struct Standing {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        /// How long a desktop has to stand. It begins to with the room's first filling, so that other tests take up that time.
        private static let length = Duration.seconds(7200)

        @Test(.enabled(if: LongRun.isLong, "for the long run"))
        func aDesktopThatStoodForLongIsUnpausedAndEnteredAtOnce() async throws {
            try await lab.fillRoom()
            let standing = try await lab.leaveOneStanding()
            try await eventually("\(standing.desktop) has stood for \(seconds(Self.length))", within: Self.length, every: .seconds(1), holds: {
                standing.since.duration(to: .now) > Self.length
            })
            try #require(try await lab.domain(of: standing.desktop) == standing.domain, "it is the same domain, and paused")
            try #require(try await lab.worked(standing.domain) == standing.worked, "it never ran meanwhile")
            let seat = try await lab.seat(Lab.Standing.seat, of: Lab.Standing.room)
            let clock = ContinuousClock()
            let begun = clock.now
            try await seat.start()
            let session = try await eventually("\(seat.name) has a session", within: .seconds(60), every: .milliseconds(50)) {
                try await lab.session(ofSeat: seat.name)
            }
            let given = clock.now
            try await seat.shows(.ofDesktop(at: try await lab.desktop(session.desktop).address), on: 0.1, "\(session.desktop)'s own colour")
            let shown = clock.now
            figure(
                "a desktop that stood for \(seconds(standing.since.duration(to: begun)))",
                "\(seconds(begun.duration(to: given))) from the seat's start to its claim, \(seconds(given.duration(to: shown))) from the claim to the picture")
            try #require(try await lab.desktop(session.desktop).domainName == standing.domain.name, "it was not made anew")
            try #require(try await lab.domain(of: session.desktop)?.id == standing.domain.id)
            try await seat.openTerminal()
            try await seat.requireRightTime()
            try #require(try await seat.holds("test \"$(hostname)\" = \(session.desktop)"))
            try await lab.leaveNoneStanding()
        }
    }
}

extension Lab {
    /// A desktop that is left alone from the room's first filling on.
    struct Standing: Sendable {
        /// A lab of its own, whose desktop is never aired.
        static let room = "still"
        /// Who comes to it in the end.
        static let seat = "pi-4"

        let desktop: String
        let domain: Domain
        /// The processor's time that it had when it was parked, as Xen tells it.
        let worked: String
        let since: ContinuousClock.Instant
    }

    /// Makes it, where there is none, and tells of it once it is parked.
    func leaveOneStanding() async throws -> Standing {
        if let standing { return standing }
        try await leaveNoneStanding()
        try await dom0("punnet lab create \(Standing.room) --image debian-desktop --size 1 --memory 512MiB --vcpus 1 --air-every 0s")
        let desktop = Standing.room + "-1"
        let domain = try await eventually("\(desktop) is parked", within: .seconds(200)) { () -> Domain? in
            guard try await self.desktop(desktop).state == "ready", let domain = try await self.domain(of: desktop), domain.isPaused else { return nil }
            return domain
        }
        let left = Standing(desktop: desktop, domain: domain, worked: try await worked(domain), since: .now)
        standing = left
        return left
    }

    /// Deletes its lab and its seat, where there are any.
    func leaveNoneStanding() async throws {
        standing = nil
        await seatLeaves(Standing.seat)
        if try await seatNames().contains(Standing.seat) { try await dom0("punnet seat remove \(Standing.seat) --yes") }
        guard try await dom0("punnet lab list").contains(Standing.room) else { return }
        try await dom0("punnet lab delete \(Standing.room) --yes", within: .seconds(60))
        try await eventually("nothing is left of \(Standing.room)", within: .seconds(60)) {
            try await self.domains().contains { $0.name.hasPrefix(Standing.room) } ? nil : true
        }
    }

    /// The processor's time that a domain has had, as Xen tells it.
    func worked(_ domain: Domain) async throws -> String {
        try await dom0("xl list \(domain.id) | awk 'END {print $NF}'").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
