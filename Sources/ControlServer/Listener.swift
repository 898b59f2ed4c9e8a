import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// One listening socket with what answers on it, until its service group stops it.
///
/// It stands on Hummingbird's server and not on its `Application`, which wakes up every second to refresh a date.
struct Listener: Service {
    private enum Place: Sendable {
        case tcp(BindAddress)
        case unix(UnixSocketFile)
    }

    private let name: String
    private let place: Place
    private let logger: Logger
    private let channel: @Sendable (@escaping HTTPChannelHandler.Responder) throws -> any ServerChildChannel
    private let responder: HTTPChannelHandler.Responder
    private let onListening: @Sendable (Int?) async -> Void
    private let described: String

    init(
        name: String, address: BindAddress, logger: Logger,
        channel: @escaping @Sendable (@escaping HTTPChannelHandler.Responder) throws -> any ServerChildChannel,
        responder: @escaping HTTPChannelHandler.Responder, onListening: @escaping @Sendable (Int?) async -> Void
    ) {
        self.name = name
        place = .tcp(address)
        described = "\(address)"
        self.logger = logger
        self.channel = channel
        self.responder = responder
        self.onListening = onListening
    }

    init(
        name: String, socket: UnixSocketFile, logger: Logger,
        channel: @escaping @Sendable (@escaping HTTPChannelHandler.Responder) throws -> any ServerChildChannel,
        responder: @escaping HTTPChannelHandler.Responder, onListening: @escaping @Sendable (Int?) async -> Void
    ) {
        self.name = name
        place = .unix(socket)
        described = socket.path
        self.logger = logger
        self.channel = channel
        self.responder = responder
        self.onListening = onListening
    }

    func run() async throws {
        let failure = Mutex<(any Error)?>(nil)
        let published = Mutex<PublishedSocket?>(nil)
        let address: BindAddress
        switch place {
        case .tcp(let tcp): address = tcp
        case .unix(let file): address = .unixDomainSocket(path: try file.prepare())
        }
        let server = try HTTPServerBuilder(channel).buildServer(
            configuration: ServerConfiguration(address: address), eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: logger.quiet, responder: responder
        ) { [place, name, logger, described, onListening] bound in
            do {
                if case .unix(let file) = place {
                    let socket = try file.publish()
                    published.withLock { $0 = socket }
                }
                logger.info("listening", metadata: ["listener": "\(name)", "address": "\(bound.localAddress?.description ?? described)"])
                await onListening(bound.localAddress?.port)
            } catch {
                failure.withLock { $0 = error }
                try? await bound.close()
            }
        }
        defer { published.withLock { $0 }?.remove() }
        do {
            try await server.run()
        } catch let error as IOError {
            throw ControlServerError.cannotListen(on: described, reason: error.description)
        }
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
