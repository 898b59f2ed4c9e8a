import Foundation
import Testing

extension XenLab {
    /// A lab that was just made, and the appliance when nobody uses it.
    struct Filling {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        @Test func aLabFillsByItselfAndParksEachDesktopOnceItsRDPHasAnswered() async throws {
            try await lab.fillRoom()
            let desktops = try await lab.desktopList()
            try #require(desktops.count == 2)
            // Of Xen: these two domains and no other, both paused.
            let domains = try await lab.domains()
            try #require(Set(domains.map(\.name)) == Set(desktops.map(\.domainName)))
            try #require(domains.allSatisfy { $0.isPaused }, "\(domains)")
            // Of the wire: RDP was confirmed and a TLS handshake answered at exactly their addresses.
            let answered = try await Wire.answered(in: lab)
            try #require(answered == Set(desktops.map(\.address)), "\(answered)")
            if await lab.filling != nil {
                try #require(desktops.map(\.generation).sorted() == [1, 2], "one was frozen first, and nothing had to be tried twice")
            }
            try await lab.requireNothingLeftOver()
        }

        @Test func aParkedDesktopDoesNotRun() async throws {
            try await lab.fillRoom()
            func times() async throws -> [Substring] {
                try await lab.dom0("xl list | awk 'NR > 1 && $2 > 0 {print $1, $NF}'").split(separator: "\n")
            }
            let before = try await times()
            try #require(before.count == 2)
            // Time enough for hundreds of a running guest's timer ticks: dom0 itself works meanwhile.
            let ticks = try await lab.dom0("head -c 20000000 /dev/zero | sha256sum > /dev/null; xl list 0 | awk 'END {print $NF}'")
            try #require(!ticks.isEmpty)
            try #require(try await times() == before)
        }

        @Test func aDesktopThatHasStoodForLongAnswersAgainAndIsParkedAgain() async throws {
            try await lab.fillRoom()
            let before = try await lab.desktopList()
            try await lab.dom0("nft flush set inet lab_watch confirmed && nft flush set inet lab_watch shook")
            try await lab.dom0("punnet lab set room --air-every 1min")
            let took = try await time {
                try await eventually("both have answered once more, and are parked", within: .seconds(240)) {
                    let answered = try await Wire.answered(in: lab)
                    return try await lab.domains().allSatisfy { $0.isPaused } && answered == Set(before.map(\.address))
                }
            }
            figure("from the setting of one minute to both desktops aired", seconds(took))
            try await lab.dom0("punnet lab set room --air-every 10min")
            let after = try await lab.desktopList()
            try #require(after.map(\.generation) == before.map(\.generation), "neither was made anew")
            try #require(after.allSatisfy { $0.state == "ready" })
        }

        @Test func punnetdAndTheRelayRestWhileNobodyUsesThem() async throws {
            try await lab.fillRoom()
            let before = try await lab.restingFigures()
            try await lab.dom0("sleep 20")
            let after = try await lab.restingFigures()
            for unit in Lab.units {
                let first = try #require(before[unit]), last = try #require(after[unit])
                try #require(first.process == last.process, "\(unit) was started anew while it had nothing to do")
                figure(
                    "\(unit) at rest",
                    String(
                        format: "%.1f MB resident, %.1f MB of its own share, %.2f wake-ups a second", Double(last.resident) / 1000,
                        Double(last.share) / 1000, Double(last.wakeUps(since: first)) / (last.at - first.at)))
            }
        }
    }
}

extension Lab {
    static let units = ["punnetd", "punnet-relay"]

    struct Resting: Sendable {
        let process: Int
        /// Kilobytes.
        let resident: Int
        let share: Int
        /// Context switches by thread.
        let switches: [Int: Int]
        /// Seconds of the appliance's uptime.
        let at: Double

        /// Those of threads that have ended since are not known.
        func wakeUps(since first: Resting) -> Int {
            switches.reduce(0) { $0 + $1.value - first.switches[$1.key, default: 0] }
        }
    }

    /// Memory, and how often each of the two was woken so far.
    func restingFigures() async throws -> [String: Resting] {
        var figures: [String: Resting] = [:]
        for unit in Self.units {
            let line = try await dom0(
                """
                pid=$(systemctl show -P MainPID \(unit)); echo $pid \
                $(awk '/^Rss:/ {print $2}' /proc/$pid/smaps_rollup) $(awk '/^Pss:/ {print $2}' /proc/$pid/smaps_rollup) \
                $(cut -d' ' -f1 /proc/uptime) \
                $(cat /proc/$pid/task/*/status 2>/dev/null | awk '/^Pid:/ {t = $2} /ctxt_switches/ {sum[t] += $2} END {for (t in sum) print t, sum[t]}')
                """)
            let words = line.split { " \n".contains($0) }.map(String.init)
            guard words.count >= 6, let process = Int(words[0]), process > 0, let resident = Int(words[1]), let share = Int(words[2]),
                let at = Double(words[3])
            else { throw Program.Failure(description: "\(unit) does not run: '\(line)'") }
            var switches: [Int: Int] = [:]
            for index in stride(from: 4, to: words.count - 1, by: 2) { switches[Int(words[index]) ?? 0] = Int(words[index + 1]) }
            figures[unit] = Resting(process: process, resident: resident, share: share, switches: switches, at: at)
        }
        return figures
    }

    /// Sees that there is no domain, overlay, disk server or network port but those of the desktops that Punnet tells of.
    func requireNothingLeftOver() async throws {
        let desktops = try await desktopList()
        let domains = try await domains().filter { $0.name != ProbeGuest.name }
        try #require(Set(domains.map(\.name)) == Set(desktops.map(\.domainName)), "\(domains), \(desktops)")
        let disks = try await disksInUse()
        try #require(disks.count == domains.count, "\(disks)")
        try #require(try await overlays() == disks)
        let servers = try await dom0("pgrep -fc '[q]emu-system.* -xen-domid' || true").trimmingCharacters(in: .whitespacesAndNewlines)
        try #require(Int(servers) == domains.count, "\(servers) disk servers for \(domains.count) domains")
        let ports = try await dom0("ls /sys/class/net").split(separator: "\n").filter { $0.hasPrefix("vif") }.map(String.init)
        try #require(Set(ports) == Set(domains.map { "vif\($0.id).0" }))
    }
}
