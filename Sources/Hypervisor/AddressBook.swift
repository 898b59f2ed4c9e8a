import DesktopModel

/// The desktops' network: which MAC and which address belong to which place, and who hands them out.
///
/// Calls may be made from any task and do not block its thread.
public protocol AddressBook: Sendable {
    /// Brings the network up with a reservation for every place, and the rules that keep desktops from each other and from dom0.
    ///
    /// May be called again: what is already right stays as it is, running desktops are not disturbed.
    func prepare() async throws(HypervisorError)
    /// Whether the network leads to the internet, for those to whom it is opened.
    var leadsToInternet: Bool { get }
    /// Opens the internet to the desktops at these places and to no others, at once and all together; connections of those that may reach it no
    /// more end. A network that does not lead there opens it to nobody.
    ///
    /// It stays so when the network is prepared again, and when the daemon is gone. May be called before the network is prepared; places that
    /// the network does not have are nobody's.
    func openInternet(to places: Set<Place>) async throws(HypervisorError)
    /// The addresses of a place; nil beyond the network's last.
    func addresses(of place: Place) -> PlaceAddresses?
    /// How many places the network has.
    var places: Int { get }
}

/// The MAC and the IPv4 address of one place.
public struct PlaceAddresses: Hashable, Sendable {
    public let mac: MACAddress
    public let address: IPv4Address
    public init(mac: MACAddress, address: IPv4Address) {
        self.mac = mac
        self.address = address
    }
}

/// A network card's address.
public struct MACAddress: Hashable, Sendable, CustomStringConvertible {
    /// Six bytes, in the order in which they are written.
    public let bytes: [UInt8]
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 6, "a MAC address has 6 bytes")
        self.bytes = bytes
    }

    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
    }
}

/// An IPv4 address.
public struct IPv4Address: Hashable, Sendable, CustomStringConvertible {
    /// In host order.
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Reads `a.b.c.d`, decimal without leading zeros; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard let byte = UInt8(part), String(byte) == part else { return nil }
            value = value << 8 | UInt32(byte)
        }
        rawValue = value
    }

    public var description: String {
        [24, 16, 8, 0].map { String(rawValue >> $0 & 0xff) }.joined(separator: ".")
    }
}

/// An IPv4 network, as `10.88.0.0/24`.
public struct IPv4Subnet: Hashable, Sendable, CustomStringConvertible {
    public let base: IPv4Address
    /// The number of network bits, 8 to 30.
    public let prefix: Int

    /// Reads `a.b.c.d/n` whose host bits are zero and whose `n` is 8 to 30; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let base = IPv4Address(String(parts[0])), let prefix = Int(parts[1]), (8...30).contains(prefix) else { return nil }
        self.base = base
        self.prefix = prefix
        guard base.rawValue & ~netmask.rawValue == 0 else { return nil }
    }

    public var netmask: IPv4Address { IPv4Address(rawValue: ~UInt32(0) << (32 - UInt32(prefix))) }
    /// The first address: the appliance's own.
    public var gateway: IPv4Address { IPv4Address(rawValue: base.rawValue + 1) }
    /// The address with this number within the network, 0 being the base.
    public func address(_ number: UInt32) -> IPv4Address { IPv4Address(rawValue: base.rawValue + number) }
    /// How many addresses it has, base and broadcast included.
    public var count: Int { 1 << (32 - prefix) }
    public var description: String { "\(base)/\(prefix)" }
}

/// The plain rule by which places get their addresses within a subnet: place n has address 10 + n and the MAC `00:16:3e` + n.
public struct AddressPlan: Hashable, Sendable {
    public let subnet: IPv4Subnet
    public init(subnet: IPv4Subnet) { self.subnet = subnet }

    /// Places 1 to this; bounded at 1,000.
    public var places: Int { max(0, min(1000, subnet.count - 12)) }

    public func addresses(of place: Place) -> PlaceAddresses? {
        guard (1...max(1, places)).contains(place.rawValue), places > 0 else { return nil }
        let number = UInt32(place.rawValue)
        let mac = MACAddress(bytes: [0x00, 0x16, 0x3e, 0x50, UInt8(number >> 8 & 0xff), UInt8(number & 0xff)])
        return PlaceAddresses(mac: mac, address: subnet.address(10 + number))
    }
}
