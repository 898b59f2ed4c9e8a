import DesktopModel
import Hypervisor
import Libvirt
import Testing

@testable import XenHypervisor

struct NetworkTests {
    private let subnet = IPv4Subnet("10.88.0.0/24")!  // the text is a network

    @Test func everyPlaceHasAReservationInLibvirtsNetwork() throws {
        let network = LibvirtNetwork(NetworkSettings(subnet: subnet), logger: quiet)
        let definition = network.definition
        #expect(definition.reservations.count == network.places)
        #expect(definition.reservations.first == .init(mac: "00:16:3e:50:00:01", address: "10.88.0.11", hostName: "desktop-1"))
        #expect(Set(definition.reservations.map(\.address)).count == network.places)
        let connection = try LibvirtConnection("test:///default")
        let defined = try connection.define(definition)
        defer { try? defined.undefine() }
        #expect(try defined.bears(mark: definition.mark, whenNextStarted: false))
    }

    @Test func theMarkChangesWithWhatTheNetworkIs() {
        var settings = NetworkSettings(subnet: subnet)
        let mark = LibvirtNetwork(settings, logger: quiet).definition.mark
        #expect(LibvirtNetwork(settings, logger: quiet).definition.mark == mark)
        settings.internet = true
        #expect(LibvirtNetwork(settings, logger: quiet).definition.mark != mark)
        settings.internet = false
        settings.subnet = IPv4Subnet("10.88.0.0/25")!  // the text is a network
        #expect(LibvirtNetwork(settings, logger: quiet).definition.mark != mark)
    }

    @Test func theHostsFileHasALineForEveryPlace() {
        let subnet = IPv4Subnet("10.9.0.0/28")!  // the text is a network
        let settings = NetworkSettings(mode: .bridge(hostsFile: "/h", processFile: "/p"), subnet: subnet)
        let network = BridgeNetwork(settings, logger: quiet)
        #expect(network.places == 4)
        let lines = network.hosts.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines.first == "00:16:3e:50:00:01,10.9.0.11,desktop-1,infinite")
        #expect(lines.last == "00:16:3e:50:00:04,10.9.0.14,desktop-4,infinite")
    }

    @Test func theGuardIsLoadedWithTheNetworksOwnValues() throws {
        var settings = NetworkSettings(subnet: subnet)
        let closed = try NetworkGuard(settings: settings, logger: quiet).rules()
        #expect(closed.contains("define desktops_bridge = \"punnet0\"\n"))
        #expect(closed.contains("define desktops_subnet = 10.88.0.0/24\n"))
        #expect(closed.contains("define gateway = 10.88.0.1\n"))
        #expect(closed.contains("define services = { 443, 3389 }\n"))
        #expect(closed.contains("guard-closed.nft") && !closed.contains("guard-internet.nft"))
        settings.internet = true
        let open = try NetworkGuard(settings: settings, logger: quiet).rules()
        #expect(open.contains("guard-internet.nft") && !open.contains("guard-closed.nft"))
    }

    @Test func theInternetIsOpenedToAddressesOnlyWhereTheNetworkLeadsThere() {
        let addresses = [12, 11].map { subnet.address($0) }
        let open = NetworkGuard(settings: NetworkSettings(subnet: subnet, internet: true), logger: quiet)
        #expect(open.opening(to: addresses).hasSuffix("flush set inet punnet online\nadd element inet punnet online { 10.88.0.11, 10.88.0.12 }\n"))
        #expect(open.opening(to: []).hasSuffix("flush set inet punnet online\n\n"))
        let closed = NetworkGuard(settings: NetworkSettings(subnet: subnet), logger: quiet)
        #expect(closed.opening(to: addresses) == open.opening(to: []))
    }

    /// The rules as they are, tried by desktops that are network namespaces.
    @Test(.enabled(if: GuardTrial.canRun, "it needs root, and nft of the package nftables"), .timeLimit(.minutes(5)))
    func desktopsReachTheInternetAsTheirLabSaysAndNothingElse() async throws {
        let outcome = try await GuardTrial.run(subnet)
        #expect(outcome.facts.count > 50)
        for fact in outcome.facts { #expect(fact.hasPrefix("ok "), "\(fact)") }
        #expect(outcome.succeeded, "\(outcome.errors)")
    }

    @Test(arguments: ["", "a\" accept #", "a;b", "sixteen-bytes-xx", "a b", "a\nb"])
    func aBridgeNameThatCouldWriteRulesIsRefused(name: String) {
        let settings = NetworkSettings(bridge: name, subnet: subnet)
        #expect(throws: HypervisorError.self) { try NetworkGuard(settings: settings, logger: quiet).rules() }
    }

    @Test(arguments: [("vif3.0", 3, 0), ("vif12.1", 12, 1)]) func aDomainsPortIsRead(name: String, domain: Int, device: Int) {
        let address = NetworkGuard.address(of: name)
        #expect(address?.domain == domain && address?.device == device)
    }

    @Test(arguments: ["eth0", "vif", "vif3", "vif0.0", "vif3.0-emu", "vif-1.0", "vnet3.0"]) func whatIsNoDomainsPortIsNot(name: String) {
        #expect(NetworkGuard.address(of: name) == nil)
    }

    @Test func anInterfacesAddressesAreTheKernels() {
        #expect(BridgeState.addresses(of: "lo").contains(IPv4Address(rawValue: 0x7f00_0001)))
        #expect(BridgeState.addresses(of: "nosuch0").isEmpty)
        #expect(!BridgeState.isUp("lo", with: IPv4Address(rawValue: 0x7f00_0001)), "lo is no bridge")
    }
}
