import DesktopModel
import Glibc
import Hypervisor
import HypervisorContract
import Subprocess

/// Real Xen under test.
extension Rig: DomainRig {
    private static let foreignName = "bench-foreign"
    private static let foreign = DomainUUID(installation: 0xfeed, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))

    var rounds: Int { 4 }
    var crowd: Int { 4 }
    var rubbish: String { "\(work)/empty.qcow2" }

    func plan(_ desktop: UInt32, does deed: GuestDeed, memory: ByteCount?) async throws -> DomainPlan {
        let deed: Deed =
            switch deed {
            case .idle: .idle
            case .poweroff: .poweroff
            case .reboot: .reboot
            case .crash: .crash
            }
        return try await plan(desktop: desktop, generation: nextNumber(), does: deed, memory: memory ?? .mebibytes(160))
    }

    func heartbeat(of plan: DomainPlan) async throws -> Heartbeat? {
        guard let line = console(of: plan).split(whereSeparator: \.isNewline).last(where: { $0.hasPrefix("tick ") }) else { return nil }
        let words = line.split(separator: " ")
        guard words.count == 3, let count = Int(words[1]) else { throw Broken("the guest says '\(line)'") }
        let bytes = words[2].split(separator: ":").compactMap { UInt8($0, radix: 16) }
        guard bytes.count == 6 else { throw Broken("the guest says '\(line)'") }
        return Heartbeat(count: count, mac: MACAddress(bytes: bytes))
    }

    func letPass(_ time: Duration) async throws { try await Task.sleep(for: time) }

    func endFromOutside(_ domain: RunningDomain) async throws { _ = try await shell("xl destroy '\(domain.name)'") }

    func startForeign() async throws -> DomainUUID {
        let plan = try await plan(39, does: .idle, memory: nil)
        let file = "\(work)/foreign.cfg"
        let text = """
            name = "\(Self.foreignName)"
            uuid = "\(Self.foreign)"
            kernel = "\(plan.kernel)"
            ramdisk = "\(plan.ramdisk)"
            extra = "\(plan.commandLine)"
            memory = \(plan.profile.memory.mebibytes)

            """
        try Array(text.utf8).write(to: file)
        defer { unlink(file) }
        _ = try await shell("xl create -q -e '\(file)'")
        return Self.foreign
    }

    func connectAnew() async throws -> any DomainHost {
        let host = try newHost()
        further.withLock { $0.append(host) }
        return host
    }

    func freshPath() -> String { "\(work)/fresh-\(nextNumber())" }
    func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    func remains() async throws -> [String] {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let found = try await shell(Self.search).split(whereSeparator: \.isNewline).map(String.init)
            if found.isEmpty || ContinuousClock.now > deadline { return found }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Looks for what belongs to a domain that Xen does not know: in xenstore, in dom0's network, and QEMUs of these trials.
    private static let search = #"""
        known=" $(xl list | awk 'NR > 1 { printf "%s ", $(NF - 4) }')"
        for path in /local/domain /local/domain/0/backend/vif /local/domain/0/backend/qdisk; do
            for id in $(xenstore-list $path 2>/dev/null | grep -x '[0-9]*'); do
                case "$known" in *" $id "*) ;; *) echo "$path/$id" ;; esac
            done
        done
        for port in /sys/class/net/vif*; do
            [ -e "$port" ] || continue
            id=${port##*/vif}
            case "$known" in *" ${id%%.*} "*) ;; *) echo "$port" ;; esac
        done
        names=" $(xl list | awk '{ printf "%s ", $1 }')"
        for process in /proc/[0-9]*; do
            line=$(tr '\0' ' ' < "$process/cmdline" 2>/dev/null) || continue
            case "$line" in
                qemu*' -name bench-'* | */qemu*' -name bench-'*)
                    name=${line#* -name }
                    case "$names" in *" ${name%%[ ,]*} "*) ;; *) echo "${process##*/} ${name%%[ ,]*}" ;; esac ;;
            esac
        done
        """#

    func sweep() async throws {
        further.withLock { $0 = [] }
        for domain in try await host.domains() where domain.uuid.installation == Self.installation || domain.uuid == Self.foreign {
            try await host.destroy(domain.uuid)
        }
        for overlay in try await disks.overlays() { try await disks.removeOverlay(overlay) }
        _ = try await shell("rm -f '\(work)'/fresh-*")
    }

    private func shell(_ script: String) async throws -> String {
        let result = try await Subprocess.run(
            .name("sh"), arguments: ["-c", script], output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
        guard result.terminationStatus.isSuccess else {
            throw BenchError("'\(script.prefix(60))' failed: \(result.standardError)")
        }
        return result.standardOutput
    }
}

/// The desktops' real network under test.
struct NetworkRig: AddressRig {
    let rig: Rig
    var network: any AddressBook { rig.network }
    var subnet: IPv4Subnet { rig.subnet }
    func connectAnew() async throws -> any AddressBook { rig.newNetwork() }
}
