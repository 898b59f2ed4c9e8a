import Hypervisor
import Identity
import NIOCore
import NIOPosix
import NIOSSL

/// The RDP port of one simulated desktop: a TCP listener at its address, with TLS behind RDP's first packet.
///
/// Its connections share one event loop and no thread is theirs alone. What comes over them is read and dropped. It must be closed. Any task.
final class DesktopPort: Sendable {
    /// More connections than a desktop ever has at once are closed.
    private static let mostConnections = 16

    private struct State {
        var answers = true
        var connections: [ObjectIdentifier: any Channel] = [:]
    }

    private let listener: any Channel
    private let state: NIOLoopBoundBox<State>

    private init(listener: any Channel, state: NIOLoopBoundBox<State>) {
        self.listener = listener
        self.state = state
    }

    static func open(at address: IPv4Address, _ port: Int, certificate: SelfSignedCertificate) async throws -> DesktopPort {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.certificatePEM.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(certificate.keyPEM.utf8), format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        let tls = try NIOSSLContext(configuration: configuration)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let state = NIOLoopBoundBox.makeBoxSendingValue(State(), eventLoop: loop)
        let listener = try await ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 16)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try take(channel, state, tls) }
            }
            .bind(host: address.description, port: port).get()
        return DesktopPort(listener: listener, state: state)
    }

    /// Whether what comes is answered; else it waits, unread.
    func answers(_ answers: Bool) {
        listener.eventLoop.execute { [listener, state] in
            guard state.value.answers != answers else { return }
            state.value.answers = answers
            for channel in [listener] + state.value.connections.values {
                try? channel.syncOptions?.setOption(.autoRead, value: answers)
            }
        }
    }

    /// Closes it with its connections, and returns when its address is free again.
    func close() async {
        try? await listener.close()
        try? await listener.eventLoop.submit { [state] in
            for channel in state.value.connections.values { channel.close(promise: nil) }
        }.get()
    }

    /// Takes in a connection, on its event loop and before it is active.
    private static func take(_ channel: any Channel, _ state: NIOLoopBoundBox<State>, _ tls: NIOSSLContext) throws {
        guard state.value.connections.count < mostConnections else { throw ChannelError.eof }
        let key = ObjectIdentifier(channel)
        state.value.connections[key] = channel
        channel.closeFuture.whenComplete { _ in state.value.connections[key] = nil }
        if !state.value.answers { try channel.syncOptions?.setOption(.autoRead, value: false) }
        try channel.pipeline.syncOperations.addHandler(Greeting(tls: tls))
    }
}

/// Answers RDP's first packet where it asks for TLS, and goes over to TLS; closes at anything else.
private final class Greeting: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let tls: NIOSSLContext
    private var received: [UInt8] = []

    init(tls: NIOSSLContext) { self.tls = tls }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received += unwrapInboundIn(data).readableBytesView
        switch ConnectionConfirm.asksForTLS(received) {
        case nil: break
        case false?: context.close(promise: nil)
        case true?:
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: ConnectionConfirm.agreement)), promise: nil)
            do {
                let pipeline = context.pipeline.syncOperations
                try pipeline.addHandlers([NIOSSLServerHandler(context: tls), Listening()], position: .after(self))
                pipeline.removeHandler(context: context, promise: nil)
            } catch {
                context.close(promise: nil)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Hears what a client says and keeps nothing of it.
private final class Listening: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
