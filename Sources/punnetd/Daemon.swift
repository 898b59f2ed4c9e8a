import Broker
import ControlPanel
import ControlServer
import DesktopModel
import DesktopStore
import Foundation
import Hypervisor
import Identity
import Logging
import Relay
import ServiceLifecycle
import SimulatedHypervisor
import SystemdNotify
import XenHypervisor

/// Which version of Punnet this is.
let punnetVersion = "0.1.0"

/// Something that the daemon needs from the start is not to be had.
struct StartFailure: Error, CustomStringConvertible {
    let what: String
    let cause: any Error
    var description: String { "\(what): \(cause)" }

    /// Does what the start needs, and names it where it fails.
    static func explain<Value>(_ what: String, _ body: () throws -> Value) throws(StartFailure) -> Value {
        do { return try body() } catch { throw StartFailure(what: what, cause: error) }
    }
}

/// Everything that runs in punnetd, wired.
struct Daemon {
    private let settings: DaemonSettings
    private let logger: Logger

    init(_ settings: DaemonSettings, logger: Logger) {
        self.settings = settings
        var logger = logger
        if settings.server == .simulated { logger[metadataKey: "hypervisor"] = "simulated" }
        self.logger = logger
    }

    /// Runs until SIGTERM or SIGINT, or until a part ends that must not.
    func run() async throws {
        let files = try await panelFiles()
        let notifier = SystemdNotifier()
        let data = settings.data
        let addresses = settings.httpsHost == "0.0.0.0" ? serverAddresses(without: settings.bridge) : [settings.httpsHost]
        let lock = try StartFailure.explain("the data folder cannot be used") {
            try FileManager.default.createDirectory(
                atPath: data, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
            return try DataFolderLock(data + "/lock")
        }
        defer { withExtendedLifetime(lock) {} }
        let store = try StartFailure.explain("the database cannot be opened") {
            try DesktopStore(path: data + "/punnet.db", server: settings.server)
        }
        let identity = try StartFailure.explain("the certificate cannot be read or made") {
            try FileManager.default.createDirectory(
                atPath: data + "/identity", withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            return try SelfSignedCertificate.load(orCreateIn: data + "/identity", names: [ProcessInfo.processInfo.hostName] + addresses)
        }
        let server = try desktopServer(installation: store.installation)

        var brokerSettings = BrokerSettings()
        brokerSettings.atOnce = server.atOnce
        let broker = Broker(
            store: store, host: server.host, disks: server.disks, network: server.network,
            addresses: AddressPlan(subnet: settings.subnet), settings: brokerSettings, logger: logger)
        let desk = RelayDesk(configuration: deskConfiguration, desk: broker, logger: logger)
        await broker.useRelay { await desk.closeLinks(of: $0.rawValue) }
        let registry = SeatRegistry(broker, store: store)
        let console = ConsoleMessage(folder: settings.runtime, addresses: addresses, port: settings.httpsPort, logger: logger)
        let people = PeopleRegistry(broker, store: store) { console.show(code: $0) }
        let control = try StartFailure.explain("the control server cannot be set up") {
            try ControlServer(
                configuration: .init(
                    host: settings.httpsHost, port: settings.httpsPort, certificatePEM: identity.certificatePEM,
                    privateKeyPEM: identity.keyPEM, socketPath: settings.runtime + "/control.sock",
                    administratorsGroup: settings.adminGroup, pin: identity.pin, fingerprint: identity.fingerprint,
                    identityFolder: data + "/identity", addresses: addresses, relayPort: settings.relayPort, shippedImage: settings.shippedImage),
                broker: SessionBroker(broker), seats: registry, administration: Administration(broker, store: store), people: people,
                pages: Pages(files: files, isSimulated: settings.server == .simulated, version: punnetVersion), logger: logger,
                onListening: { _ in notifier.ready() })
        }
        _ = try await people.drawCode()
        let group = ServiceGroup(
            configuration: .init(
                services: server.services.map { .init(service: $0) }
                    + [.init(service: broker), .init(service: desk), .init(service: control)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        // By then the start is over, and whoever stood at the door was let in.
        let tidying = Task {
            try await Task.sleep(for: .seconds(60))
            ProgramMemory.giveBack()
        }
        defer { tidying.cancel() }
        try await group.run()
        notifier.stopping()
    }

    private func panelFiles() async throws(StartFailure) -> PanelFiles {
        do {
            return try await PanelFiles(folder: settings.panel)
        } catch {
            throw StartFailure(what: "the panel cannot be shown", cause: error)
        }
    }

    /// What runs the desktops: this machine's Xen, or the twin of such a machine.
    private struct DesktopServer {
        let host: any DomainHost
        let disks: any DiskStore
        let network: any AddressBook
        /// How many desktops are made on it at once.
        let atOnce: Int
        /// What of it must run beside the broker.
        var services: [any Service] = []
    }

    private func desktopServer(installation: UInt64) throws -> DesktopServer {
        switch settings.server {
        case .xen:
            let data = settings.data
            let network = networkSettings
            let host = try StartFailure.explain("Xen cannot be reached") {
                try XenDomainHost(
                    .init(
                        bridge: network.bridge, portScript: network.portScript, slowOperations: settings.atOnce, installation: installation),
                    logger: logger)
            }
            let disks = try StartFailure.explain("the data folder cannot be used") {
                try FileDiskStore(
                    .init(
                        images: data + "/images", desktops: data + "/desktops", checkpoints: data + "/checkpoints",
                        overlayMaker: settings.networkMode == .bridge
                            ? .qemuImg : .storagePool(uri: "storage:///system", name: "punnet-images")),
                    logger: logger)
            }
            return DesktopServer(host: host, disks: disks, network: addressBook(network), atOnce: host.slowOperations)
        case .simulated:
            logger.warning(
                "THE SERVER IS SIMULATED: no desktop is real, and all of them are gone when this process ends",
                metadata: [
                    "memory": "\(settings.simulatedMemory)", "processors": "\(settings.simulatedProcessors)",
                    "disk": "\(settings.simulatedDisk)", "speed": "\(settings.simulatedSpeed)", "subnet": "\(settings.subnet)",
                ])
            let twin = LiveServer(
                .init(
                    memory: settings.simulatedMemory, processors: settings.simulatedProcessors, disk: settings.simulatedDisk,
                    plan: AddressPlan(subnet: settings.subnet), leadsToInternet: settings.internet, speed: settings.simulatedSpeed),
                logger: logger)
            let atOnce = settings.atOnce ?? HostCapacity.preparations(onProcessors: settings.simulatedProcessors)
            return DesktopServer(
                host: twin.connection, disks: twin.disks, network: twin.connection, atOnce: atOnce, services: [twin])
        }
    }

    private var deskConfiguration: RelayDesk.Configuration {
        let socket = settings.runtime + "/relay.sock"
        switch settings.server {
        case .xen: return .standard(socketPath: socket)
        // Whoever plays with it starts both.
        case .simulated: return .init(socketPath: socket, allowedUsers: [geteuid()])
        }
    }

    private var networkSettings: NetworkSettings {
        let mode: NetworkSettings.Mode =
            switch settings.networkMode {
            case .libvirt: .libvirt(uri: "network:///system", network: "punnet")
            case .bridge: .bridge(hostsFile: settings.reservationsFile, processFile: settings.dnsmasqPIDFile)
            }
        return NetworkSettings(
            mode: mode, bridge: settings.bridge, subnet: settings.subnet, internet: settings.internet,
            services: [UInt16(settings.httpsPort), UInt16(settings.relayPort)])
    }

    private func addressBook(_ network: NetworkSettings) -> any AddressBook {
        switch settings.networkMode {
        case .libvirt: LibvirtNetwork(network, logger: logger)
        case .bridge: BridgeNetwork(network, logger: logger)
        }
    }
}
