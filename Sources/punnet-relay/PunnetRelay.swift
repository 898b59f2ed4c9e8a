import ArgumentParser
import Glibc
import Logging
import NIOCore
import Relay
import ServiceLifecycle
import SystemdNotify

/// The relay as a process of its own: no rights, no Xen, outlives a restart of punnetd.
@main
struct PunnetRelay: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "punnet-relay",
        abstract: "Lets seats with a ticket through to their desktops.",
        discussion: """
            It asks punnetd, over a Unix socket, which ticket is good. Running connections go on while punnetd is away; they end when the \
            relay is stopped. Each option may also be given in the environment: PUNNET_RELAY_LISTEN, PUNNET_RELAY_DESK, PUNNET_RELAY_LOG_LEVEL.
            """)

    @Option(help: "The IP address and TCP port at which seats connect, as in 192.0.2.1:3389 or [2001:db8::1]:3389.")
    var listen: ListenAddress = .fromEnvironment("PUNNET_RELAY_LISTEN") ?? ListenAddress(host: "0.0.0.0", port: 3389)

    @Option(help: "The path of punnetd's Unix socket.")
    var desk: String = fromEnvironment("PUNNET_RELAY_DESK") ?? DeskProtocol.defaultSocketPath

    @Option(help: "The least important messages that are logged: \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).")
    var logLevel: Logger.Level = fromEnvironment("PUNNET_RELAY_LOG_LEVEL").flatMap(Logger.Level.init(rawValue:)) ?? .info

    func run() async throws {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "punnet-relay")
        logger.logLevel = logLevel
        let systemd = SystemdNotifier()
        var door = RelayDoor.Configuration(address: listen.host, port: listen.port, deskSocket: desk)
        door.limits.connections = connectionsThatFit(door.limits.connections)
        let relay = RelayDoor(configuration: door, logger: logger) { _ in systemd.ready() }
        try await ServiceGroup(
            configuration: .init(
                services: [.init(service: relay)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        ).run()
        systemd.stopping()
    }

    /// Raises the limit of open files as far as it may be raised; each connection takes two.
    private func connectionsThatFit(_ wanted: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return wanted }
        let needed = rlim_t(wanted * 2 + 64)
        if limit.rlim_cur < needed {
            limit.rlim_cur = min(needed, limit.rlim_max)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        return limit.rlim_cur >= needed ? wanted : max((Int(limit.rlim_cur) - 32) / 2, 8)
    }
}

/// An IP address and a port, read from text.
struct ListenAddress: ExpressibleByArgument, CustomStringConvertible {
    let host: String
    let port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `192.0.2.1:3389` and `[2001:db8::1]:3389`; nil for anything else.
    init?(argument: String) {
        guard let colon = argument.lastIndex(of: ":"), let port = UInt16(argument[argument.index(after: colon)...]) else { return nil }
        var host = argument[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard (try? SocketAddress(ipAddress: String(host), port: Int(port))) != nil else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    static func fromEnvironment(_ name: String) -> ListenAddress? {
        punnet_relay.fromEnvironment(name).flatMap(ListenAddress.init(argument:))
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

private func fromEnvironment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}
