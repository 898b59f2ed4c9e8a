import Foundation

/// What crosses the desktops' network, as the appliance's kernel sees it: rules of a table of our own that only count.
enum Wire {
    /// Notes each desktop that confirms an RDP connection, and each that begins a TLS handshake there.
    static let watchReadiness = """
        nft -f - <<'END'
        table inet lab_watch {
            set confirmed { type ipv4_addr; flags dynamic; size 1024; }
            set shook { type ipv4_addr; flags dynamic; size 1024; }
            chain seen {
                type filter hook input priority -400; policy accept;
                tcp sport 3389 @ih,0,8 3 @ih,40,8 0xd0 add @confirmed { ip saddr }
                tcp sport 3389 @ih,0,16 0x1603 add @shook { ip saddr }
            }
        }
        END
        """

    /// The addresses at which RDP was confirmed and then answered with a TLS handshake.
    static func answered(in lab: Lab) async throws -> Set<String> {
        func addresses(_ set: String) async throws -> Set<String> {
            let listing = try await lab.dom0("nft list set inet lab_watch \(set)")
            return Set(listing.split { !"0123456789.".contains($0) }.map(String.init).filter { $0.split(separator: ".").count == 4 })
        }
        return try await addresses("confirmed").intersection(try await addresses("shook"))
    }

    /// Watches what a domain's port sends, and what of it gets past the guard, to dom0's own services, and to another domain's port.
    static func watch(port: String, mac: String, address: String, towards victim: String, in lab: Lab) async throws {
        let judge = """
            ether saddr != \(mac) counter name foreign_mac
            ether type ip ip saddr != { 0.0.0.0, \(address) } counter name foreign_ip
            ether type arp arp saddr ip != { 0.0.0.0, \(address) } counter name foreign_arp
            ether type ip6 counter name ipv6
            ether saddr \(mac) counter name own
            """
        let counters = ["foreign_mac", "foreign_ip", "foreign_arp", "ipv6", "own"].map { "counter \($0) { }" }.joined(separator: "\n")
        try await lab.put(
            Data(
                """
                table netdev lab_sent {
                    \(counters)
                    chain sent {
                        type filter hook ingress device "\(port)" priority -500; policy accept;
                        \(judge)
                    }
                }
                table bridge lab_passed {
                    \(counters)
                    chain passed {
                        type filter hook prerouting priority 100; policy accept;
                        iifname != "\(port)" accept
                        \(judge)
                    }
                }
                table inet lab_reached {
                    counter dhcp { }
                    counter control { }
                    counter other { }
                    chain reached {
                        type filter hook input priority 100; policy accept;
                        ip saddr != \(address) accept
                        udp dport 67 counter name dhcp accept
                        tcp dport \(ProbeGuest.controlPort) counter name control accept
                        counter name other
                    }
                }
                table netdev lab_victim {
                    counter any { }
                    counter from_probe { }
                    chain given {
                        type filter hook egress device "\(victim)" priority 500; policy accept;
                        counter name any
                        ether saddr \(mac) counter name from_probe
                        ip saddr \(address) counter name from_probe
                    }
                }

                """.utf8), at: "/run/lab-watch.nft")
        try await lab.dom0("nft -f /run/lab-watch.nft")
    }

    static func stopWatching(in lab: Lab) async throws {
        for table in ["netdev lab_sent", "bridge lab_passed", "inet lab_reached", "netdev lab_victim"] {
            try await lab.dom0("nft delete table \(table) 2>/dev/null || true")
        }
    }

    /// Packets by counter of a table.
    static func counts(of table: String, in lab: Lab) async throws -> [String: Int] {
        let listing = try await lab.dom0("nft list counters table \(table)")
        let words = listing.split { " \n\t".contains($0) }.map(String.init)
        var counts: [String: Int] = [:]
        for (index, word) in words.enumerated() where word == "counter" && index + 4 < words.count && words[index + 3] == "packets" {
            counts[words[index + 1]] = Int(words[index + 4])
        }
        return counts
    }
}
