import Foundation

/// A guest of our own making on the desktops' bridge, at the port that any desktop's domain gets: a pupil who is root on his desktop.
///
/// Its one program asks for an address, tries what must not work, says on its console what came of it, and switches the guest off.
enum ProbeGuest {
    static let name = "lab-probe"
    /// A place that no desktop of the tests has.
    static let mac = "00:16:3e:50:00:c8"
    static let address = "10.88.0.210"
    /// A TCP port of dom0 that a test opens to desktops, so that the guest has something to find.
    static let controlPort = 7777
    static let foreignAddress = "10.88.0.222"
    static let foreignMAC = "02:00:00:12:34:56"

    private static let script = """
        #!/bin/busybox sh
        /bin/busybox mkdir -p /proc /sys /dev /bin
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sys /sys
        /bin/busybox mount -t devtmpfs dev /dev
        /bin/busybox --install -s /bin
        exec >/dev/hvc0 2>&1 </dev/null
        for module in /modules/*; do insmod "$module"; done
        for word in $(cat /proc/cmdline); do case $word in probe_*=*) eval "$word" ;; esac; done
        until [ -d /sys/class/net/eth0 ]; do usleep 10000; done
        echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad 2>/dev/null

        tell() { echo "PROBE $1 $2"; }
        tries() { name=$1; shift; if "$@" >/dev/null 2>&1; then tell "$name" yes; else tell "$name" no; fi; }
        reaches() { tries "$1" timeout 6 nc -w 3 "$2" "$3" -e /bin/true; }

        ip link set eth0 up
        tries dhcp udhcpc -i eth0 -n -q -f -t 6 -T 2 -s /lease
        tell address "$(ip -4 -o addr show dev eth0 | sed 's|.* inet \\([0-9.]*\\)/.*|\\1|')"
        ip route add default via $probe_gateway
        reaches control $probe_gateway $probe_control
        for host in $probe_gateway $probe_lan; do
            for port in $(echo $probe_ports | tr , ' '); do reaches "dom0-$host-$port" $host $port; done
            tries "ping-$host" ping -c 2 -W 2 $host
        done
        reaches victim $probe_victim 3389
        arp -i eth0 -s $probe_victim $probe_victim_mac
        reaches victim-known-mac $probe_victim 3389
        arp -i eth0 -d $probe_victim
        ip route add $probe_victim/32 via $probe_gateway
        reaches victim-routed $probe_victim 3389
        tries victim-ping ping -c 2 -W 2 $probe_victim
        ip route del $probe_victim/32
        # It answers itself, so that the answer tells nothing; what the guard lets pass is counted in dom0.
        ping6 -c 2 -W 2 ff02::1%eth0 >/dev/null 2>&1

        # As another.
        ip addr flush dev eth0 scope global
        ip addr add $probe_foreign_address/24 dev eth0
        arping -U -c 2 -w 3 -I eth0 $probe_foreign_address >/dev/null 2>&1
        arp -i eth0 -s $probe_gateway $probe_gateway_mac
        reaches control-foreign-address $probe_gateway $probe_control
        ip addr flush dev eth0 scope global
        ip addr add $probe_victim/24 dev eth0
        arping -U -c 2 -w 3 -I eth0 $probe_victim >/dev/null 2>&1
        arp -i eth0 -s $probe_gateway $probe_gateway_mac
        reaches control-victims-address $probe_gateway $probe_control
        ip addr flush dev eth0 scope global
        ip link set eth0 down
        ip link set eth0 address $probe_foreign_mac
        ip link set eth0 up
        tries dhcp-foreign-mac udhcpc -i eth0 -n -q -f -t 3 -T 2 -s /lease
        ip addr flush dev eth0 scope global
        ip addr add $probe_own/24 dev eth0
        arp -i eth0 -s $probe_gateway $probe_gateway_mac
        reaches control-foreign-mac $probe_gateway $probe_control

        # And itself again: what failed did not fail because the card was broken.
        ip addr flush dev eth0 scope global
        ip link set eth0 down
        ip link set eth0 address $probe_mac
        ip link set eth0 up
        ip addr add $probe_own/24 dev eth0
        reaches control-again $probe_gateway $probe_control
        tell done yes
        poweroff -f

        """

    private static let leaseScript = """
        #!/bin/busybox sh
        [ "$1" = bound ] && ip addr add "$ip/24" dev eth0
        exit 0

        """

    /// Runs the guest to its end, and gives what it told, by name.
    ///
    /// - Parameters:
    ///   - ports: The TCP ports of dom0 that it tries.
    ///   - victim: The address and the MAC of a desktop that runs.
    ///   - beforeItRuns: Is told the guest's domain number while it is still paused.
    static func run(
        ports: [Int], victim: (address: String, mac: String), in lab: Lab, beforeItRuns: (Int) async throws -> Void
    ) async throws -> [String: String] {
        let image = "/usr/share/punnet/images/debian-desktop"
        let gatewayMAC = try await lab.dom0("cat /sys/class/net/punnet0/address").trimmingCharacters(in: .whitespacesAndNewlines)
        let archive = Archive(files: [("probe", script), ("lease", leaseScript)])
        try await lab.put(archive.data, at: "/run/lab-probe.cpio")
        try await lab.dom0("cat \(image)/initrd.img /run/lab-probe.cpio > /run/lab-probe.img")
        let settings = [
            "gateway": Lab.gateway, "gateway_mac": gatewayMAC, "lan": Lab.address, "control": "\(controlPort)", "own": address, "mac": mac,
            "ports": ports.map(String.init).joined(separator: ","), "victim": victim.address, "victim_mac": victim.mac,
            "foreign_address": foreignAddress, "foreign_mac": foreignMAC,
        ].map { "probe_\($0)=\($1)" }.sorted().joined(separator: " ")
        try await lab.put(
            Data(
                """
                name = "\(name)"
                type = "pv"
                kernel = "\(image)/vmlinux"
                ramdisk = "/run/lab-probe.img"
                cmdline = "rdinit=/probe console=hvc0 quiet net.ifnames=0 \(settings)"
                memory = 160
                vcpus = 1
                vif = ["mac=\(mac),ip=\(address),bridge=punnet0,script=/usr/lib/punnet/vif-punnet"]
                on_poweroff = "destroy"
                on_crash = "destroy"

                """.utf8), at: "/run/lab-probe.cfg")
        let console = "/var/log/xen/console/guest-\(name).log"
        try await lab.dom0("xl destroy \(name) 2>/dev/null; rm -f \(console); xl create -p /run/lab-probe.cfg", within: .seconds(60))
        let number = try await eventually("the probe's domain is there", within: .seconds(10)) {
            try await lab.domains().first { $0.name == name }?.id
        }
        do {
            try await beforeItRuns(number)
            try await lab.dom0("xl unpause \(name)")
            try await eventually("the probe has told all", within: .seconds(240), every: .seconds(1), holds: {
                try await lab.dom0("cat \(console)").contains("PROBE done yes")
            })
        } catch {
            say("the probe said:\n" + ((try? await lab.dom0("cat \(console)")) ?? "nothing"))
            _ = try? await lab.dom0("xl destroy \(name)")
            throw error
        }
        try await lab.dom0("xl destroy \(name) 2>/dev/null || true")
        var told: [String: String] = [:]
        for line in try await lab.dom0("cat \(console)").split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ").map(String.init)
            if words.count == 3, words[0] == "PROBE" { told[words[1]] = words[2] }
        }
        return told
    }
}

/// A cpio archive ("newc") as the kernel unpacks one for its first programs.
struct Archive {
    let data: Data

    /// Files by name, all executable.
    init(files: [(name: String, text: String)]) {
        var data = Data()
        func add(_ name: String, _ contents: [UInt8], mode: Int, inode: Int) {
            let fields = [inode, mode, 0, 0, 1, 0, contents.count, 0, 0, 0, 0, name.utf8.count + 1, 0]
            data += Data(("070701" + fields.map { String(format: "%08X", $0) }.joined() + name + "\0").utf8)
            data += Data(count: (4 - data.count % 4) % 4)
            data += Data(contents)
            data += Data(count: (4 - data.count % 4) % 4)
        }
        for (index, file) in files.enumerated() { add(file.name, Array(file.text.utf8), mode: 0o100755, inode: index + 1) }
        add("TRAILER!!!", [], mode: 0, inode: 0)
        self.data = data
    }
}
