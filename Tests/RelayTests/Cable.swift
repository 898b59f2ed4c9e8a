import Foundation
import NIOCore
import Testing

/// A network namespace, joined to this one by a pair of interfaces; the relay listens at this end of it.
struct Cable {
    let name: String
    let here: String
    let there: String

    static func lay() throws -> Cable {
        let number = Int.random(in: 1...0xffff)
        let net = "10.213.\(number >> 8)"
        let host = number & 0xfc
        let cable = Cable(name: "relay-\(String(number, radix: 16))", here: "\(net).\(host | 1)", there: "\(net).\(host | 2)")
        try run("ip netns add \(cable.name)")
        try run("ip link add \(cable.name) type veth peer name seat netns \(cable.name)")
        try run("ip addr add \(cable.here)/30 dev \(cable.name)")
        try run("ip link set \(cable.name) up")
        try run("ip -n \(cable.name) addr add \(cable.there)/30 dev seat")
        try run("ip -n \(cable.name) link set seat up")
        return cable
    }

    func pull() throws { try Cable.run("ip -n \(name) link set seat down") }

    func remove() {
        try? Cable.run("ip link del \(name)")
        try? Cable.run("ip netns del \(name)")
    }

    /// A seat that shows its ticket and then keeps the connection; the process that holds it.
    func seat(to address: SocketAddress, request: [UInt8]) throws -> Process {
        let octal = request.map { "\\" + String($0, radix: 8) }.joined()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "ip", "netns", "exec", name, "bash", "-c",
            "exec 3<>/dev/tcp/\(here)/\(address.port ?? 0); printf '\(octal)' >&3; exec cat <&3 >/dev/null",
        ]
        try process.run()
        return process
    }

    /// The command that runs another at the far end.
    var beyond: [String] { ["ip", "netns", "exec", name] }

    /// Lets connections that begin at the far end have only these ports.
    func setPorts(_ ports: ClosedRange<Int>) throws {
        try Cable.run(beyond + ["sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=\(ports.lowerBound) \(ports.upperBound)"])
    }

    private static func run(_ line: String) throws { try run(line.split(separator: " ").map(String.init)) }

    private static func run(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(arguments)")
    }
}
