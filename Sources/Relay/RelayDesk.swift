import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// punnetd's side of the relay: the Unix socket at which relays ask for tickets and tell of links.
///
/// One relay is listened to at a time; one that comes later takes the place of the one before. Links outlive this process: they are the
/// relay's, which names those that are open when it comes back. Safe from any thread.
public actor RelayDesk: Service {
    /// Where the desk listens, and to whom.
    public struct Configuration: Sendable {
        /// The path of the Unix socket. Its folder must exist.
        public var socketPath: String
        /// The numbers of the users that may connect.
        public var allowedUsers: Set<UInt32>
        /// The group that may open the socket's file, besides its owner; nil leaves the process' own.
        public var socketGroup: UInt32?

        public init(socketPath: String, allowedUsers: Set<UInt32>, socketGroup: UInt32? = nil) {
            self.socketPath = socketPath
            self.allowedUsers = allowedUsers
            self.socketGroup = socketGroup
        }

        /// The usual socket, for the user `punnet-relay` alone. Where that user does not exist: for the user of this process.
        public static func standard(socketPath: String = "/run/punnet/relay.sock") -> Configuration {
            let relay = SystemUser(named: "punnet-relay")
            return Configuration(socketPath: socketPath, allowedUsers: [(relay ?? .current).id], socketGroup: relay?.group)
        }
    }

    private struct Asking {
        /// Sessions whose links were closed while the answer was on its way.
        var closed: Set<Int64> = []
    }

    private struct Relay {
        let number: UInt64
        let channel: any Channel
    }

    /// Far more tickets than a relay asks for at once; what goes beyond is refused.
    private static let maximumAsked = 1024
    private static let greetingTime = TimeAmount.seconds(5)

    private let configuration: Configuration
    private let desk: any TicketDesk
    private let logger: Logger
    private let onListening: @Sendable () async -> Void
    private var relay: Relay?
    private var relays: UInt64 = 0
    private var asked: [UInt64: Asking] = [:]
    private var asks: UInt64 = 0
    private var isTelling = false
    private var waitingToTell: [CheckedContinuation<Void, Never>] = []

    /// A desk that answers with what `desk` says. `onListening` is called once the socket can be connected to.
    public init(
        configuration: Configuration, desk: any TicketDesk, logger: Logger, onListening: @escaping @Sendable () async -> Void = {}
    ) {
        self.configuration = configuration
        self.desk = desk
        self.logger = logger
        self.onListening = onListening
    }

    /// Listens until the task is cancelled or a graceful shutdown begins; then the socket's file is gone. The relay's links stay open.
    public func run() async throws {
        let socket = DeskSocket(path: configuration.socketPath)
        try socket.clear()
        let server = try await listen()
        defer { socket.remove() }
        do {
            try socket.restrict(toGroup: configuration.socketGroup)
        } catch {
            try? await server.channel.close()
            throw error
        }
        logger.info("listening for the relay", metadata: ["socket": "\(configuration.socketPath)"])
        await onListening()
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections.cancelOnGracefulShutdown() {
                    group.addTask { await self.serve(connection) }
                }
                group.cancelAll()
            }
        }
    }

    /// Has the relay end the session's links now, those that are being made included. Where no relay is there nothing happens: one that
    /// comes names its open links, and `TicketDesk.linksAre` is the place to ask again.
    public func closeLinks(of session: Int64) async {
        for key in asked.keys { asked[key]?.closed.insert(session) }
        say(.close(session: session))
    }

    private typealias Connection = NIOAsyncChannel<RelayWord, Never>

    private func listen() async throws(RelayError) -> NIOAsyncChannel<Connection, Never> {
        do {
            return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .bind(unixDomainSocketPath: configuration.socketPath) { channel in
                    // A connection that was accepted and not served yet ends with the listener, so that no relay waits at it.
                    channel.parent?.closeFuture.whenComplete { _ in channel.close(promise: nil) }
                    return channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(ByteToMessageHandler(FrameDecoder<RelayWord>()))
                        try channel.pipeline.syncOperations.addHandler(MessageToByteHandler(FrameEncoder<DeskWord>()))
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw .socketUnusable(path: configuration.socketPath, reason: "\(error)")
        }
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { words in
                let peer = try await PeerCredentials.peer(of: connection.channel)
                guard configuration.allowedUsers.contains(peer.user) else {
                    return logger.warning(
                        "a stranger at the relay's socket was turned away",
                        metadata: ["user": "\(peer.user)", "process": "\(peer.process)"])
                }
                var words = words.makeAsyncIterator()
                let open = try await greeting(&words, on: connection.channel)
                let number = takePlace(connection.channel)
                defer { leavePlace(number) }
                logger.notice("the relay is there", metadata: ["links": "\(open.count)", "process": "\(peer.process)"])
                await tell(from: number) { await $0.linksAre(open) }
                try await withThrowingDiscardingTaskGroup { group in
                    while let word = try await words.next(isolation: self) {
                        try await take(word, from: number, in: &group)
                    }
                    group.cancelAll()
                }
            }
        } catch is CancellationError {
        } catch {
            logger.warning("the relay's connection ended", metadata: ["error": "\(error)"])
        }
    }

    private func greeting(
        _ words: inout NIOAsyncChannelInboundStream<RelayWord>.AsyncIterator, on channel: any Channel
    ) async throws -> [OpenLink] {
        let deadline = channel.eventLoop.scheduleTask(in: Self.greetingTime) { channel.close(promise: nil) }
        defer { deadline.cancel() }
        guard case .hello(let version, let open)? = try await words.next(isolation: self) else { throw RelayError.noGreeting }
        // The other side learns our version before the connection ends, so that both can say what is wrong.
        channel.writeAndFlush(DeskWord.welcome(version: DeskProtocol.version), promise: nil)
        guard version == DeskProtocol.version else {
            throw RelayError.otherVersion(theirs: version, ours: DeskProtocol.version)
        }
        return open
    }

    private func takePlace(_ channel: any Channel) -> UInt64 {
        relays += 1
        relay?.channel.close(promise: nil)
        relay = Relay(number: relays, channel: channel)
        return relays
    }

    private func leavePlace(_ number: UInt64) {
        guard relay?.number == number else { return }
        relay = nil
        logger.notice("the relay is away")
    }

    private func take(_ word: RelayWord, from number: UInt64, in group: inout ThrowingDiscardingTaskGroup<any Error>) async throws {
        switch word {
        case .hello: throw RelayError.protocolBroken("a second hello")
        case .ask(let link, let ticket, let address):
            guard asked.count < Self.maximumAsked else {
                logger.warning("the relay asks for too much at once")
                return say(.refuse(link: link))
            }
            asks += 1
            let key = asks
            asked[key] = Asking()
            group.addTask { await self.answer(key, ticket: ticket, address: address, link: link, to: number) }
        case .opened(let link, let session):
            await tell(from: number) { await $0.linkOpened(link, session: session) }
        case .closed(let link, let session, let cause, let bytesFromSeat, let bytesToSeat):
            logger.info(
                "link closed",
                metadata: [
                    "link": "\(link)", "session": "\(session)", "cause": "\(cause)", "bytesFromSeat": "\(bytesFromSeat)",
                    "bytesToSeat": "\(bytesToSeat)",
                ])
            let carried = LinkBytes(fromSeat: bytesFromSeat, toSeat: bytesToSeat)
            await tell(from: number) { await $0.linkClosed(link, session: session, cause: cause, carried: carried) }
        }
    }

    private func answer(_ key: UInt64, ticket: [UInt8], address: String, link: LinkID, to number: UInt64) async {
        let admission = await desk.admit(ticket: ticket, from: address, link: link)
        let closed = asked.removeValue(forKey: key)?.closed ?? []
        guard relay?.number == number else { return }
        switch admission {
        case .admitted(let session, let host, let port) where !closed.contains(session):
            say(.admit(link: link, session: session, host: host, port: port))
        case .admitted, .refused:
            say(.refuse(link: link))
        }
    }

    /// Words leave in the order in which this is called. A relay that does not read what it is told is cut off, and tells its links anew.
    private func say(_ word: DeskWord) {
        guard let channel = relay?.channel else { return }
        guard channel.isWritable else {
            logger.warning("the relay does not read what it is told")
            channel.close(promise: nil)
            return
        }
        channel.writeAndFlush(word, promise: nil)
    }

    /// Delivers one event at a time, and none of a relay whose place was taken.
    private func tell(from number: UInt64, _ event: (any TicketDesk) async -> Void) async {
        if isTelling {
            await withCheckedContinuation { waitingToTell.append($0) }
        } else {
            isTelling = true
        }
        if relay?.number == number { await event(desk) }
        if waitingToTell.isEmpty {
            isTelling = false
        } else {
            waitingToTell.removeFirst().resume()
        }
    }
}
