import ArgumentParser
import Glibc
import Logging
import NIOCore
import Relay
import SystemdNotify

/// The relay as a process of its own: no rights, no Xen, outlives a restart of punnetd.
@main
struct PunnetRelay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "punnet-relay",
        abstract: "Lets seats with a ticket through to their desktops.",
        discussion: """
            It asks punnetd, over a Unix socket, which ticket is good. Running connections go on while punnetd is away; they end when the \
            relay is stopped. Each option may also be given in the environment: PUNNET_RELAY_LISTEN, PUNNET_RELAY_DESK and \
            PUNNET_RELAY_LOG_LEVEL.
            """)

    @Option(help: "The IP address and TCP port at which seats connect, as in 192.0.2.1:3389 or [2001:db8::1]:3389. (default: 0.0.0.0:3389)")
    var listen: ListenAddress?

    @Option(help: "The path of punnetd's Unix socket. (default: \(DeskProtocol.defaultSocketPath))")
    var desk: String?

    @Option(help: "The least important messages that are logged. (default: info)")
    var logLevel: LogLevel?

    func run() throws {
        let logger = try configuredLogger()
        let listen = try listen ?? fromEnvironment("PUNNET_RELAY_LISTEN") ?? ListenAddress(host: "0.0.0.0", port: 3389)
        let address = try SocketAddress(ipAddress: listen.host, port: listen.port)
        var door = RelayDoor.Configuration(address: address)
        door.deskSocket = try desk ?? fromEnvironment("PUNNET_RELAY_DESK") ?? DeskProtocol.defaultSocketPath
        makeFit(&door.limits, logger: logger)

        // Blocked before there is another thread, so that no thread takes them but this one, when it asks.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)

        let systemd = SystemdNotifier()
        let relay = RelayDoor(configuration: door, logger: logger)
        _ = try relay.start {
            // systemd starts the relay again; a door at which nobody can knock is of no use.
            logger.critical("the listener has ended on its own")
            Glibc.exit(1)
        }.wait()
        systemd.ready()
        var signal: Int32 = 0
        while sigwait(&signals, &signal) != 0 {}
        systemd.stopping()
        try relay.stop().wait()
    }

    private func configuredLogger() throws -> Logger {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "punnet-relay")
        logger.logLevel = try (logLevel ?? fromEnvironment("PUNNET_RELAY_LOG_LEVEL"))?.level ?? .info
        return logger
    }

    /// Raises the limit of open files as far as it may be raised, and lets in no more than fit: a link takes two, a connection that waits one.
    private func makeFit(_ limits: inout DoorLimits, logger: Logger) {
        var files = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 else { return }
        let needed = rlim_t(limits.links * 2 + limits.waiting + 64)
        if files.rlim_cur < needed {
            files.rlim_cur = min(needed, files.rlim_max)
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        }
        guard files.rlim_cur < needed else { return }
        let free = max(Int(files.rlim_cur) - 32, 0)
        limits.links = min(limits.links, max(free / 4, 4))
        limits.waiting = min(limits.waiting, max(free - limits.links * 2, 8))
        logger.warning(
            "the limit of open files is low; raise it (LimitNOFILE)",
            metadata: ["limit": "\(files.rlim_cur)", "needed": "\(needed)", "links": "\(limits.links)", "waiting": "\(limits.waiting)"])
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

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// How important a message must be to be logged, read from its name.
struct LogLevel: ExpressibleByArgument {
    let level: Logger.Level

    init?(argument: String) {
        guard let level = Logger.Level(rawValue: argument) else { return nil }
        self.level = level
    }

    static var allValueStrings: [String] { Logger.Level.allCases.map(\.rawValue) }
}

/// An option's value as the environment gives it, nil where it does not.
private func fromEnvironment<Value: ExpressibleByArgument>(_ name: String) throws -> Value? {
    guard let text = getenv(name).map({ String(cString: $0) }) else { return nil }
    guard let value = Value(argument: text) else {
        throw ValidationError("'\(text)' in the environment variable \(name) is not what it should be: see punnet-relay --help.")
    }
    return value
}
