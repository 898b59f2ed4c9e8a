import Glibc

/// The IPv4 addresses by which this server is reached, but not those of loopback and of the desktops' bridge.
func serverAddresses(without bridge: String) -> [String] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var addresses: [String] = []
    for interface in sequence(first: first, next: { $0?.pointee.ifa_next }).prefix(while: { $0 != nil }).compactMap({ $0?.pointee }) {
        guard let address = interface.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else { continue }
        guard interface.ifa_flags & UInt32(IFF_LOOPBACK) == 0, String(cString: interface.ifa_name) != bridge else { continue }
        let number = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt32(bigEndian: $0.pointee.sin_addr.s_addr) }
        addresses.append([24, 16, 8, 0].map { String(number >> $0 & 0xff) }.joined(separator: "."))
    }
    return addresses
}
