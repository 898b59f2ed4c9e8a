import DesktopModel
import Glibc
import Hypervisor
import HypervisorContract
import Subprocess

/// Real Xen under test.
extension Rig: DomainRig {
    private static let foreignName = "bench-foreign"
    private static let foreign = DomainUUID(installation: 0xfeed, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))

    var rounds: Int { 3 }
    var crowd: Int { 3 }
    var rubbish: String { "\(work)/empty.qcow2" }

    func plan(_ desktop: UInt32, does deed: GuestDeed, memory: ByteCount?) async throws -> DomainPlan {
        let deed: Deed =
            switch deed {
            case .idle: .idle
            case .takesOver: .takesOver
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

    func freshPath() -> String {
        let path = "\(work)/fresh-\(nextNumber())"
        unlink(path)
        fresh.withLock { $0.append(path) }
        return path
    }
    func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Looks for what belongs to a domain that Xen does not know: QEMUs, entries in xenstore, network ports.
    func remains() async throws -> [String] {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            let names = Set(try await host.domains().map(\.name))
            var found = try Self.processes().filter { !names.contains($0.domain) }.map { "process \($0.id) of \($0.domain)" }
            let entries = try await shell(Self.entries).split(whereSeparator: \.isNewline).map(String.init)
            if !entries.isEmpty {
                // Under emulation xl is slow: it is asked only where there is something.
                let known = Set(try await shell("xl list | awk 'NR > 1 { print $(NF - 4) }'").split(whereSeparator: \.isNewline))
                found += entries.filter { !known.contains($0.split(separator: " ")[0]) }
            }
            if found.isEmpty || ContinuousClock.now > deadline { return found }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// A line for each domain's number, with where it stands.
    private static let entries = #"""
        for path in /local/domain /local/domain/0/backend/vif /local/domain/0/backend/qdisk; do
            xenstore-list $path 2>/dev/null | sed -n "s|^[1-9][0-9]*\$|& in $path|p"
        done
        for port in /sys/class/net/vif*; do
            [ -e "$port" ] && port=${port##*/vif} && echo "${port%%.*} has a port"
        done
        true
        """#

    /// The QEMUs of these trials' domains.
    private static func processes() throws -> [(id: Int, domain: String)] {
        guard let folder = opendir("/proc") else { throw BenchError("/proc cannot be read") }
        defer { closedir(folder) }
        var found: [(Int, String)] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            // It may end meanwhile.
            guard let id = Int(name), let program = try? [UInt8](readFrom: "/proc/\(id)/comm"), program.starts(with: Array("qemu".utf8)),
                let line = try? [UInt8](readFrom: "/proc/\(id)/cmdline")
            else { continue }
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            guard let index = words.firstIndex(of: "-name"), index + 1 < words.count, words[index + 1].hasPrefix("bench-") else { continue }
            found.append((id, String(words[index + 1].prefix { $0 != "," })))
        }
        return found
    }

    func sweep() async throws {
        further.withLock { $0 = [] }
        for domain in try await host.domains() where domain.uuid.installation == Self.installation || domain.uuid == Self.foreign {
            try await host.destroy(domain.uuid)
        }
        for overlay in try await disks.overlays() { try await disks.removeOverlay(overlay) }
        for path in fresh.withLock({ $0 }) { unlink(path) }
        fresh.withLock { $0 = [] }
    }

    func shell(_ script: String) async throws -> String {
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

    func online() async throws -> Set<IPv4Address> {
        let words = try await rig.shell("nft list set inet punnet online").split { !$0.isNumber && $0 != "." }
        return Set(words.compactMap { IPv4Address(String($0)) })
    }
}
