import DesktopModel
import Hypervisor
import Testing

@Suite struct AddressTests {
    @Test(arguments: ["0.0.0.0", "10.88.0.1", "255.255.255.255"])
    func anAddressReadsAsItIsWritten(text: String) {
        #expect(IPv4Address(text)?.description == text)
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1..2.3", "1.2.3.4 ", "+1.2.3.4", "-1.2.3.4", "1.2.3.a"])
    func whatIsNoAddressIsNotRead(text: String) {
        #expect(IPv4Address(text) == nil)
    }

    @Test func aSubnetKnowsItsParts() throws {
        let subnet = try #require(IPv4Subnet("10.88.4.0/22"))
        #expect(subnet.description == "10.88.4.0/22")
        #expect(subnet.netmask == IPv4Address("255.255.252.0"))
        #expect(subnet.gateway == IPv4Address("10.88.4.1"))
        #expect(subnet.address(1_023) == IPv4Address("10.88.7.255"))
        #expect(subnet.count == 1_024)
    }

    @Test(arguments: [("10.0.0.0/8", true), ("192.0.2.4/30", true), ("0.0.0.0/7", false), ("192.0.2.4/31", false)])
    func aSubnetHas8To30NetworkBits(text: String, possible: Bool) {
        #expect((IPv4Subnet(text) != nil) == possible)
    }

    @Test(arguments: ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/24/1", "10.0.0.0/x", "/24", "10.0.0.0/", "10.0.0/24"])
    func whatIsNoSubnetIsNotRead(text: String) {
        #expect(IPv4Subnet(text) == nil)
    }

    @Test func aPlanGivesEveryPlaceItsOwnAddressesAndNoneBeyondTheLast() throws {
        for text in ["10.88.0.0/24", "10.88.0.0/20", "10.88.0.0/28"] {
            let plan = AddressPlan(subnet: try #require(IPv4Subnet(text)))
            let all = (1...plan.places).compactMap { plan.addresses(of: Place(rawValue: $0)) }
            #expect(all.count == plan.places)
            #expect(Set(all.map(\.mac)).count == plan.places)
            #expect(Set(all.map(\.address)).count == plan.places)
            #expect(!all.contains { $0.address == plan.subnet.gateway || $0.address == plan.subnet.base })
            let broadcast = plan.subnet.base.rawValue + UInt32(plan.subnet.count) - 1
            #expect(all.allSatisfy { $0.address.rawValue < broadcast })
            #expect(plan.addresses(of: Place(rawValue: 0)) == nil)
            #expect(plan.addresses(of: Place(rawValue: plan.places + 1)) == nil)
        }
    }

    @Test func aPlansFirstPlaceIsTheEleventhAddress() throws {
        let plan = AddressPlan(subnet: try #require(IPv4Subnet("10.88.0.0/16")))
        #expect(plan.places == 1_000)
        let first = try #require(plan.addresses(of: Place(rawValue: 1)))
        #expect(first.address == IPv4Address("10.88.0.11"))
        #expect(first.mac.description == "00:16:3e:50:00:01")
        let last = try #require(plan.addresses(of: Place(rawValue: 1_000)))
        #expect(last.address == IPv4Address("10.88.3.242"))
        #expect(last.mac.description == "00:16:3e:50:03:e8")
    }

    @Test func aNetworkTooSmallForDesktopsHasNoPlaces() throws {
        let plan = AddressPlan(subnet: try #require(IPv4Subnet("192.0.2.0/30")))
        #expect(plan.places == 0)
        #expect(plan.addresses(of: Place(rawValue: 1)) == nil)
    }
}
