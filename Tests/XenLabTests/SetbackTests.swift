import Foundation
import Testing

extension XenLab {
    /// Bad days of a server: what state a desktop is in then, what is said of it, and that all is well again by itself once the fault is over.
    ///
    /// `PUNNET_LONG` has them all, each from a room at rest; without it those that take minutes are left out.
    struct Setbacks {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        private static let image = "/var/lib/punnet/images/debian-desktop-1"
        private static let refill = Duration.seconds(400)

        /// Nobody is in the room, and there is a seat.
        private func begin(atRest: Bool = LongRun.isLong) async throws -> LightSeat {
            try await lab.fillRoom()
            try await lab.nobodyIsHere()
            if atRest { try await lab.whole(within: .seconds(600)) }
            return try await LightSeat(name: "light-1", lab: lab)
        }

        /// Waits until the pool is whole and nothing of the fault is left.
        private func recovered() async throws -> String {
            guard LongRun.isLong else { return "the pool is seen whole after the next tests" }
            let took = try await lab.whole(within: Self.refill)
            _ = try await lab.requireNoneTainted()
            return "whole again by itself \(seconds(took)) after the fault was over"
        }

        @Test func aSlowXenstoredHoldsUpNoHandOut() async throws {
            let seat = try await begin(atRest: true)
            try await lab.dom0("kill -STOP $(cat /run/xenstored.pid)")
            let outcome: Result<(Duration, Lab.Desktop), any Error>
            do {
                let clock = ContinuousClock()
                let asked = clock.now
                let lease = try await seat.desktop(within: .seconds(15))
                let took = clock.now - asked
                try #require(try await seat.end(lease.session))
                // Its domain can only be taken apart once xenstored answers again.
                try await Task.sleep(for: .seconds(10))
                outcome = .success((took, try await lab.desktop(lease.desktop)))
            } catch {
                outcome = .failure(error)
            }
            try await lab.dom0("kill -CONT $(cat /run/xenstored.pid)")
            let (took, during) = try outcome.get()
            try #require(during.state == "retiring")
            await LongRun.shared.badDay(
                "xenstored does not answer for 12 s",
                state: "a desktop handed out after \(seconds(took)) all the same; after its session: "
                    + during.state, message: during.explanation ?? "", recovery: try await recovered())
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func aClockThatIsSteppedByAnHourEndsNoSessionAndNoMaking() async throws {
            let seat = try await begin()
            // One desktop is being made, the other is somebody's. What Xen builds just then is another matter: libxl's own time limits go by the
            // calendar, so that may fail, and is begun anew.
            if try await lab.desktopList().allSatisfy({ $0.state == "ready" }) {
                let first = try await seat.desktop()
                try #require(try await seat.end(first.session))
            }
            let lease = try await seat.desktop()
            let made = try await eventually("the other is being made, and its domain is built", within: .seconds(180), every: .milliseconds(100)) {
                try await lab.desktopList().first { $0.name != lease.desktop && ["identity", "readiness"].contains($0.step) }
            }
            var during: [(Lab.Session, Lab.Desktop)] = []
            for step in ["+1 hour", "-1 hour"] {
                // Every deadline is looked at when anything happens; a claim does.
                try await lab.dom0("date -s '\(step)' >/dev/null; sleep 3")
                guard case .leased(let again) = try await seat.claim() else {
                    throw Program.Failure(description: "the session is not resumed")
                }
                try #require(again.session == lease.session && again.resumed)
                during.append((try await lab.session(lease.session), try await lab.desktop(made.name)))
            }
            for (session, desktop) in during {
                try #require(session.reason == nil)
                try #require(desktop.generation == made.generation && ["preparing", "ready"].contains(desktop.state), "its making goes on")
            }
            let state = "the session goes on, and so does the other desktop's making"
            let message = during[0].1.explanation ?? ""
            try #require(try await seat.end(lease.session))
            await LongRun.shared.badDay(
                "the clock is stepped an hour forward, and back", state: state, message: message, recovery: try await recovered())
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func desktopsAreServedAndMadeWithoutLibvirtd() async throws {
            let seat = try await begin()
            let units = "libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket"
            try await lab.dom0("systemctl stop \(units) libvirtd", within: .seconds(120))
            // A daemon that starts now does not find it.
            try await lab.dom0("kill -9 $(systemctl show -P MainPID punnetd)")
            try await eventually("punnetd is there again", within: .seconds(90)) { try await lab.desktopList() }
            let lease = try await seat.desktop()
            let before = try await lab.desktop(lease.desktop)
            try #require(try await seat.end(lease.session))
            _ = try await lab.remade(before.name, after: before.generation)
            try #require(try await lab.dom0("systemctl is-active libvirtd || true").contains("inactive"), "it was away all the time")
            let message = try #require(try await lab.said("libvirt is away"))
            // It is back, and then the network's DHCP server dies, which libvirtd does not notice.
            try await lab.dom0(
                "systemctl start \(units); virsh net-list >/dev/null; kill -9 $(pgrep -x dnsmasq); kill -9 $(systemctl show -P MainPID punnetd)",
                within: .seconds(120))
            let dhcp = try await eventually("punnetd has seen to the DHCP server", within: .seconds(120)) {
                try await lab.said("had lost its DHCP server")
            }
            try #require(try await !lab.dom0("pgrep -x dnsmasq || true").isEmpty)
            // Reservations are for ever, as they were.
            try #require(try await lab.dom0("grep -vc infinite /var/lib/libvirt/dnsmasq/punnet.hostsfile || true").hasPrefix("0"))
            let recovery = try await recovered()
            await LongRun.shared.badDay(
                "libvirtd is stopped, and punnetd starts without it", state: "a desktop was handed out, and one made anew",
                message: message,
                recovery: "nothing was amiss")
            await LongRun.shared.badDay(
                "the DHCP server of the desktops' network dies", state: "found when punnetd starts", message: dhcp, recovery: recovery)
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run"))
        func nothingIsMadeOfAnImageThatIsMissingOrChanged() async throws {
            _ = try await begin()
            // The other desktop was made before, and is handed out all the time.
            let other = try await eventually("a desktop is ready", within: Self.refill) {
                try await lab.desktopList().first { $0.isOfRoom && $0.state == "ready" }
            }
            let one = try #require(try await lab.desktopList().first { $0.isOfRoom && $0.name != other.name }).name
            try await lab.dom0("mv \(Self.image).qcow2 \(Self.image).away; punnet desktop remake \(one) --yes")
            let missing = try await held(one, because: "is missing")
            // Put back, but with another ramdisk: of the same size, and with the same date.
            try await lab.dom0(
                "mv \(Self.image).away \(Self.image).qcow2; cp -p \(Self.image).ramdisk /run/lab-ramdisk; "
                    + "printf x | dd of=\(Self.image).ramdisk bs=1 seek=5000 conv=notrunc status=none; "
                    + "touch -r /run/lab-ramdisk \(Self.image).ramdisk; punnet desktop remake \(one) --yes")
            let changed = try await held(one, because: "was changed since it was taken in")
            try #require(try await lab.desktop(other.name).state == "ready")
            try await lab.dom0("cat /run/lab-ramdisk > \(Self.image).ramdisk")
            let recovery = try await recovered()
            await LongRun.shared.badDay(
                "an image's disk is missing", state: missing.state, message: missing.explanation ?? "", recovery: "when it was put back")
            await LongRun.shared.badDay(
                "an image's ramdisk is changed", state: changed.state, message: changed.explanation ?? "", recovery: recovery)
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func aSpoiltCheckpointIsRefusedBeforeAGuestRunsOnIt() async throws {
            _ = try await begin()
            let was = try await lab.desktop("room-1")
            // One bit of its memory.
            try await lab.dom0(
                "file=$(ls /var/lib/punnet/checkpoints/*/memory); byte=$(od -An -tu1 -j 70000000 -N 1 $file); "
                    + "printf \"\\\\$(printf %o $((byte ^ 1)))\" | dd of=$file bs=1 seek=70000000 conv=notrunc status=none; "
                    + "punnet desktop remake room-1 --yes")
            let refused = try await held("room-1", because: "was changed since it was frozen")
            try #require(refused.generation > was.generation)
            let consoles = try await lab.dom0("ls /var/log/xen/console")
            try #require(!consoles.contains("guest-\(refused.domainName).log"), "no domain was built for it")
            let told = try await lab.dom0("punnet status")
            try #require(told.contains("are booted, not restored"))
            let booted = try await lab.whole(within: Self.refill)
            // Its lab being changed is reason enough to make another.
            let before = try await lab.dom0("journalctl -u punnetd -o cat | grep -c 'a checkpoint is proven' || true")
            try await lab.dom0("punnet lab set room --air-every 20min >/dev/null; punnet desktop remake room-1 --yes")
            try await eventually("another checkpoint is proven", within: Self.refill) {
                try await lab.dom0("journalctl -u punnetd -o cat | grep -c 'a checkpoint is proven' || true") != before ? true : nil
            }
            try await lab.dom0("punnet lab set room --air-every 10min >/dev/null")
            await LongRun.shared.badDay(
                "a bit of a checkpoint's memory is changed", state: refused.state, message: "\(refused.explanation ?? ""); \(told)",
                recovery: "booted after \(seconds(booted)); another checkpoint was made once its lab was changed; " + (try await recovered()))
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func aDesktopThatDoesNotFitWaitsUntilMemoryIsThere() async throws {
            _ = try await begin()
            let image = "/usr/share/punnet/images/debian-desktop"
            try await lab.dom0(
                "free=$(xl info | awk '/^free_memory/ {print $3}'); "
                    + "printf 'name=\"foreign\"\\ntype=\"pv\"\\nkernel=\"\(image)/vmlinux\"\\nramdisk=\"\(image)/initrd.img\"\\nmemory=%s\\n' $((free - 40))"
                    + " > /run/foreign.cfg; xl create -p /run/foreign.cfg", within: .seconds(180))
            try await lab.dom0("punnet desktop remake room-1 --yes")
            let during = try await eventually("room-1 waits for memory", within: .seconds(120)) {
                let now = try await lab.desktop("room-1")
                return now.state == "empty" && now.explanation?.contains("of memory") == true ? now : nil
            }
            try #require(try await lab.domains().contains { $0.name == "foreign" }, "it is not ours, and is left alone")
            try await lab.dom0("xl destroy foreign")
            await LongRun.shared.badDay(
                "another domain takes the memory", state: during.state, message: during.explanation ?? "", recovery: try await recovered())
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func aFullDiskKeepsDesktopsFromBeingMadeAndNothingElse() async throws {
            let seat = try await begin()
            // To the last block, also those that only root may use.
            try await lab.dom0(
                "cd /var/lib/punnet; fallocate -l $(($(stat -f -c '%f * %S' .) - 4194304)) filler; cat /dev/zero > filler.rest 2>/dev/null; sync; true",
                within: .seconds(180))
            let outcome: Result<(Lab.Desktop, String), any Error>
            do {
                let written = try await lab.dom0("head -c 65536 /dev/zero 2>/dev/null > /var/lib/punnet/filler.more && echo yes || echo no")
                try #require(written.hasPrefix("no"), "it is full")
                let answer = try await eventually("a claim is answered", within: .seconds(60)) { () -> String? in
                    switch try await seat.claim() {
                    case .leased(let lease):
                        _ = try await seat.end(lease.session)
                        return "a desktop is handed out, since its lease could be written"
                    case .refused(503, let problem) where problem.contains("punnet,2026:storage"):
                        return "a claim is refused, since its lease cannot be written"
                    case .refused(let status, let problem): throw Program.Failure(description: "\(status) \(problem)")
                    case .waiting, .silent: return nil
                    }
                }
                try await lab.dom0("punnet desktop remake room-1 --yes")
                outcome = .success(
                    (
                        try await eventually("room-1 waits for room on the disk", within: .seconds(120)) {
                            let now = try await lab.desktop("room-1")
                            return now.explanation?.contains("disk") == true && ["empty", "quarantined"].contains(now.state) ? now : nil
                        }, answer
                    ))
            } catch {
                outcome = .failure(error)
            }
            let status = try await lab.dom0("punnet status | grep Disk; rm -f /var/lib/punnet/filler*")
            let (during, answer) = try outcome.get()
            await LongRun.shared.badDay(
                "the disk is full to the last block", state: "\(during.state); \(answer)",
                message: "\(during.explanation ?? ""); \(status)",
                recovery: try await recovered())
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func aDesktopWithoutAnAddressIsGivenUpAndTheDHCPServerStartedAnew()
            async throws
        {
            _ = try await begin()
            try await lab.dom0("kill -9 $(pgrep -x dnsmasq); punnet desktop remake room-2 --yes")
            let during = try await eventually("room-2 boots", within: .seconds(180)) {
                let now = try await lab.desktop("room-2")
                return now.explanation?.contains("RDP does not answer yet") == true ? now : nil
            }
            let held = try await held("room-2", because: Self.tooLong, within: .seconds(600))
            let revived = try await eventually("punnetd has seen to the DHCP server", within: .seconds(120)) {
                try await lab.said("had lost its DHCP server")
            }
            await LongRun.shared.badDay(
                "DHCP is silent", state: "\(during.state), “\(during.explanation ?? "")”; then \(held.state)",
                message: "\(held.explanation ?? ""); then: \(revived)", recovery: try await recovered())
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func guestsThatNeverAnswerAreGivenUpAndTriedAgain() async throws {
            _ = try await begin()
            let silent = [BadGuest.hangs, .mute]
            for guest in silent { try await guest.makeLab(in: lab) }
            for guest in silent {
                let desktop = try await held(guest.rawValue + "-1", because: Self.tooLong, within: .seconds(900))
                let told = try await lab.dom0("punnet desktop explain \(desktop.name)")
                try #require(told.contains(guest.sign), "it is the guest that was meant")
                // It is tried again, in another generation.
                let next = try await eventually("\(desktop.name) is tried again", within: .seconds(300)) {
                    let now = try await lab.desktop(desktop.name)
                    return now.generation > desktop.generation ? now : nil
                }
                try await lab.dom0("punnet lab delete \(guest.rawValue) --yes", within: .seconds(180))
                await LongRun.shared.badDay(
                    guest.fault, state: desktop.state, message: desktop.explanation ?? "",
                    recovery: "tried again as generation \(next.generation); its lab was deleted, and nothing of it is left")
            }
            _ = try await recovered()
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run"), arguments: BadWaking.allCases)
        func desktopsOfAnImageThatDoesNotWakeAreBooted(waking: BadWaking) async throws {
            _ = try await begin()
            try await waking.takeImageIn(to: lab)
            // The first is frozen, and the second, at another address, is to prove it.
            let name = "\(waking.rawValue)-2"
            let booted = try await lab.boots().desktops
            let clock = ContinuousClock()
            let begun = clock.now
            try await lab.dom0("punnet lab create \(waking.rawValue) --image \(waking.rawValue) --size 2 --memory 512MiB --vcpus 1")
            // Frozen, and restored in vain: that is told for as long as it is so.
            let told = try await eventually("punnet status tells why \(name) is booted", within: .seconds(600), every: .seconds(1)) {
                let trouble = try await lab.dom0("punnet status").split(separator: "\n").first { $0.contains("are booted, not restored") }
                return trouble.map(String.init)
            }
            let failed = clock.now
            try #require(told.contains("desktops of \(waking.rawValue)-1 with 512 MiB") && told.contains("take longer"), "\(told)")
            try #require(told.contains("a desktop restored from it did not become ready: \(waking.cause)"), "\(told)")
            let during = try await lab.desktop(name)
            // The next one is booted.
            let ready = try await eventually("\(name) is ready", within: Self.refill, every: .seconds(1)) {
                let now = try await lab.desktop(name)
                return now.state == "ready" ? now : nil
            }
            let took = begun.duration(to: clock.now)
            try #require(ready.generation == during.generation + 1, "the first boot of the next generation was enough")
            try #require(try await lab.boots().desktops == booted + 2, "both were booted, and no other")
            try #require(try await lab.domain(of: name)?.isPaused == true)
            try #require(try await lab.dom0("punnet status").contains(told))
            figure(
                "a lab of two desktops each of which \(waking.fault)",
                "given up after \(seconds(begun.duration(to: failed))), ready by a boot after \(seconds(took))")
            try await lab.dom0("punnet lab delete \(waking.rawValue) --yes", within: .seconds(180))
            await LongRun.shared.badDay(
                "an image's desktop \(waking.fault)", state: "ready by a boot \(seconds(took)) after its lab was made", message: told,
                recovery: try await recovered())
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func aGuestThatWritesWithoutEndDoesNotFillTheDisk() async throws {
            _ = try await begin()
            try await BadGuest.floods.makeLab(in: lab)
            let console = "/var/log/xen/console/guest-floods-1-g1.log"
            let lines = try await eventually("it has written more than a megabyte", within: .seconds(300), every: .seconds(1)) {
                let last = try await lab.dom0("tail -n 2 \(console) | sed -n 's/.*line \\([0-9]*\\) .*/\\1/p' | head -n 1")
                return Int(last.trimmingCharacters(in: .whitespacesAndNewlines)).flatMap { $0 > 20_000 ? $0 : nil }
            }
            // Its size, and the blocks that it takes: neither grows with what was ever written.
            let sizes = try await lab.dom0("stat -c '%s %b' \(console)").split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
            try #require(sizes.count == 2 && sizes[0] < 1 << 20 && sizes[1] * 512 < 1 << 20, "\(sizes)")
            let during = try await lab.desktop("floods-1")
            try await lab.dom0("xl destroy floods-1-g1")
            try await eventually("its last lines are told", within: .seconds(60)) {
                try await lab.dom0("punnet desktop explain floods-1").contains(BadGuest.floods.sign) ? true : nil
            }
            try await lab.dom0("punnet lab delete floods --yes", within: .seconds(180))
            try await eventually("its consoles are gone with it", within: .seconds(30)) {
                try await lab.dom0("ls /var/log/xen/console | grep floods || true").isEmpty ? true : nil
            }
            await LongRun.shared.badDay(
                BadGuest.floods.fault, state: "\(during.state); after \(lines) lines its file has \(sizes[0] >> 10) KiB",
                message: during.explanation ?? "", recovery: try await recovered())
        }

        private static let tooLong = "RDP did not answer within"

        private func held(_ name: String, because cause: String, within limit: Duration = .seconds(150)) async throws -> Lab.Desktop {
            try await eventually("\(name) is in quarantine, and that is why: \(cause)", within: limit, every: .milliseconds(500)) {
                let now = try await lab.desktop(name)
                return now.state == "quarantined" && now.explanation?.contains(cause) == true ? now : nil
            }
        }
    }
}

/// Images whose desktops boot well and do not wake well: the lab's, with a word for Scripts/lib/xen-lab-desktop on the kernel's command line.
enum BadWaking: String, CaseIterable {
    case deaf, hung

    var fault: String {
        switch self {
        case .hung: "hangs when it is restored"
        case .deaf: "does not ask for an address when it is restored"
        }
    }

    /// What is said of it.
    var cause: String {
        switch self {
        case .hung: "its guest did not say within 180 s that it has taken its identity over"
        case .deaf: "RDP did not answer within 180 s: nothing answers at "
        }
    }

    /// Takes it in, where that is not done yet.
    func takeImageIn(to lab: Lab) async throws {
        guard try await !lab.dom0("punnet image list").contains(rawValue) else { return }
        let source = "/usr/share/punnet/images/debian-desktop"
        let folder = "/run/lab-\(rawValue)"
        try await lab.dom0(
            "mkdir -p \(folder); ln -sf \(source)/disk.qcow2 \(source)/vmlinux \(source)/initrd.img \(folder)/; "
                + "sed -e 's/\"name\": \"[^\"]*\"/\"name\": \"\(rawValue)\"/' -e 's/\\(\"commandLine\": \"[^\"]*\\)\"/\\1 lab.wakes=\(rawValue)\"/' "
                + "\(source)/image.json > \(folder)/image.json; punnet image add \(folder) && rm -r \(folder)", within: .seconds(300))
    }
}

/// Guests that never become a desktop.
enum BadGuest: String {
    case hangs, mute, floods

    var fault: String {
        switch self {
        case .hangs: "a guest hangs at boot"
        case .mute: "a guest answers TCP but no RDP"
        case .floods: "a guest writes to its console without end"
        }
    }

    /// What it says on its console once it does what it does.
    var sign: String {
        switch self {
        case .hangs: "waiting for nothing"
        case .mute: "listening"
        case .floods: "of a guest that does not stop"
        }
    }

    private var script: String {
        """
        #!/bin/busybox sh
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sys /sys
        /bin/busybox mount -t devtmpfs dev /dev
        /bin/busybox --install -s /bin
        exec >/dev/hvc0 2>&1 </dev/null

        """
            + {
                switch self {
                case .hangs: "echo '\(sign)'\nwhile :; do sleep 1000; done\n"
                case .mute:
                    """
                    for module in /modules/*; do insmod "$module"; done
                    until [ -d /sys/class/net/eth0 ]; do usleep 10000; done
                    ip link set eth0 up
                    udhcpc -i eth0 -n -q -f -t 6 -T 2 -s /lease && echo '\(sign)'
                    nc -ll -p 3389 -e /bin/sleep 1000

                    """
                case .floods:
                    """
                    n=0
                    while :; do
                        n=$((n + 1))
                        echo "line $n \(sign), and a little more of it"
                        [ $((n % 200)) -ne 0 ] || usleep 100000
                    done

                    """
                }
            }()
    }

    private static let lease = "#!/bin/busybox sh\n[ \"$1\" = bound ] && ip addr add \"$ip/24\" dev eth0\nexit 0\n"

    /// An image of it, and a lab of one desktop.
    func makeLab(in lab: Lab) async throws {
        let source = "/usr/share/punnet/images/debian-desktop"
        let folder = "/run/lab-\(rawValue)"
        try await lab.dom0("mkdir -p \(folder)")
        try await lab.put(Archive(files: [("bad", script), ("lease", Self.lease)]).data, at: folder + "/bad.cpio")
        try await lab.put(
            Data(
                """
                {"name": "\(rawValue)", "boot": "pv", "disk": "disk.qcow2", "kernel": "vmlinux", "ramdisk": "initrd.img",
                 "commandLine": "rdinit=/bad console=hvc0 quiet net.ifnames=0", "account": {"user": "nobody", "password": "none"},
                 "minimumMemory": "192MiB"}
                """.utf8), at: folder + "/image.json")
        try await lab.dom0(
            "cd \(folder); cat \(source)/initrd.img bad.cpio > initrd.img; cp \(source)/vmlinux .; qemu-img create -q -f qcow2 disk.qcow2 16M; "
                + "punnet image add \(folder) && rm -r \(folder); punnet lab create \(rawValue) --image \(rawValue) --size 1 --memory 192MiB --vcpus 1",
            within: .seconds(300))
    }
}

extension Lab {
    /// The last line of punnetd's journal that holds the text.
    func said(_ text: String) async throws -> String? {
        let line = try await dom0("journalctl -u punnetd --no-pager -o cat -n 2000 | grep -F '\(text)' | tail -n 1")
            .trimmingCharacters(in: .whitespacesAndNewlines)
        return line.isEmpty ? nil : line
    }
}
