import Logging
import NIOCore
import NIOPosix
import Relay
import ServiceLifecycle

/// The RDP front door of the appliance: lets a connection with a good ticket through to its desktop, and nothing else.
///
/// One thread accepts and turns floods away, another carries all links, so that neither waits for the other. It needs no right and no file
/// but punnetd's socket. Links end with the process.
final class RelayDoor: Service {
    struct Configuration: Sendable {
        /// An IP address.
        var address = "0.0.0.0"
        /// 0 has the system choose one.
        var port = 3389
        var deskSocket = DeskProtocol.defaultSocketPath
        var limits = DoorLimits()
    }

    private let configuration: Configuration
    private let logger: Logger
    private let acceptor: MultiThreadedEventLoopGroup
    private let carrier: MultiThreadedEventLoopGroup
    private let gate: SharedGate
    private let book: IncidentBook
    private let onListening: @Sendable (SocketAddress) async -> Void

    /// A door that is closed until it runs. `onListening` is told the address once connections are accepted there.
    init(configuration: Configuration, logger: Logger, onListening: @escaping @Sendable (SocketAddress) async -> Void = { _ in }) {
        self.configuration = configuration
        self.logger = logger
        self.onListening = onListening
        acceptor = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        carrier = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        gate = SharedGate(limits: configuration.limits)
        book = IncidentBook(logger: logger, interval: configuration.limits.logInterval, loop: carrier.any())
    }

    /// How often connections were closed without a desktop, by cause.
    var incidents: [DoorIncident: Int] { book.counts }

    /// Connections in all, and those among them that wait for admission.
    var load: (connections: Int, waiting: Int) { gate.load }

    /// Works until the task is cancelled or a graceful shutdown begins; then every link is closed. It runs once.
    func run() async throws {
        do {
            try await work()
        } catch {
            try await end()
            throw error
        }
        try await end()
    }

    private func end() async throws {
        try await acceptor.shutdownGracefully()
        try await carrier.shutdownGracefully()
    }

    private func work() async throws {
        let loop = carrier.any()
        let (configuration, gate, book, logger) = (configuration, gate, book, logger)
        let table = try await loop.submit {
            let table = LinkTable(
                loop: loop, limits: configuration.limits, gate: gate, book: book, deskSocket: configuration.deskSocket, logger: logger)
            table.start()
            return NIOLoopBound(table, eventLoop: loop)
        }.get()
        let listener: any Channel
        do {
            listener = try await listen(table)
        } catch {
            try await loop.flatSubmit { table.value.stop() }.get()
            throw RelayError.cannotListen(address: "\(configuration.address):\(configuration.port)", reason: "\(error)")
        }
        if let address = listener.localAddress {
            logger.notice("listening for seats", metadata: ["address": "\(address.ipAddress ?? "")", "port": "\(address.port ?? 0)"])
            await onListening(address)
        }
        await cancelWhenGracefulShutdown {
            await withTaskCancellationHandler {
                try? await listener.closeFuture.get()
            } onCancel: {
                listener.close(promise: nil)
            }
        }
        try await loop.flatSubmit { table.value.stop() }.get()
        logger.notice(
            "stopped", metadata: Dictionary(uniqueKeysWithValues: incidents.map { ($0.key.rawValue, "\($0.value)") }))
    }

    private func listen(_ table: NIOLoopBound<LinkTable>) async throws -> any Channel {
        let (gate, book, logger) = (gate, book, logger)
        return try await ServerBootstrap(group: acceptor, childGroup: carrier)
            .serverChannelOption(ChannelOptions.backlog, value: 256)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPause(logger: logger))
                    try channel.pipeline.syncOperations.addHandler(Doorkeeper(gate: gate, book: book))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let source = SourceAddress(channel.remoteAddress) else { throw ChannelError.ioOnClosedChannel }
                    try table.value.take(channel, from: source)
                }
            }
            .bind(host: configuration.address, port: configuration.port)
            .get()
    }
}

/// Turns connections away before anything is set up for them.
private final class Doorkeeper: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    private let gate: SharedGate
    private let book: IncidentBook

    init(gate: SharedGate, book: IncidentBook) {
        self.gate = gate
        self.book = book
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let connection = unwrapInboundIn(data)
        guard let source = SourceAddress(connection.remoteAddress) else { return connection.close(promise: nil) }
        switch gate.arrive(from: source) {
        case .enter: context.fireChannelRead(data)
        case .flood: turnAway(connection, source, .flood)
        case .full: turnAway(connection, source, .full)
        }
    }

    private func turnAway(_ connection: any Channel, _ source: SourceAddress, _ incident: DoorIncident) {
        book.write(incident, from: source.text)
        connection.close(promise: nil)
    }
}

/// Lets the listener rest for a moment when the system has no room for another connection.
private final class AcceptPause: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    private let logger: Logger
    private var resting: Scheduled<Void>?
    private var wantsToRead = false

    init(logger: Logger) { self.logger = logger }

    func read(context: ChannelHandlerContext) {
        guard resting == nil else {
            wantsToRead = true
            return
        }
        context.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        guard resting == nil else { return }
        logger.error("the system has no room for another connection", metadata: ["reason": "\(error)"])
        resting = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) {
            self.resting = nil
            if self.wantsToRead {
                self.wantsToRead = false
                context.read()
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        resting?.cancel()
        context.fireChannelInactive()
    }
}
