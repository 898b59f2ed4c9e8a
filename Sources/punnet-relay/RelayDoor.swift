import Logging
import NIOCore
import NIOPosix
import Relay
import Synchronization

/// The RDP front door of the appliance: lets a connection with a good ticket through to its desktop, and nothing else.
///
/// One thread accepts and turns floods away, another carries all links, so that neither waits for the other. It needs no right and no file
/// but punnetd's socket. Links end with the process. Safe from any thread.
///
/// There is no Swift task in it: the executor of tasks wakes a process once a second on Linux, and the door sleeps while nothing happens.
final class RelayDoor: Sendable {
    struct Configuration: Sendable {
        /// Where seats connect; with port 0 the system chooses one.
        var address: SocketAddress
        var deskSocket = DeskProtocol.defaultSocketPath
        var limits = DoorLimits()
    }

    /// What there is from opening to closing.
    private struct Open {
        let listener: any Channel
        let table: NIOLoopBound<LinkTable>
    }

    private let configuration: Configuration
    private let logger: Logger
    private let acceptor: MultiThreadedEventLoopGroup
    private let carrier: MultiThreadedEventLoopGroup
    private let gate: SharedGate
    private let book: IncidentBook
    private let open: Mutex<Open?>

    /// A door that is closed until it is opened.
    init(configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        acceptor = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        carrier = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        gate = SharedGate(limits: configuration.limits)
        book = IncidentBook(logger: logger, interval: configuration.limits.logInterval, loop: carrier.any())
        open = Mutex(nil)
    }

    /// How often connections were closed without a desktop, by cause.
    var incidents: [DoorIncident: Int] { book.counts }

    /// Connections in all, and those among them that wait for admission.
    var load: (connections: Int, waiting: Int) { gate.load }

    /// Listens, and connects to punnetd. Succeeds, once connections are accepted, with the address. `onLoss` is called, on one of the
    /// door's threads, when the listener ends without having been stopped. Once only.
    func start(onLoss: @escaping @Sendable () -> Void = {}) -> EventLoopFuture<SocketAddress> {
        let loop = carrier.any()
        let (configuration, gate, book, logger) = (configuration, gate, book, logger)
        return loop.submit {
            NIOLoopBound(
                LinkTable(
                    loop: loop, limits: configuration.limits, gate: gate, book: book, deskSocket: configuration.deskSocket, logger: logger),
                eventLoop: loop)
        }.flatMap { table in
            self.listen(table).hop(to: loop).flatMapThrowing { listener in
                self.open.withLock { $0 = Open(listener: listener, table: table) }
                table.value.start()
                let address = listener.localAddress ?? configuration.address
                logger.notice("listening for seats", metadata: ["address": "\(address.ipAddress ?? "")", "port": "\(address.port ?? 0)"])
                listener.closeFuture.whenComplete { _ in
                    if self.open.withLock({ $0 != nil }) { onLoss() }
                }
                return address
            }
        }
    }

    /// Accepts no more, ends every link, says so to punnetd, and succeeds when all is done.
    func stop() -> EventLoopFuture<Void> {
        let open = open.withLock { open in
            defer { open = nil }
            return open
        }
        guard let open else { return carrier.any().makeSucceededVoidFuture() }
        return open.listener.close().flatMapError { _ in open.listener.eventLoop.makeSucceededVoidFuture() }
            .hop(to: open.table.eventLoop)
            .flatMap { open.table.value.stop() }
            .always { _ in
                self.logger.notice(
                    "stopped", metadata: Dictionary(uniqueKeysWithValues: self.incidents.map { ($0.key.rawValue, "\($0.value)") }))
            }
    }

    /// Ends the door's threads, for a process that goes on after it. The door must have been stopped.
    func endThreads() async throws {
        try await acceptor.shutdownGracefully()
        try await carrier.shutdownGracefully()
    }

    private func listen(_ table: NIOLoopBound<LinkTable>) -> EventLoopFuture<any Channel> {
        let (configuration, gate, book, logger) = (configuration, gate, book, logger)
        return ServerBootstrap(group: acceptor, childGroup: carrier)
            // What the system allows at most, so that a crowd that comes at once does not keep others from connecting.
            .serverChannelOption(ChannelOptions.backlog, value: 4096)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptPause(limits: configuration.limits, logger: logger))
                    try channel.pipeline.syncOperations.addHandler(Doorkeeper(gate: gate, book: book))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let source = SourceAddress(channel.remoteAddress) else { throw ChannelError.ioOnClosedChannel }
                    try table.value.take(channel, from: source)
                }
            }
            .bind(to: configuration.address)
            .flatMapErrorThrowing { error in
                let address = "\(configuration.address.ipAddress ?? ""):\(configuration.address.port ?? 0)"
                throw RelayError.cannotListen(address: address, reason: "\(error)")
            }
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
///
/// The read that failed stays asked for, so that the listener would try again without a pause; only without `autoRead` it is quiet.
private final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    private let limits: DoorLimits
    private let logger: Logger
    private var resting: Scheduled<Void>?
    private var nextMessage = NIODeadline.uptimeNanoseconds(0)

    init(limits: DoorLimits, logger: Logger) {
        self.limits = limits
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is IOError else { return context.fireErrorCaught(error) }
        guard resting == nil else { return }
        if nextMessage <= .now() {
            nextMessage = .now() + limits.logInterval
            logger.error("the system has no room for another connection", metadata: ["reason": "\(error)"])
        }
        let options = context.channel.syncOptions
        try? options?.setOption(ChannelOptions.autoRead, value: false)
        resting = context.eventLoop.assumeIsolated().scheduleTask(in: limits.exhaustionPause) {
            self.resting = nil
            // It fails where the listener was closed meanwhile.
            try? options?.setOption(ChannelOptions.autoRead, value: true)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        resting?.cancel()
        context.fireChannelInactive()
    }
}
