import Testing

@testable import Libvirt

/// On libvirt's own test driver, which keeps networks in this process and needs no daemon.
struct VirtualNetworkTests {
    private let connection: LibvirtConnection

    init() throws { connection = try LibvirtConnection("test:///default") }

    private func definition(
        _ name: String, places: Int = 3, mark: String = "first", reach: NetworkDefinition.Reach = .isolated
    ) -> NetworkDefinition {
        NetworkDefinition(
            name: name, bridge: "pt-\(name)", gateway: "10.88.0.1", netmask: "255.255.255.0", reach: reach, namesAreServed: reach == .open,
            reservations: (1...places).map {
                .init(mac: "00:16:3e:50:00:0\($0)", address: "10.88.0.1\($0)", hostName: "desktop-\($0)")
            }, mark: mark)
    }

    @Test func aDefinedNetworkKeepsEveryReservationAndItsMark() throws {
        let network = try connection.define(definition("reserve"))
        defer { try? network.undefine() }
        let text = try network.description(whenNextStarted: false)
        for place in 1...3 {
            #expect(text.contains("<host mac='00:16:3e:50:00:0\(place)' name='desktop-\(place)' ip='10.88.0.1\(place)'>"))
        }
        #expect(text.components(of: "<lease expiry='0'").count == 4)
        #expect(text.contains("<dns enable='no'/>"))
        #expect(!text.contains("<forward"))
        #expect(try network.bears(mark: "first", whenNextStarted: false))
        #expect(try !network.bears(mark: "second", whenNextStarted: false))
        #expect(try network.bridge == "pt-reserve")
    }

    @Test func aNetworkIsStartedAndStopped() throws {
        let network = try connection.define(definition("startstop"))
        defer { try? network.undefine() }
        #expect(try !network.isActive)
        try network.start()
        #expect(try network.isActive)
        #expect(try network.bears(mark: "first", whenNextStarted: false))
        let error = try #require(throws: LibvirtError.self) { try network.start() }
        #expect(error.cause == .invalidOperation)
        #expect(error.call == "virNetworkCreate")
        try network.stop()
        #expect(try !network.isActive)
    }

    @Test func aRunningNetworkRunsOnWhenItsDefinitionChanges() throws {
        let network = try connection.define(definition("change"))
        try network.start()
        defer {
            try? network.stop()
            try? network.undefine()
        }
        let changed = try connection.define(definition("change", mark: "second", reach: .open))
        #expect(try changed.uuid == network.uuid)
        #expect(try changed.isActive)
    }

    @Test func anOpenNetworkIsRoutedAndServesNames() throws {
        let network = try connection.define(definition("open", reach: .open))
        defer { try? network.undefine() }
        let text = try network.description(whenNextStarted: false)
        #expect(text.contains("<forward mode='open'/>"))
        #expect(text.contains("<dns enable='yes'/>") || !text.contains("<dns enable='no'/>"))
    }

    @Test func aNetworkThatIsNotThereIsNil() throws {
        #expect(try connection.network(named: "nobody's") == nil)
    }

    @Test func namesCannotBreakOutOfTheDefinition() throws {
        let network = try connection.define(definition("o", mark: "'/><evil x='\"&"))
        defer { try? network.undefine() }
        #expect(try network.description(whenNextStarted: false).contains("<evil") == false)
    }

    @Test func aDaemonThatIsAwayIsToldAsUnreachable() throws {
        let error = try #require(throws: LibvirtError.self) {
            try LibvirtConnection("network+unix:///system?socket=/nonexistent/libvirt-sock")
        }
        #expect(error.cause == .unreachable)
        #expect(error.message.contains("/nonexistent/libvirt-sock"))
    }
}

extension String {
    /// The parts between occurrences of the text.
    fileprivate func components(of text: String) -> [Substring] {
        var parts: [Substring] = []
        var rest = self[...]
        while let found = rest.firstRange(of: text) {
            parts.append(rest[..<found.lowerBound])
            rest = rest[found.upperBound...]
        }
        return parts + [rest]
    }
}
