import DesktopModel
import Glibc
import Hypervisor
import Identity
import Libvirt
import Logging

/// The desktops' network as a network of libvirt's: its bridge, and a reservation for every place, made all at once.
///
/// The network, its bridge and the guard's rules outlive the process, and libvirtd: desktops are served while libvirtd is away, as long as
/// the bridge is up.
public final class LibvirtNetwork: AddressBook {
    private let settings: NetworkSettings
    private let uri: String
    private let name: String
    private let plan: AddressPlan
    private let guardRules: NetworkGuard
    private let logger: Logger
    private let lane = BlockingLane("network")

    /// The settings' mode must be `libvirt`.
    public init(_ settings: NetworkSettings, logger: Logger) {
        guard case .libvirt(let uri, let name) = settings.mode else { preconditionFailure("the settings name a bridge, not libvirt") }
        self.settings = settings
        self.uri = uri
        self.name = name
        self.logger = logger
        plan = AddressPlan(subnet: settings.subnet)
        guardRules = NetworkGuard(settings: settings, logger: logger)
    }

    public var places: Int { plan.places }
    public func addresses(of place: Place) -> PlaceAddresses? { plan.addresses(of: place) }

    /// As `AddressBook` says. A running network whose settings changed is changed only while no domain is on it; until then it runs on as
    /// it was, which is logged as an error, and is one where its address is another.
    public func prepare() async throws(HypervisorError) {
        // The rules come first, so that the network never runs without them.
        try await guardRules.load()
        let occupied = try !guardRules.ports().isEmpty
        let definition = definition
        do throws(HypervisorError) {
            try await lane.run { [uri, logger] () throws(HypervisorError) in
                do throws(LibvirtError) {
                    try Self.bringUp(definition, on: try LibvirtConnection(uri), occupied: occupied, logger)
                } catch {
                    throw HypervisorError(error)
                }
            }
        } catch {
            guard case .unavailable = error, BridgeState.isUp(settings.bridge, with: settings.subnet.gateway) else { throw error }
            logger.warning("libvirt is away; the desktops' network runs on as it is", metadata: ["error": "\(error)"])
        }
        guard BridgeState.isUp(settings.bridge, with: settings.subnet.gateway) else {
            throw .failed(
                call: "prepare", code: 0,
                detail: "bridge '\(settings.bridge)' does not have \(settings.subnet.gateway): look at 'virsh net-dumpxml \(name)'")
        }
    }

    public var leadsToInternet: Bool { settings.internet }

    public func openInternet(to places: Set<Place>) async throws(HypervisorError) {
        try await guardRules.openInternet(to: places.compactMap { addresses(of: $0)?.address })
    }

    /// What libvirt is told.
    var definition: NetworkDefinition {
        let reservations = (0..<places).compactMap { index -> NetworkDefinition.Reservation? in
            let place = Place(rawValue: index + 1)
            return addresses(of: place).map {
                NetworkDefinition.Reservation(mac: "\($0.mac)", address: "\($0.address)", hostName: "desktop-\(place)")
            }
        }
        let facts = "1 \(name) \(settings.bridge) \(settings.subnet) \(settings.internet) \(reservations)"
        return NetworkDefinition(
            name: name, bridge: settings.bridge, gateway: "\(settings.subnet.gateway)", netmask: "\(settings.subnet.netmask)",
            reach: settings.internet ? .open : .isolated, namesAreServed: settings.internet, reservations: reservations,
            mark: Hex.text(of: Digest.sha256(facts)))
    }

    private static func bringUp(
        _ definition: NetworkDefinition, on connection: LibvirtConnection, occupied: Bool, _ logger: Logger
    ) throws(LibvirtError) {
        let network: VirtualNetwork
        if let found = try connection.network(named: definition.name), try found.bears(mark: definition.mark, whenNextStarted: true) {
            network = found
        } else {
            network = try connection.define(definition)
        }
        if try network.isActive {
            if try network.bears(mark: definition.mark, whenNextStarted: false) {
                return try keepServed(network, definition, logger)
            }
            guard !occupied else {
                logger.error(
                    "the desktops' network runs with earlier settings until it is prepared without desktops",
                    metadata: ["network": "\(definition.name)"])
                return
            }
            try network.stop()
        }
        try network.start()
        try network.setStartsByItself(true)
        logger.notice(
            "desktops' network up",
            metadata: ["network": "\(definition.name)", "reservations": "\(definition.reservations.count)"])
    }

    /// libvirtd does not notice the death of a DHCP server that it has started.
    private static func keepServed(_ network: VirtualNetwork, _ definition: NetworkDefinition, _ logger: Logger) throws(LibvirtError) {
        guard let first = definition.reservations.first, !DHCPServer.runs(by: "/run/libvirt/network/\(definition.name).pid") else { return }
        try network.renew(first)
        logger.warning("the desktops' network had lost its DHCP server; it runs again", metadata: ["network": "\(definition.name)"])
    }
}
