import Foundation
import Testing

extension XenLab {
    /// What those reach who want more than is theirs: machines on the LAN, and users of a desktop.
    struct Strangers {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        /// A desktop that runs for a session, with its domain.
        private func running() async throws -> (desktop: Lab.Desktop, domain: Lab.Domain, seat: Seat) {
            try await lab.fillRoom()
            let seat = try await lab.seat("pi-1")
            try await seat.start()
            let session = try await seat.desktopShown(within: .seconds(200))
            let domain = try #require(try await lab.domain(of: session.desktop))
            try #require(!domain.isPaused)
            return (try await lab.desktop(session.desktop), domain, seat)
        }

        @Test func theLANFindsHTTPSAndRDPAndNothingElse() async throws {
            let (desktop, _, _) = try await running()
            _ = try? await Lab.run(["seat", "remove", "scanner"])
            try await Lab.run(["seat", "add", "scanner", "--route", Lab.desktops])
            // The desktop does answer: dom0 reaches it.
            try await lab.dom0("timeout 10 bash -c '</dev/tcp/\(desktop.address)/3389'")
            // As open as a server can be that also routes.
            let routing = try await lab.dom0("cat /proc/sys/net/ipv4/ip_forward").trimmingCharacters(in: .whitespacesAndNewlines)
            try await lab.dom0("echo 1 > /proc/sys/net/ipv4/ip_forward")
            let tcp = try await Scan.tcp(of: [Lab.address])
            try #require(tcp == [Lab.address: [443, 3389]], "\(tcp)")
            let behind = try await Scan.tcp(of: [desktop.address, Lab.gateway])
            try #require(behind.isEmpty, "\(behind)")
            let udp = try await Scan.udp(of: [Lab.address, desktop.address, Lab.gateway])
            try #require(udp.isEmpty, "\(udp)")

            // The scans can see: what is opened for them, they find.
            let control = try await lab.openToLAN(tcp: 4711, udp: 4712)
            try #require(try await Scan.tcp(of: [Lab.address]) == [Lab.address: [443, 3389, 4711]])
            try #require(try await Scan.udp(of: [Lab.address], and: 4712) == [Lab.address: [4712]])
            try await lab.close(control)
            try await lab.dom0("echo \(routing) > /proc/sys/net/ipv4/ip_forward")
            try await Lab.run(["seat", "remove", "scanner"])
        }

        @Test func fromADesktopThereIsNoOtherDesktopAndNothingOfDom0() async throws {
            let (desktop, domain, seat) = try await running()
            let mac = try await lab.mac(of: domain)
            let ports = try await lab.listeningPorts()
            try #require(ports.contains(443) && ports.contains(3389))
            let routing = try await lab.dom0("cat /proc/sys/net/ipv4/ip_forward").trimmingCharacters(in: .whitespacesAndNewlines)
            try await lab.dom0("echo 1 > /proc/sys/net/ipv4/ip_forward; timeout 10 bash -c '</dev/tcp/\(desktop.address)/3389'")
            let control = try await lab.openToDesktops(tcp: ProbeGuest.controlPort)
            try await Wire.stopWatching(in: lab)
            let told = try await ProbeGuest.run(ports: ports, victim: (desktop.address, mac), in: lab) { number in
                try await Wire.watch(
                    port: "vif\(number).0", mac: ProbeGuest.mac, address: ProbeGuest.address, towards: "vif\(domain.id).0", in: lab)
            }
            let sent = try await Wire.counts(of: "netdev lab_sent", in: lab)
            let passed = try await Wire.counts(of: "bridge lab_passed", in: lab)
            let reached = try await Wire.counts(of: "inet lab_reached", in: lab)
            let given = try await Wire.counts(of: "netdev lab_victim", in: lab)
            say("from a desktop: \(told.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))")
            say("sent \(sent), passed the guard \(passed), reached dom0 \(reached), given to the other desktop \(given)")

            // What works: an address by DHCP, and what was opened for the test.
            try #require(told["dhcp"] == "yes" && told["address"] == ProbeGuest.address)
            try #require(told["control"] == "yes" && told["control-again"] == "yes")
            // Nothing else of dom0, of the other desktop, or in another's name.
            let working = Set(told.filter { $0.value == "yes" }.keys)
            try #require(working == ["dhcp", "control", "control-again", "done"], "\(working)")
            try #require(told.keys.filter { $0.hasPrefix("dom0-") }.count == 2 * ports.count)
            // The kernel's count: foreign frames were sent and none passed; of dom0 only DHCP and the control port were reached.
            for kind in ["foreign_mac", "foreign_ip", "foreign_arp", "ip6"] {
                try #require(sent[kind, default: 0] > 0 && passed[kind] == 0, "\(kind)")
            }
            try #require(passed["own", default: 0] > 0)
            try #require(reached["dhcp", default: 0] > 0 && reached["control", default: 0] > 0 && reached["other"] == 0)
            try #require(given["any", default: 0] > 0 && given["from_probe"] == 0)
            let neighbours = try await lab.dom0("ip neigh show dev punnet0")
            try #require(neighbours.contains(mac) && !neighbours.contains(ProbeGuest.foreignAddress + " lladdr"))
            try await lab.close(control)
            try await Wire.stopWatching(in: lab)

            // The same by a user's own hands on a real desktop.
            let other = try #require(try await lab.desktopList().first { $0.name != desktop.name })
            try await seat.openTerminal()
            try await seat.type("t(){ timeout 3 bash -c \"</dev/tcp/$1/$2\"; }")
            try #require(try await seat.holds("t 127.0.0.1 3389"), "a port that is open is found")
            let places = [(other.address, 3389), (Lab.gateway, 443), (Lab.address, 443), (Lab.address, 3389), (Lab.gateway, 53)]
            try #require(try await !seat.holds(places.map { "t \($0) \($1)" }.joined(separator: " || ")))
            try await lab.dom0("echo \(routing) > /proc/sys/net/ipv4/ip_forward")
        }

        @Test func aDomainThatIsNotPunnetsOwnIsLeftAlone() async throws {
            try await lab.fillRoom()
            let image = "/usr/share/punnet/images/debian-desktop"
            try await lab.dom0(
                "printf 'name=\"foreign\"\\ntype=\"pv\"\\nkernel=\"\(image)/vmlinux\"\\nramdisk=\"\(image)/initrd.img\"\\nmemory=128\\n'"
                    + " > /run/foreign.cfg; xl create -p /run/foreign.cfg")
            let before = try #require(try await lab.domains().first { $0.name == "foreign" })
            let sessions = Set(try await lab.openSessions().map(\.id))
            try await lab.dom0("kill -9 $(systemctl show -P MainPID punnetd)")
            try await eventually("punnetd is there again", within: .seconds(60)) { try await lab.desktopList() }
            try #require(try await lab.domains().contains { $0.name == "foreign" && $0.id == before.id && $0.isPaused })
            try #require(Set(try await lab.openSessions().map(\.id)) == sessions)
            try await lab.dom0("xl destroy foreign")
        }
    }
}

/// Looks for open ports from the scanner's machine.
enum Scan {
    /// Open TCP ports, of all there are, by address.
    static func tcp(of addresses: [String]) async throws -> [String: Set<Int>] {
        try await scan(["-sS", "-p-", "--max-retries", "1", "--min-rate", "4000"] + addresses, kind: "tcp")
    }

    /// Open UDP ports, of the hundred usual ones, by address: those that answer.
    static func udp(of addresses: [String], and further: Int? = nil) async throws -> [String: Set<Int>] {
        let usual =
            "7,9,13,17,19,37,49,53,67,68,69,80,88,111,120,123,135-139,158,161,162,177,427,443,445,497,500,514,515,518,520,546,547,593,623,"
            + "626,631,750,989,990,994,996-999,1194,1022,1023,1025-1030,1433,1434,1645,1646,1701,1718,1719,1812,1813,1900,2000,2048,2049,"
            + "2222,2223,3283,3389,3456,3703,4444,4500,4789,5000,5060,5353,5355,5632,6081,8472,9200,10000,16509,17185,20031,30718,31337,"
            + "32768,32769,33281,49152-49154"
        let ports = further.map { "\(usual),\($0)" } ?? usual
        return try await scan(
            ["-sU", "-p", ports, "--max-retries", "2", "--defeat-icmp-ratelimit", "--min-rate", "100"] + addresses, kind: "udp")
    }

    private static func scan(_ arguments: [String], kind: String) async throws -> [String: Set<Int>] {
        let report = try await Lab.run(
            ["seat", "exec", "scanner", "--", "nmap", "-Pn", "-n", "-oG", "-"] + arguments, within: .seconds(240))
        guard report.contains("# Nmap done") else { throw Program.Failure(description: "nmap did not end well: \(report)") }
        var open: [String: Set<Int>] = [:]
        for line in report.split(separator: "\n") where line.hasPrefix("Host: ") && line.contains("Ports: ") {
            let address = String(line.split(separator: " ")[1])
            for entry in line.split(whereSeparator: { " ,".contains($0) }) where entry.contains("/open/\(kind)") {
                if let port = Int(entry.prefix { $0 != "/" }) { open[address, default: []].insert(port) }
            }
        }
        return open
    }
}

extension Lab {
    /// A listener in dom0 and the rules that let to it.
    struct Opening: Sendable {
        let processes: String
    }

    func openToLAN(tcp: Int, udp: Int) async throws -> Opening {
        try await open(
            rules: ["iifname eth0 tcp dport \(tcp)", "iifname eth0 udp dport \(udp)"],
            listeners: ["TCP-LISTEN:\(tcp),fork,reuseaddr EXEC:/bin/true", "UDP-RECVFROM:\(udp),fork EXEC:'/bin/echo here'"])
    }

    func openToDesktops(tcp: Int) async throws -> Opening {
        try await open(
            rules: ["iifname punnet0 tcp dport \(tcp)"], listeners: ["TCP-LISTEN:\(tcp),fork,reuseaddr EXEC:/bin/true"])
    }

    private func open(rules: [String], listeners: [String]) async throws -> Opening {
        var line = ""
        for listener in listeners { line += "setsid socat \(listener) >/dev/null 2>&1 </dev/null & echo $!; " }
        for rule in rules { line += "nft insert rule inet punnet input \(rule) accept comment lab; " }
        return Opening(processes: try await dom0(line).split(separator: "\n").joined(separator: " "))
    }

    func close(_ opening: Opening) async throws {
        try await dom0(
            "kill \(opening.processes); nft -a list chain inet punnet input | sed -n 's/.*comment \"lab\" # handle //p' | "
                + "while read -r handle; do nft delete rule inet punnet input handle $handle; done")
    }

    /// The TCP ports at which anything in dom0 listens, beyond loopback.
    func listeningPorts() async throws -> [Int] {
        let lines = try await dom0("ss -Hltn").split(separator: "\n")
        let ports = lines.compactMap { line -> Int? in
            let fields = line.split(separator: " ")
            guard fields.count > 3, !fields[3].hasPrefix("127.") else { return nil }
            return fields[3].split(separator: ":").last.flatMap { Int($0) }
        }
        return Set(ports + [22, 53]).sorted()
    }

    /// The MAC of a domain's network card, as Xen has it.
    func mac(of domain: Domain) async throws -> String {
        try await dom0("xenstore-read /local/domain/0/backend/vif/\(domain.id)/0/mac").trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
