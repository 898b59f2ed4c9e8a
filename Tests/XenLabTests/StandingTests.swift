import Foundation
import Testing

extension XenLab {
    /// Desktops that nobody came to for long. They stand in a room where nothing else happens: Scripts/lib/long-run.sh gives it a lab of its own.
    struct Standing {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        /// How long they have to stand.
        private static let length = Duration.seconds(7200)

        @Test(.enabled(if: LongRun.isLong, "for the long run"))
        func aDesktopThatStoodForLongIsUnpausedAndEnteredAtOnce() async throws {
            try await lab.fillRoom()
            try await lab.nobodyIsHere()
            // They are never aired.
            try await lab.dom0("punnet lab set room --air-every 0s")
            try await lab.whole(within: .seconds(400))
            let left = try await lab.parked(), clock = ContinuousClock(), since = clock.now
            try #require(left.count == 2)
            try await Task.sleep(for: Self.length, clock: clock)
            try #require(try await lab.parked() == left, "they are the same domains, and never ran meanwhile")

            let seat = try await lab.seat("pi-1")
            let begun = clock.now
            try await seat.start()
            let session = try await eventually("\(seat.name) has a session", within: .seconds(60), every: .milliseconds(50)) {
                try await lab.session(ofSeat: seat.name)
            }
            let given = clock.now
            let desktop = try await lab.desktop(session.desktop)
            try await seat.shows(.ofDesktop(at: desktop.address), on: 0.1, "\(desktop.name)'s own colour")
            let shown = clock.now
            await LongRun.shared.say(
                "A desktop that stood for \(seconds(since.duration(to: begun))): \(seconds(begun.duration(to: given))) from the seat's start to its "
                    + "claim, \(seconds(given.duration(to: shown))) from the claim to the picture.")
            try #require(try await lab.domain(of: desktop.name)?.id == left[desktop.domainName]?.id, "it was not made anew")
            try await seat.openTerminal()
            try await seat.requireRightTime()
            try #require(try await seat.holds("test \"$(hostname)\" = \(desktop.name)"))
            await lab.seatLeaves(seat.name)
            try await lab.dom0("punnet lab set room --air-every 10min")
        }
    }
}

extension Lab {
    /// A desktop's domain that does not run, and the processor's time that it has had, as Xen tells it.
    fileprivate struct Parked: Equatable {
        let id: Int
        let worked: String
    }

    /// The domains that are paused, by their names.
    fileprivate func parked() async throws -> [String: Parked] {
        let lines = try await dom0("xl list | awk 'NR > 2 && $5 ~ /p/ {print $1, $2, $NF}'").split(separator: "\n").map { $0.split(separator: " ") }
        return Dictionary(uniqueKeysWithValues: lines.compactMap { fields in
            Int(fields[1]).map { (String(fields[0]), Parked(id: $0, worked: String(fields[2]))) }
        })
    }
}
