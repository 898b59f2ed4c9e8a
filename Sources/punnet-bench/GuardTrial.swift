import ArgumentParser
import DesktopModel
import Glibc
import Hypervisor
import Subprocess

struct XenGuard: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "guard", abstract: "Lets one desktop try to reach another, dom0 and the LAN, and to forge its addresses.")
    @OptionGroup var options: XenOptions
    @Option(help: "An address of dom0 that is not on the desktops' network, where the trial opens a service.")
    var lanAddress: String

    func run() async throws {
        let rig = try await options.rig()
        let failures: Int
        do {
            failures = try await GuardTrial(rig: rig, lanAddress: lanAddress).run()
        } catch {
            await rig.clean()
            throw error
        }
        await rig.clean()
        if failures > 0 { throw ExitCode(1) }
    }
}

/// Two guests: the one tries everything, the other listens, and dom0 sees what arrives on the desktops' bridge.
///
/// What must not work is worth something only where the same means work when they may: so each has its counterpart that must succeed.
struct GuardTrial {
    let rig: Rig
    let lanAddress: String
    private static let port = 8443

    func run() async throws -> Int {
        let subnet = rig.subnet
        let victim = try await rig.plan(desktop: 22, generation: 1, does: .listen)
        let forged = MACAddress(bytes: [0x00, 0x16, 0x3e, 0x66, 0x66, 0x66])
        let attacker = try await rig.plan(
            desktop: 21, generation: 1, does: .attack,
            facts: "punnet.peer=\(victim.address) punnet.gateway=\(subnet.gateway) punnet.lan=\(lanAddress) punnet.forged=\(forged)")
        let capture = try Capture(interface: "punnet0")
        // A service of dom0 on all addresses: none of the desktops may reach it.
        let service = try Capture.listener(port: UInt16(Self.port))
        defer { close(service) }
        try await rig.host.create(victim)
        try await rig.host.create(attacker)
        try await rig.host.unpause(victim.uuid)
        _ = try await rig.said("listening", by: victim)
        try await rig.host.unpause(attacker.uuid)
        _ = try await rig.said("address", by: attacker)
        var failures = 0
        func hold(_ fact: String, _ holds: Bool, _ detail: @autoclosure () -> String = "") {
            if !holds { failures += 1 }
            print("\(holds ? "ok     " : "FAILED ") \(fact)\(holds ? "" : ": \(detail())")")
        }
        for plan in [victim, attacker] {
            let line = try await rig.said("address", by: plan)
            hold("\(plan.mac) is given \(plan.address) and a name", line.contains(" \(plan.address) ") && line.contains("desktop-"), line)
            hold("dom0 reaches \(plan.address)", await reaches("\(plan.address)", 3389))
        }
        hold("dom0's own service answers on its LAN address from dom0", await reaches(lanAddress, Self.port))
        _ = try await rig.said("done", by: attacker, within: .seconds(240))
        for line in rig.console(of: attacker).split(whereSeparator: \.isNewline) where line.hasPrefix("try ") {
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count == 3 else { continue }
            let wanted = words[1] == "may" ? "yes" : "no"
            let deed = words[2].split(separator: " ").dropLast().joined(separator: " ")
            hold("a desktop \(words[1]) \(deed)", words[2].hasSuffix(" \(wanted)"), String(line))
        }
        let seen = capture.stop()
        hold("dom0 sees the desktop's own frames", seen.contains { $0.source == attacker.mac.bytes })
        hold("no frame with a forged MAC arrives", !seen.contains { $0.source == forged.bytes })
        hold("no IPv6 arrives", !seen.contains { $0.kind == 0x86dd })
        let own = [attacker.address, IPv4Address(rawValue: 0)]
        hold("no packet with a forged address arrives", !seen.contains { $0.source == attacker.mac.bytes && !$0.hasSender(own) })
        hold("nothing but IPv4 and ARP arrives", seen.allSatisfy { [0x0800, 0x0806].contains($0.kind) || $0.isOwn })
        print("        \(seen.count) frames seen on the bridge")
        return failures
    }

    /// Whether dom0 can open a connection.
    private func reaches(_ address: String, _ port: Int) async -> Bool {
        let result = try? await Subprocess.run(
            .name("timeout"), arguments: ["5", "bash", "-c", "exec 3<>/dev/tcp/\(address)/\(port)"], output: .discarded, error: .discarded)
        return result?.terminationStatus.isSuccess == true
    }
}
