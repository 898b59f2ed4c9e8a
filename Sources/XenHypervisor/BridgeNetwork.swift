import DesktopModel
import Glibc
import Hypervisor
import Logging

/// The desktops' network on a bridge that an administrator keeps, with the reservations as a hosts file that his dnsmasq reads.
///
/// Needs no libvirt. The file and the guard's rules outlive the process.
public final class BridgeNetwork: AddressBook {
    private let settings: NetworkSettings
    private let hostsFile: String
    private let processFile: String
    private let plan: AddressPlan
    private let guardRules: NetworkGuard
    private let logger: Logger
    private let lane = BlockingLane("network")

    /// The settings' mode must be `bridge`.
    public init(_ settings: NetworkSettings, logger: Logger) {
        guard case .bridge(let hostsFile, let processFile) = settings.mode else {
            preconditionFailure("the settings name libvirt, not a bridge")
        }
        self.settings = settings
        self.hostsFile = hostsFile
        self.processFile = processFile
        self.logger = logger
        plan = AddressPlan(subnet: settings.subnet)
        guardRules = NetworkGuard(settings: settings, logger: logger)
    }

    public var places: Int { plan.places }
    public func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }

    public func prepare() async throws(HypervisorError) {
        try await guardRules.load()
        guard BridgeState.isUp(settings.bridge, with: settings.subnet.gateway) else {
            throw .unavailable(
                "bridge '\(settings.bridge)' is not up with \(settings.subnet.gateway): bring it up, or let libvirt make the network")
        }
        let (hostsFile, processFile, hosts, logger) = (hostsFile, processFile, hosts, logger)
        try await lane.run { () throws(HypervisorError) in
            if try DiskFiles.text(of: hostsFile) != hosts { try DiskFiles.replace(hostsFile, with: hosts, mode: 0o644) }
            // Also where the file was right: a crash may have come between writing it and telling.
            guard let server = DHCPServer.process(by: processFile) else {
                throw .unavailable("'\(processFile)' names no running dnsmasq: start the one that serves the desktops' bridge")
            }
            guard kill(server, SIGHUP) == 0 else { throw FileFailure.error("kill", "dnsmasq \(server)") }
            logger.notice("dnsmasq reads the reservations anew", metadata: ["file": "\(hostsFile)"])
        }
    }

    public var leadsToInternet: Bool { settings.internet }

    public func openInternet(to places: Set<Place>) async throws(HypervisorError) {
        try await guardRules.openInternet(to: places.compactMap { addresses(of: $0)?.address })
    }

    /// The file's content, as dnsmasq's `dhcp-hostsfile` wants it.
    var hosts: String {
        (0..<places).compactMap { index -> String? in
            let place = Place(rawValue: index + 1)
            return addresses(of: place).map { "\($0.mac),\($0.address),desktop-\(place),infinite\n" }
        }.joined()
    }
}
