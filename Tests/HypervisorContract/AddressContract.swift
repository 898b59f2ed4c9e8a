import DesktopModel
import Hypervisor

/// The desktops' network under test.
public protocol AddressRig: Sendable {
    var network: any AddressBook { get }
    /// Which it was made for.
    var subnet: IPv4Subnet { get }
    /// The same network as a daemon that is started anew has it.
    func connectAnew() async throws -> any AddressBook
    /// The addresses to which the internet is open, where the network leads there.
    func online() async throws -> Set<IPv4Address>
}

/// What `AddressBook` promises.
public enum AddressContract {
    public typealias Check = ContractCheck<any AddressRig>

    /// Asks the rig's network for one promise, which must hold.
    public static func keep(_ check: Check, on rig: any AddressRig) async throws { try await check.body(rig) }

    private static func all(_ network: any AddressBook) -> [PlaceAddresses?] {
        (0..<network.places).map { network.addresses(of: Place(rawValue: $0 + 1)) }
    }

    private static func expectOnline(_ places: Set<Place>, on rig: any AddressRig) async throws {
        let wanted = rig.network.leadsToInternet ? Set(places.compactMap { rig.network.addresses(of: $0)?.address }) : []
        let online = try await rig.online()
        try expect(online == wanted, "it is open to \(online), not to \(wanted)")
    }

    public static let checks: [Check] = [
        Check("every place has a MAC and an address of its own, within the network") { rig in
            let all = all(rig.network).compactMap(\.self)
            try expect(rig.network.places > 0 && all.count == rig.network.places, "\(all.count) of \(rig.network.places)")
            try expect(Set(all.map(\.mac)).count == all.count && Set(all.map(\.address)).count == all.count, "two have the same")
            let base = rig.subnet.base.rawValue
            let own = base + 2..<base + UInt32(rig.subnet.count) - 1
            try expect(all.allSatisfy { own.contains($0.address.rawValue) }, "one is no desktop's address")
            // Neither one that many cards listen to, nor one that a maker has given.
            try expect(
                all.allSatisfy { $0.mac.bytes[0] & 1 == 0 && $0.mac.bytes.starts(with: [0x00, 0x16, 0x3e]) }, "one is no MAC of Xen's")
        },
        Check("there is no address before the first place and beyond the last") { rig in
            for place in [Int.min, -1, 0, rig.network.places + 1, rig.network.places + 1_000, Int.max] {
                let found = rig.network.addresses(of: Place(rawValue: place))
                try expect(found == nil, "place \(place) has \(String(describing: found))")
            }
        },
        Check("a place keeps its addresses when the network is prepared again, and for who connects anew") { rig in
            let before = all(rig.network)
            try await rig.network.prepare()
            try await rig.network.prepare()
            try expect(all(rig.network) == before, "they are others")
            let anew = try await rig.connectAnew()
            try await anew.prepare()
            try expect(all(anew) == before && anew.places == rig.network.places, "they are others for who connects anew")
        },
        Check("the internet is open to whom was said last and to nobody else, where the network leads there") { rig in
            let places = Set((1...3).map(Place.init(rawValue:)))
            for wanted in [places, [Place(rawValue: 2)], [Place(rawValue: 3), Place(rawValue: rig.network.places + 1)], []] {
                try await rig.network.openInternet(to: wanted)
                try await expectOnline(wanted, on: rig)
            }
        },
        Check("it stays open to them when the network is prepared again, and for who connects anew") { rig in
            let wanted: Set = [Place(rawValue: 1), Place(rawValue: 3)]
            try await rig.network.openInternet(to: wanted)
            try await rig.network.prepare()
            try await expectOnline(wanted, on: rig)
            let anew = try await rig.connectAnew()
            try await anew.prepare()
            try await expectOnline(wanted, on: rig)
            try await anew.openInternet(to: [])
            try await expectOnline([], on: rig)
        },
        Check("a network may be prepared by many at once") { rig in
            for result in await atOnce(3, { _ in try await rig.network.prepare() }) { try result.get() }
        },
    ]
}
