import Broker
import ControlPanel
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Identity
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import ServiceLifecycle

/// What seats, browsers and administrators speak to: HTTPS for seats and for the panel, a Unix socket for `punnet` on the appliance.
///
/// While nobody asks, it causes no wake-up: the only timers are those of open connections. It ends with its service group: streams and
/// waiting answers are ended, requests that are being answered are answered, and the socket's file is removed.
public struct ControlServer: Service {
    /// What the server must be told; nothing here changes while it runs.
    public struct Configuration: Sendable {
        /// The address on which seats are served, `0.0.0.0` for every IPv4 address of the appliance.
        public var host: String
        /// The TCP port on which seats are served; 0 takes a free one, which the line to type on a seat then does not know.
        public var port: Int
        /// The appliance's certificate and its chain, as PEM.
        public var certificatePEM: String
        /// The private key of the certificate, as PEM. Never logged.
        public var privateKeyPEM: String
        /// The Unix socket for administrators. Its folder must exist.
        public var socketPath: String
        /// The group whose members may administer, beside root; it need not exist.
        public var administratorsGroup: String
        /// SHA-256 of the certificate's public key, as curl writes it: `sha256//` and base64.
        public var pin: String
        /// SHA-256 of the certificate, 32 bytes.
        public var fingerprint: [UInt8]
        /// Where a certificate is kept that an administrator brings. The folder must exist.
        public var identityFolder: String
        /// The appliance's addresses as a seat reaches it, the best first.
        public var addresses: [String]
        /// The relay's TCP port, which a lease names.
        public var relayPort: Int
        /// The folder of the image that came with the server, which the panel's first start takes in. It need not exist.
        public var shippedImage: String
        /// How long it takes until somebody who has guessed five times wrong may guess once more.
        public var guessPause = Duration.seconds(12)
        /// The most connections of seats at a time, in all and from one address; more are closed at once.
        public var connectionLimit: Int
        public var connectionLimitPerAddress: Int

        public init(
            host: String = "0.0.0.0", port: Int = 443, certificatePEM: String, privateKeyPEM: String,
            socketPath: String = "/run/punnet/control.sock", administratorsGroup: String = "punnet-admin", pin: String, fingerprint: [UInt8],
            identityFolder: String, addresses: [String], relayPort: Int = 3389, shippedImage: String = "/usr/share/punnet/images/debian-desktop", connectionLimit: Int = 1024, connectionLimitPerAddress: Int = 32
        ) {
            self.host = host
            self.port = port
            self.certificatePEM = certificatePEM
            self.privateKeyPEM = privateKeyPEM
            self.socketPath = socketPath
            self.administratorsGroup = administratorsGroup
            self.pin = pin
            self.fingerprint = fingerprint
            self.identityFolder = identityFolder
            self.addresses = addresses
            self.relayPort = relayPort
            self.shippedImage = shippedImage
            self.connectionLimit = connectionLimit
            self.connectionLimitPerAddress = connectionLimitPerAddress
        }
    }

    private let configuration: Configuration
    private let logger: Logger
    private let operations: Operations
    private let seats: Listener
    private let administrators: Listener

    /// - Parameters:
    ///   - onListening: Called once, when both listeners stand; it is given the TCP port.
    /// - Throws: ``ControlServerError`` where certificate and key are not a usable pair.
    public init(
        configuration: Configuration, broker: SessionBroker, seats registry: SeatRegistry, administration: Administration, people: PeopleRegistry, pages: Pages,
        logger: Logger, onListening: @escaping @Sendable (_ port: Int) async -> Void = { _ in }
    ) throws {
        self.configuration = configuration
        self.logger = logger
        operations = Operations(logger: logger) { Task { await administration.tellOfChange() } }
        let bothStand = Gathering(of: 2, then: onListening)

        let joins = SeatJoins(registry, key: configuration.pin) { await administration.tellOfChange() }
        let guesses = Attempts.Allowance(burst: 5, refill: configuration.guessPause)
        var seatRoutes = SeatRoutes(broker: broker, seats: registry, joins: joins, relayPort: configuration.relayPort)
        seatRoutes.attempts = Attempts(perAddress: guesses)
        let gate = ConnectionGate(limit: configuration.connectionLimit, limitPerAddress: configuration.connectionLimitPerAddress)
        let enrolment = Enrolment(pin: configuration.pin, addresses: configuration.addresses, port: configuration.port)
        let browserCertificate = BrowserCertificate(folder: configuration.identityFolder, logger: logger)
        let adminRoutes = AdminRoutes(
            administration: administration, seats: registry, joins: joins, operations: operations,
            enrolment: enrolment, people: people, certificate: browserCertificate)
        var panelRoutes = PanelRoutes(
            pages: pages, administration: administration, seats: registry, joins: joins, people: people, operations: operations, enrolment: enrolment,
            interface: OpenAPI.operations(of: adminRoutes.routes(of: ProgramContext.self)), shippedImage: configuration.shippedImage,
            certificate: browserCertificate, certificateFingerprint: Hex.text(of: configuration.fingerprint, separator: ":"))
        panelRoutes.attempts = Attempts(perAddress: guesses, inAll: nil)
        let forSeats = edge(seatRoutes.responder(), headers: .forSeats, logger: logger)
        let forBrowsers = edge(panelRoutes.responder(), headers: .forBrowsers, logger: logger)
        let forPrograms = edge(adminRoutes.responderForPrograms(), headers: .forSeats, logger: logger)
        let tls = try TLSConfiguration.server(certificatePEM: configuration.certificatePEM, privateKeyPEM: configuration.privateKeyPEM, browsers: browserCertificate)
        seats = Listener(
            name: "https", address: .hostname(configuration.host, port: configuration.port), logger: logger,
            channel: { responder in
                try SeatChannel(TLSChannel(HTTP1Channel(responder: responder, limits: .seats), tlsConfiguration: tls), gate: gate)
            },
            responder: { request, writer, channel in
                let answer = SeatRoutes.serves(request) ? forSeats : request.uri.path.hasPrefix("/api/") ? forPrograms : forBrowsers
                try await answer(request, writer, channel)
            },
            onListening: { port in await bothStand.arrived(port: port) })

        let refusal = edge(refusing(.notPermitted(group: configuration.administratorsGroup)), headers: .forAdministrators, logger: logger)
        administrators = Listener(
            name: "control socket", socket: UnixSocketFile(path: configuration.socketPath, group: configuration.administratorsGroup),
            logger: logger,
            channel: { [group = configuration.administratorsGroup] responder in
                AdminChannel(
                    permitted: HTTP1Channel(responder: responder, limits: .administrators),
                    refused: HTTP1Channel(responder: refusal, limits: .administrators), group: group, logger: logger)
            },
            responder: edge(adminRoutes.responder(), headers: .forAdministrators, logger: logger),
            onListening: { _ in await bothStand.arrived(port: nil) })
    }

    /// Serves until the service group stops it.
    /// - Throws: ``ControlServerError`` where an address or the socket cannot be had.
    public func run() async throws {
        let group = ServiceGroup(configuration: .init(services: [administrators, seats], logger: logger.quiet))
        do {
            try await withGracefulShutdownHandler {
                try await group.run()
            } onGracefulShutdown: {
                operations.stop()
            }
        } catch {
            operations.stop()
            await operations.ended()
            throw error
        }
        operations.stop()
        await operations.ended()
    }
}

/// Why the control server cannot serve.
public enum ControlServerError: Error, CustomStringConvertible {
    /// The certificate or its key cannot be read, or they do not belong together.
    case certificate(reason: String)
    case cannotListen(on: String, reason: String)
    /// Another process answers on the socket.
    case socketInUse(path: String)
    /// A file that is no socket stands where the socket should be.
    case notASocket(path: String)
    case socketPathTooLong(path: String, limit: Int)

    public var description: String {
        switch self {
        case .certificate(let reason):
            "the appliance's certificate or key cannot be used: \(reason); remove both, and punnetd makes new ones"
        case .cannotListen(let address, let reason):
            "cannot listen on \(address): \(reason); free the address or configure another"
        case .socketInUse(let path):
            "another process serves on \(path): is punnetd running already? 'systemctl status punnetd' tells"
        case .notASocket(let path):
            "\(path) exists and is no socket: move it away, or configure another path for the control socket"
        case .socketPathTooLong(let path, let limit):
            "the control socket's path '\(path)' has more than \(limit) bytes: configure a shorter one"
        }
    }
}

/// Calls `then` once, when `of` parties have arrived; it is given the port that one of them brings.
private actor Gathering {
    private var missing: Int
    private var port: Int?
    private let then: @Sendable (Int) async -> Void

    init(of count: Int, then: @escaping @Sendable (Int) async -> Void) {
        missing = count
        self.then = then
    }

    func arrived(port arrival: Int?) async {
        missing -= 1
        port = port ?? arrival
        if missing == 0 { await then(port ?? 0) }
    }
}

extension TLSConfiguration {
    fileprivate static func server(
        certificatePEM: String, privateKeyPEM: String, browsers: BrowserCertificate
    ) throws(ControlServerError) -> TLSConfiguration {
        do {
            let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificatePEM.utf8))
            let key = try NIOSSLPrivateKey(bytes: Array(privateKeyPEM.utf8), format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            configuration.sslContextCallback = { values, promise in promise.succeed(browsers.shown(for: values.serverHostname)) }
            // A key that is not the certificate's is found here and not at the first handshake.
            _ = try NIOSSLContext(configuration: configuration)
            return configuration
        } catch {
            throw .certificate(reason: "\(error)")
        }
    }
}

extension Logger {
    /// For the frameworks beneath, whose everyday words are none of an administrator's business.
    var quiet: Logger {
        var logger = self
        logger.logLevel = max(logLevel, .warning)
        return logger
    }
}
