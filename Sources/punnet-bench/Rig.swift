import DesktopModel
import Glibc
import Hypervisor
import HypervisorContract
import Logging
import Subprocess
import Synchronization
import XenHypervisor

/// A host of domains, disks and addresses as the daemon has them, and small guests that do what they are told by their command line.
final class Rig: Sendable {
    /// What a guest does once it is up.
    enum Deed: String, Sendable {
        case idle, takesOver, poweroff, reboot, crash
        /// With a network: serving a port; or trying what it must not.
        case listen, attack
    }

    /// Of these trials alone, so that no desktop of the appliance is ever taken for one of them.
    static let installation: UInt64 = 0x7075_6e6e_6574_2d62

    let host: any DomainHost
    let events: EventLog
    let disks: FileDiskStore
    let network: any AddressBook
    let boot: BootMode
    let work: String
    let subnet: IPv4Subnet
    private let image: StoredImage
    private let ramdisk: String
    private let hostSettings: XenDomainHost.Settings
    private let networkSettings: NetworkSettings
    private let logger: Logger
    /// Further connections to Xen; they live until the next sweep.
    let further = Mutex<[XenDomainHost]>([])
    private let number = Mutex<UInt32>(0)
    /// Paths for files that checks write; removed at the next sweep.
    let fresh = Mutex<[String]>([])

    init(image: String, work: String, subnet: IPv4Subnet, guardFolder: String, usesLibvirt: Bool, boot: BootMode) async throws {
        var logger = Logger(label: "punnet-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .notice
        self.work = work
        self.subnet = subnet
        self.boot = boot
        let mode: NetworkSettings.Mode =
            usesLibvirt
            ? .libvirt(uri: "network:///system", network: "punnet")
            : .bridge(hostsFile: "\(work)/hosts", processFile: "\(work)/dnsmasq.pid")
        let settings = NetworkSettings(mode: mode, subnet: subnet, guardFolder: guardFolder)
        network = Self.network(settings, logger)
        let maker: FileDiskStore.OverlayMaker =
            usesLibvirt ? .storagePool(uri: "storage:///system", name: "punnet-bench") : .qemuImg
        disks = try FileDiskStore(
            FileDiskStore.Settings(images: "\(work)/images", desktops: "\(work)/desktops", checkpoints: "\(work)/checkpoints", overlayMaker: maker), logger: logger)
        let hostSettings = XenDomainHost.Settings(
            bridge: settings.bridge, portScript: settings.portScript, slowOperations: 2, installation: Self.installation)
        host = try XenDomainHost(hostSettings, logger: logger)
        events = EventLog(host.events)
        (self.hostSettings, networkSettings, self.logger) = (hostSettings, settings, logger)
        // What a trial that was killed left behind.
        for domain in try await host.domains() where domain.uuid.installation == Self.installation {
            try await host.destroy(domain.uuid)
        }
        try await network.prepare()
        try await disks.removeImage("bench", version: 1)
        // The guests live in their ramdisk: an empty disk is enough for them.
        let disk = "\(work)/empty.qcow2"
        let made = try await Subprocess.run(
            .name("qemu-img"), arguments: ["create", "-q", "-f", "qcow2", disk, "64M"], output: .discarded, error: .discarded)
        guard made.terminationStatus.isSuccess else { throw BenchError("qemu-img could not make '\(disk)'") }
        self.image = try await disks.takeIn(
            ImageFiles(disk: disk, kernel: "\(image)/vmlinux", ramdisk: "\(image)/initrd.img", diskChecksum: nil),
            as: "bench", version: 1) { _, _ in }
        ramdisk = "\(work)/guest.initrd"
        try Guest.ramdisk(over: "\(image)/initrd.img").write(to: ramdisk)
    }

    private static func network(_ settings: NetworkSettings, _ logger: Logger) -> any AddressBook {
        switch settings.mode {
        case .libvirt: LibvirtNetwork(settings, logger: logger)
        case .bridge: BridgeNetwork(settings, logger: logger)
        }
    }

    /// The same network, and the same Xen, as a daemon that is started anew has them.
    func newNetwork() -> any AddressBook { Self.network(networkSettings, logger) }
    func newHost() throws -> XenDomainHost { try XenDomainHost(hostSettings, logger: logger) }

    /// Another each time.
    func nextNumber() -> UInt32 {
        number.withLock { number in
            number += 1
            return number
        }
    }

    /// A plan for one guest, with its overlay laid.
    func plan(
        desktop: UInt32, generation: UInt32, does deed: Deed, memory: ByteCount = .mebibytes(160), facts: String = ""
    ) async throws -> DomainPlan {
        let id = DesktopID(rawValue: desktop)
        let generation = Generation(rawValue: generation)
        let name = OverlayName(desktop: id, generation: generation)
        try await disks.removeOverlay(name)
        let overlay = try await disks.layOverlay(of: image.blankOverlay, for: name)
        guard let addresses = network.addresses(of: Place(rawValue: 200 + Int(desktop))) else {
            throw BenchError("the network is too small")
        }
        return DomainPlan(
            uuid: DomainUUID(installation: Self.installation, desktop: id, generation: generation), name: "bench-\(desktop)-g\(generation)",
            boot: boot, kernel: image.kernel, ramdisk: ramdisk,
            commandLine: "console=hvc0 quiet net.ifnames=0 mitigations=off panic=0 punnet.deed=\(deed.rawValue) \(facts)",
            profile: Profile(vcpus: 1, memory: memory), overlay: overlay, mac: addresses.mac, address: addresses.address)
    }

    /// The last line that starts with the word in the guest's console, waited for.
    func said(_ word: String, by plan: DomainPlan, within limit: Duration = .seconds(120)) async throws -> String {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            let lines = console(of: plan).split(whereSeparator: \.isNewline)
            if let line = lines.last(where: { $0.hasPrefix(word) }) { return String(line) }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BenchError("guest '\(plan.name)' did not say '\(word)' within \(limit); its console: \(console(of: plan).suffix(600))")
    }

    /// The whole lines that the guest has written.
    func console(of plan: DomainPlan) -> String {
        let bytes = (try? [UInt8](readFrom: Self.consoleLog(of: plan.name))) ?? []
        let end = bytes.lastIndex(of: UInt8(ascii: "\n")) ?? bytes.startIndex
        return String(decoding: bytes[..<end], as: UTF8.self)
    }

    private static func consoleLog(of domain: String) -> String { "/var/log/xen/console/guest-\(domain).log" }

    /// Ends what these trials left in Xen, and their files.
    func clean() async {
        for domain in (try? await host.domains()) ?? [] where domain.uuid.installation == Self.installation {
            try? await host.destroy(domain.uuid)
        }
        for name in (try? await host.consoles()) ?? [] where name.hasPrefix("bench-") { try? await host.removeConsole(of: name) }
        for overlay in (try? await disks.overlays()) ?? [] { try? await disks.removeOverlay(overlay) }
        try? await disks.removeImage("bench", version: 1)
        unlink(ramdisk)
        unlink("\(work)/empty.qcow2")
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension [UInt8] {
    init(readFrom path: String) throws {
        guard let file = fopen(path, "r") else { throw BenchError("cannot read '\(path)'") }
        defer { fclose(file) }
        self = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = fread(&block, 1, block.count, file)
            if got == 0 { break }
            append(contentsOf: block[..<got])
        }
    }

    func write(to path: String) throws {
        guard let file = fopen(path, "w") else { throw BenchError("cannot write '\(path)'") }
        defer { fclose(file) }
        guard fwrite(self, 1, count, file) == count else { throw BenchError("cannot write '\(path)'") }
    }
}
