import ArgumentParser
import DesktopModel
import Glibc
import Hypervisor
import HypervisorContract
import Logging
import XenHypervisor

struct XenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "xen", abstract: "What runs desktops, on real Xen.", subcommands: [XenContract.self, XenPause.self, XenGuard.self])
}

/// What both commands need of the lab.
struct XenOptions: ParsableArguments {
    @Option(help: "The folder of an image: its kernel 'vmlinux' and ramdisk 'initrd.img' boot the guests.")
    var image = "/usr/share/punnet/images/debian-desktop"
    @Option(help: "A folder for the trial's own files; emptied at the end.")
    var work = "/var/tmp/punnet-bench"
    @Option(help: "The folder of vif-punnet and the guard's rules.")
    var guardFolder = "/usr/lib/punnet"
    @Option(help: "The desktops' network.")
    var subnet = "10.88.0.0/24"
    @Option(help: "Who makes network and blank overlay: libvirt, or none (an existing bridge, qemu-img).")
    var libvirt = "libvirt"
    @Option(help: "How the guests boot: pv or pvh.")
    var boot = "pv"

    func rig() async throws -> Rig {
        guard let subnet = IPv4Subnet(subnet) else { throw ValidationError("'\(subnet)' is no network, as 10.88.0.0/24") }
        guard let boot = BootMode(rawValue: boot) else { throw ValidationError("'\(boot)' is neither pv nor pvh") }
        return try await Rig(
            image: image, work: work, subnet: subnet, guardFolder: guardFolder, usesLibvirt: libvirt == "libvirt", boot: boot)
    }
}

struct XenContract: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract", abstract: "Holds what runs desktops, on real Xen, to what its protocols promise.",
        discussion: "One line for each promise; the last line counts.")
    @OptionGroup var options: XenOptions
    @Option(help: "Only the promises whose fact contains this text.")
    var only = ""
    @Option(help: "Only the promises from the first whose fact contains this text on.")
    var from = ""

    func run() async throws {
        let rig = try await options.rig()
        var run = ContractRun(only: only, from: from)
        await run.ask(DomainContract.checks) { try await DomainContract.keep($0, on: rig) }
        let work = options.work
        let disks = try await FileDiskRig(
            rig.disks, images: "\(work)/images", desktops: "\(work)/desktops", work: work, golden: "\(work)/empty.qcow2")
        await run.ask(DiskContract.checks) { try await DiskContract.keep($0, on: disks) }
        try await disks.close()
        await run.ask(AddressContract.checks) { try await AddressContract.keep($0, on: NetworkRig(rig: rig)) }
        await rig.clean()
        print("\(run.kept) kept, \(run.broken) broken")
        if run.broken > 0 || run.kept == 0 { throw ExitCode(1) }
    }
}

struct XenPause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Times pause and unpause of one parked domain, as JSON.")
    @OptionGroup var options: XenOptions
    @Option(help: "How often.")
    var count = 1000

    func run() async throws {
        let rig = try await options.rig()
        let plan = try await rig.plan(desktop: 1, generation: 1, does: .idle)
        try await rig.host.create(plan)
        var pauses: [Duration] = []
        var unpauses: [Duration] = []
        let clock = ContinuousClock()
        for _ in 0..<count {
            unpauses.append(try await clock.measure { try await rig.host.unpause(plan.uuid) })
            pauses.append(try await clock.measure { try await rig.host.pause(plan.uuid) })
        }
        print("{\"count\": \(count), \"pause\": \(Figures(pauses).json), \"unpause\": \(Figures(unpauses).json)}")
        await rig.clean()
    }
}

/// The figures of many durations, in milliseconds.
struct Figures {
    private let sorted: [Duration]

    init(_ durations: [Duration]) { sorted = durations.sorted() }

    var json: String {
        "{\"unit\": \"ms\", \"p50\": \(at(0.5)), \"p99\": \(at(0.99)), \"max\": \(at(1))}"
    }

    private func at(_ part: Double) -> String {
        guard !sorted.isEmpty else { return "null" }
        let index = min(sorted.count - 1, Int(Double(sorted.count) * part))
        let duration = sorted[index]
        let micros = Int(duration / .microseconds(1))
        let rest = String(micros % 1000)
        return "\(micros / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}
