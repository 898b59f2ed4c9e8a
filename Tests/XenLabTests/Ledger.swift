import Foundation
import Testing

/// What there is on the appliance while nobody uses it: it must be the same after whatever happened in between.
struct Ledger: Sendable {
    /// What must be exactly the same, by name.
    let exact: [String: String]
    /// What may differ by a little, by name.
    let figures: [String: Int]

    /// By how much each figure may be greater than it was.
    ///
    /// A daemon at rest holds a few files more or less, as connections end; what it ever read stays in its memory.
    static let allowances = [
        "punnetd files": 12, "punnet-relay files": 8, "punnetd KiB": 24_000, "punnet-relay KiB": 8_000, "dom0 processes": 3,
    ]

    /// The memory, in MiB, that Xen may have less of; it has as much to the page, but for what dom0's own grants pin.
    static let memoryAllowance = 8

    func requireSame(as before: Ledger) throws {
        for (name, value) in before.exact where exact[name] != value {
            throw Program.Failure(description: "\(name): was '\(value)', is '\(exact[name] ?? "nothing")'")
        }
        for (name, allowance) in Self.allowances {
            let (then, now) = (before.figures[name, default: 0], figures[name, default: .max])
            guard now <= then + allowance else { throw Program.Failure(description: "\(name): was \(then), is \(now)") }
        }
        let (then, now) = (before.figures["Xen MiB free", default: .max], figures["Xen MiB free", default: 0])
        guard now >= then - Self.memoryAllowance else { throw Program.Failure(description: "Xen has \(now) MiB free, and had \(then)") }
    }

    var line: String {
        (exact.filter { $0.value.count < 12 }.map { "\($0.key) \($0.value)" } + figures.map { "\($0.key) \($0.value)" }).sorted().joined(
            separator: ", ")
    }
}

extension Lab {
    /// Reads it, in dom0.
    func ledger() async throws -> Ledger {
        let script = """
            count() { echo "=$1 $(ls -1d $2 2>/dev/null | wc -l)"; }
            echo "=domains $(xl list | tail -n +3 | wc -l)"
            count overlays '/var/lib/punnet/desktops/*'
            count checkpoints '/var/lib/punnet/checkpoints/*'
            count images '/var/lib/punnet/images/*'
            echo "=disk servers $(pgrep -fc '[q]emu-system.* -xen-domid')"
            count 'network ports' '/sys/class/net/vif*'
            count 'domain records' '/var/lib/xen/userdata-*'
            for path in /local/domain /libxl /vm; do
                echo "=$path $(xenstore-list $path | grep -vxc -e 0 -e 00000000-0000-0000-0000-000000000000)"
            done
            echo "=reservations $(grep -c infinite /var/lib/libvirt/dnsmasq/punnet.hostsfile)"
            echo "=leases $(virsh net-dhcp-leases punnet | awk '/ipv4/ {print $3, $5}' | sort | tr '\\n' ' ')"
            rules=$(nft list table inet punnet | sed -E 's/packets [0-9]+ bytes [0-9]+//' | sha256sum | cut -c1-8)
            echo "=guard $rules $(nft list tables | sort | tr '\\n' ' ')"
            echo "=links $(ss -Htn state established sport = :3389 | wc -l)"
            for unit in \(Self.units.joined(separator: " ")); do
                pid=$(systemctl show -P MainPID $unit)
                echo "#$unit files $(ls /proc/$pid/fd | wc -l)"
                echo "#$unit KiB $(awk '/^Pss:/ {print $2}' /proc/$pid/smaps_rollup)"
            done
            # The kernel's own threads come and go with its work, most of all after a boot: they have no program.
            echo "#dom0 processes $(find /proc/[0-9]*/exe -maxdepth 0 -printf '%l\n' 2>/dev/null | grep -c .)"
            echo "#Xen MiB free $(xl info | awk '/^free_memory/ {print $3}')"
            """
        var exact: [String: String] = [:]
        var figures: [String: Int] = [:]
        for line in try await dom0(script, within: .seconds(120)).split(separator: "\n") {
            // A name may have several words: what follows its last letter's word is the value.
            guard let kind = line.first, let gap = line.firstIndex(of: " ") else { continue }
            let text = line.dropFirst()
            if kind == "#" {
                guard let last = text.lastIndex(of: " "), let value = Int(text[text.index(after: last)...]) else { continue }
                figures[String(text[..<last])] = value
            } else if kind == "=" {
                let names = ["disk servers", "network ports", "domain records"]
                let name = names.first { text.hasPrefix($0) } ?? String(line[line.index(after: line.startIndex)..<gap])
                exact[name] = text.dropFirst(name.count).trimmingCharacters(in: .whitespaces)
            }
        }
        let desktops = try await desktopList()
        exact["addresses"] = desktops.map { "\($0.name) \($0.address)" }.sorted().joined(separator: ", ")
        return Ledger(exact: exact, figures: figures)
    }

    /// Sees that no desktop that was ever leased was handed out a second time or stands ready: by the database, and by the domains in Xen.
    ///
    /// Gives how many sessions there were.
    func requireNoneTainted() async throws -> Int {
        let answer = try await dom0(
            """
            python3 - <<'END'
            import sqlite3
            db = sqlite3.connect("file:/var/lib/punnet/punnet.db?mode=ro", uri=True)
            print("sessions", db.execute("SELECT count(*) FROM session").fetchone()[0])
            for row in db.execute("SELECT desktop_name, generation, count(*) FROM session GROUP BY desktop, generation HAVING count(*) > 1"):
                print("handed out twice:", *row)
            for row in db.execute("SELECT d.name, d.generation FROM desktop d JOIN session s ON s.desktop = d.id AND s.generation = d.generation"
                                  " WHERE d.state <> 'leased' AND d.state <> 'retiring'"):
                print("tainted, and not on its way out:", *row)
            for row in db.execute("SELECT name || '-g' || generation FROM desktop WHERE state = 'ready'"):
                print("ready", *row)
            END
            """)
        let lines = answer.split(separator: "\n").map(String.init)
        let wrong = lines.filter { !$0.hasPrefix("sessions ") && !$0.hasPrefix("ready ") }
        guard wrong.isEmpty else { throw Program.Failure(description: wrong.joined(separator: "; ")) }
        // What the database calls ready is that domain, and it has not run since it was parked.
        let parked = Set(try await domains().filter(\.isPaused).map(\.name))
        for name in lines.filter({ $0.hasPrefix("ready ") }).map({ String($0.dropFirst(6)) }) where !parked.contains(name) {
            throw Program.Failure(description: "\(name) is ready by the database, and is not parked in Xen")
        }
        guard let sessions = lines.first.flatMap({ Int($0.dropFirst("sessions ".count)) }) else {
            throw Program.Failure(description: "the database told nothing: \(answer)")
        }
        return sessions
    }

    /// Waits until every desktop is ready, nobody has one, and nothing is left over. Gives how long that took.
    @discardableResult
    func whole(within limit: Duration) async throws -> Duration {
        try await time {
            try await eventually(
                "the pool is whole again", within: limit, every: .seconds(1),
                holds: {
                    let desktops = try await self.desktopList()
                    return !desktops.isEmpty && desktops.allSatisfy { $0.state == "ready" }
                })
            try await eventually(
                "nothing is left over", within: .seconds(30),
                holds: {
                    try await self.requireNothingLeftOver()
                    return true
                })
        }
    }

    /// Ends whatever seats have, and takes the seats away.
    func nobodyIsHere() async throws {
        await seatsLeave()
        for session in try await openSessions() { try await dom0("punnet session end \(session.id) || true") }
        try await eventually("no session is open", within: .seconds(60)) { try await self.openSessions().isEmpty ? true : nil }
    }
}
