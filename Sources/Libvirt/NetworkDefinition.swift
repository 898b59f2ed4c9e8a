/// A network of libvirt's: a bridge, and a DHCP server that gives every reserved card its address for ever and others none.
public struct NetworkDefinition: Hashable, Sendable {
    /// How far the network reaches beyond its bridge.
    public enum Reach: Hashable, Sendable {
        /// Nowhere: libvirt's own rules reject what would be routed, and no default route is given.
        case isolated
        /// Routed, without any rules of libvirt's: whoever uses it must bring rules.
        case open
    }

    /// One card's reserved address and the host name it learns.
    public struct Reservation: Hashable, Sendable {
        public let mac: String
        public let address: String
        public let hostName: String
        public init(mac: String, address: String, hostName: String) {
            self.mac = mac
            self.address = address
            self.hostName = hostName
        }

        /// As it stands in a definition; the lease never expires.
        var xml: String {
            """
                  <host mac='\(xmlEscaped(mac))' name='\(xmlEscaped(hostName))' ip='\(xmlEscaped(address))'>
                    <lease expiry='0'/>
                  </host>
            """
        }
    }

    public let name: String
    public let bridge: String
    /// dom0's address on the bridge, and the gateway that is given where the network is open.
    public let gateway: String
    public let netmask: String
    public let reach: Reach
    /// Whether a DNS forwarder answers on the gateway.
    public let namesAreServed: Bool
    public let reservations: [Reservation]
    /// Kept in the definition, as it was given: by it a caller knows its own definition again.
    public let mark: String

    public init(
        name: String, bridge: String, gateway: String, netmask: String, reach: Reach, namesAreServed: Bool, reservations: [Reservation],
        mark: String
    ) {
        self.name = name
        self.bridge = bridge
        self.gateway = gateway
        self.netmask = netmask
        self.reach = reach
        self.namesAreServed = namesAreServed
        self.reservations = reservations
        self.mark = mark
    }

    /// What libvirt is given; with the UUID of the network that is to be changed.
    func xml(uuid: String?) -> String {
        return """
            <network>
              <name>\(xmlEscaped(name))</name>
            \(uuid.map { "  <uuid>\($0)</uuid>\n" } ?? "")  <metadata>
                <punnet:network xmlns:punnet='urn:punnet:network' mark='\(xmlEscaped(mark))'/>
              </metadata>
            \(reach == .open ? "  <forward mode='open'/>\n" : "")  <bridge name='\(xmlEscaped(bridge))' stp='off' delay='0'/>
              <dns enable='\(namesAreServed ? "yes" : "no")'/>
              <ip address='\(xmlEscaped(gateway))' netmask='\(xmlEscaped(netmask))'>
                <dhcp>
            \(reservations.map(\.xml).joined(separator: "\n"))
                </dhcp>
              </ip>
            </network>
            """
    }
}
