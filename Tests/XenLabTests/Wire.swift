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
            ether saddr != \(mac) counter name seen_foreign_mac
            ether type ip ip saddr != { 0.0.0.0, \(address) } counter name seen_foreign_ip
            ether type arp arp saddr ip != { 0.0.0.0, \(address) } counter name seen_foreign_arp
            ether type ip6 counter name seen_ip6
            ether saddr \(mac) counter name seen_own
            """
        let counters = ["foreign_mac", "foreign_ip", "foreign_arp", "ip6", "own"].map { "counter seen_\($0) { }" }.joined(separator: "\n")
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
                    counter reached_dhcp { }
                    counter reached_control { }
                    counter reached_other { }
                    chain reached {
                        type filter hook input priority 100; policy accept;
                        iifname != "punnet0" accept
                        ether saddr != \(mac) accept
                        udp dport 67 counter name reached_dhcp accept
                        tcp dport \(ProbeGuest.controlPort) counter name reached_control accept
                        counter name reached_other
                    }
                }
                table netdev lab_victim {
                    counter given_any { }
                    counter given_from_probe { }
                    chain given {
                        type filter hook egress device "\(victim)" priority 500; policy accept;
                        counter name given_any
                        ether saddr \(mac) counter name given_from_probe
                        ip saddr \(address) counter name given_from_probe
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

    /// Packets by counter of a table, named without what stands before the first `_`: that keeps the names from being nft's words.
    static func counts(of table: String, in lab: Lab) async throws -> [String: Int] {
        let listing = try await lab.dom0("nft list counters table \(table)")
        let words = listing.split { " \n\t".contains($0) }.map(String.init)
        var counts: [String: Int] = [:]
        for (index, word) in words.enumerated() where word == "counter" && index + 4 < words.count && words[index + 3] == "packets" {
            counts[String(words[index + 1].drop { $0 != "_" }.dropFirst())] = Int(words[index + 4])
        }
        return counts
    }
}
