import Glibc
import Hypervisor
import Logging

/// The nftables rules that keep desktops from each other, from dom0 and from the LAN, and the LAN from all but the services.
///
/// They live in tables of their own, outlive the process, and are loaded as one transaction: there is no moment without them. Loading them anew
/// leaves the internet open to whom it was.
struct NetworkGuard: Sendable {
    let settings: NetworkSettings
    let logger: Logger

    /// Every network that is not the internet.
    private static let privateNetworks = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
    ]

    /// Loads the rules, or loads them anew, and binds again every port that is on the bridge.
    func load() async throws(HypervisorError) {
        try await Program.run("nft", ["-f", "-"], input: try rules())
        for port in try ports() { try await rebind(port) }
    }

    /// Opens the internet to these addresses and to no others, in one transaction; to nobody where the network does not lead there. The set of
    /// them may come before the rules that ask it.
    func openInternet(to addresses: [IPv4Address]) async throws(HypervisorError) {
        try await Program.run("nft", ["-f", "-"], input: opening(to: addresses))
    }

    /// What `nft -f` is given for that.
    func opening(to addresses: [IPv4Address]) -> String {
        let online = settings.internet ? addresses.sorted { $0.rawValue < $1.rawValue }.map(\.description) : []
        return """
            table inet punnet {
                set online {
                    type ipv4_addr
                }
            }
            flush set inet punnet online
            \(online.isEmpty ? "" : "add element inet punnet online { \(online.joined(separator: ", ")) }")

            """
    }

    /// What `nft -f` is given.
    func rules() throws(HypervisorError) -> String {
        let name = settings.bridge.utf8
        guard (1...15).contains(name.count), name.allSatisfy({ Self.isNameByte($0) }) else {
            throw .failed(
                call: "nft", code: 0, detail: "'\(settings.bridge)' is no bridge's name: 1 to 15 letters, digits, hyphens and dots")
        }
        guard !settings.services.isEmpty else { throw .failed(call: "nft", code: 0, detail: "the LAN needs at least one service's port") }
        let folder = settings.guardFolder
        return """
            define desktops_bridge = "\(settings.bridge)"
            define desktops_subnet = \(settings.subnet)
            define gateway = \(settings.subnet.gateway)
            define services = { \(settings.services.map(String.init).joined(separator: ", ")) }
            define private_networks = { \(Self.privateNetworks.joined(separator: ", ")) }
            include "\(folder)/guard.nft"
            include "\(folder)/\(settings.internet ? "guard-internet.nft" : "guard-closed.nft")"

            """
    }

    /// The domains' ports that are on the bridge now.
    func ports() throws(HypervisorError) -> [String] {
        do throws(HypervisorError) {
            return try DiskFiles.names(in: "/sys/class/net/\(settings.bridge)/brif").filter { Self.address(of: $0) != nil }
        } catch {
            // There is no bridge yet.
            if case .missingFile = error { return [] }
            throw error
        }
    }

    /// Binds a port to its card as when it came: someone may have flushed all rules since.
    private func rebind(_ port: String) async throws(HypervisorError) {
        guard let address = Self.address(of: port) else { return }
        do throws(HypervisorError) {
            try await Program.run(
                "sh", [settings.portScript, "online", "type_if=vif"],
                environment: ["vif": port, "XENBUS_PATH": "backend/vif/\(address.domain)/\(address.device)", "XENBUS_TYPE": "vif"])
        } catch {
            // It stays dropped, which is safe. Its domain may be going just now.
            logger.warning("port not bound again", metadata: ["port": "\(port)", "error": "\(error)"])
        }
    }

    /// Reads `vif<domain>.<device>`.
    static func address(of port: String) -> (domain: Int, device: Int)? {
        guard port.hasPrefix("vif") else { return nil }
        let parts = port.dropFirst(3).split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let domain = Int(parts[0]), let device = Int(parts[1]), domain > 0, device >= 0 else { return nil }
        return (domain, device)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
        default: false
        }
    }
}

/// A bridge of dom0 as the kernel has it now.
enum BridgeState {
    /// Whether an interface of this name is a bridge, up, and has this address.
    static func isUp(_ bridge: String, with address: IPv4Address) -> Bool {
        access("/sys/class/net/\(bridge)/bridge", F_OK) == 0 && addresses(of: bridge).contains(address)
    }

    /// The IPv4 addresses of an interface that is up.
    static func addresses(of interface: String) -> [IPv4Address] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        var found: [IPv4Address] = []
        var next = first
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET), entry.ifa_flags & UInt32(IFF_UP) != 0,
                String(cString: entry.ifa_name) == interface
            else { continue }
            let raw = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
            found.append(IPv4Address(rawValue: UInt32(bigEndian: raw)))
        }
        return found
    }
}
