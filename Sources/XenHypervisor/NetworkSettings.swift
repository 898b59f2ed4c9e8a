import Hypervisor

/// How the desktops' network is made.
public struct NetworkSettings: Hashable, Sendable {
    /// Who brings the bridge and hands out addresses.
    public enum Mode: Hashable, Sendable {
        /// libvirt: a network of this name, whose bridge is `NetworkSettings.bridge`.
        case libvirt(uri: String, network: String)
        /// An administrator's own bridge, on which dom0 has the subnet's first address, with a dnsmasq whose `dhcp-hostsfile` is
        /// `hostsFile` and whose process number is in `processFile`. Absolute paths.
        case bridge(hostsFile: String, processFile: String)
    }

    public var mode: Mode
    /// The bridge's interface name, at most 15 bytes.
    public var bridge: String
    /// The appliance has the subnet's first address.
    public var subnet: IPv4Subnet
    /// Whether the network leads to public addresses, for desktops to which the internet is opened. Switching it on for a running libvirt network needs a moment without desktops.
    public var internet: Bool
    /// The TCP ports of dom0 that the LAN may reach.
    public var services: [UInt16]
    /// The folder of `vif-punnet` and the guard's rules; absolute.
    public var guardFolder: String

    public init(
        mode: Mode = .libvirt(uri: "network:///system", network: "punnet"), bridge: String = "punnet0", subnet: IPv4Subnet,
        internet: Bool = false, services: [UInt16] = [443, 3389], guardFolder: String = "/usr/lib/punnet"
    ) {
        self.mode = mode
        self.bridge = bridge
        self.subnet = subnet
        self.internet = internet
        self.services = services
        self.guardFolder = guardFolder
    }

    /// The program that sets a desktop's port up.
    public var portScript: String { "\(guardFolder)/vif-punnet" }
}
