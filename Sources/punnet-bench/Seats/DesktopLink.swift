import Glibc
import Identity
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// A seat's connection to its desktop, through the relay: RDP's first packets and TLS with the desktop itself. It must be closed.
final class DesktopLink: Sendable {
    /// Why there is no link.
    enum Failure: Error, CustomStringConvertible {
        case notConnected(String)
        /// The relay or the desktop ended the connection before TLS stood.
        case closed
        /// The desktop showed another certificate than was announced.
        case wrongCertificate(String)
        case timedOut

        var description: String {
            switch self {
            case .notConnected(let reason): "the relay is not reached: \(reason)"
            case .closed: "the link was ended before TLS stood"
            case .wrongCertificate(let shown): "the desktop shows the certificate \(shown), which is not the announced one"
            case .timedOut: "no TLS within the time"
            }
        }
    }

    private let channel: any Channel

    private init(channel: any Channel) { self.channel = channel }

    /// Connects from this address with this ticket, and holds the desktop to this fingerprint, 64 hexadecimal digits.
    static func open(host: String, port: Int, from: String, ticket: String, fingerprint: String) async throws(Failure) -> DesktopLink {
        let shown = Mutex<String?>(nil)
        let outcome = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Void.self)
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(10))
                .bind(to: try SocketAddress(ipAddress: from, port: 0))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            Handshake(ticket: ticket, outcome: outcome) { certificate in
                                let found = Hex.text(of: Digest.sha256(try certificate.toDERBytes()))
                                shown.withLock { $0 = found }
                                return found == fingerprint
                            })
                    }
                }
                .connect(to: try SocketAddress(ipAddress: host, port: port)).get()
        } catch {
            outcome.fail(Failure.closed)
            throw .notConnected("\(error)")
        }
        channel.closeFuture.whenComplete { _ in outcome.fail(Failure.closed) }
        let deadline = channel.eventLoop.scheduleTask(in: .seconds(20)) { outcome.fail(Failure.timedOut) }
        do {
            try await outcome.futureResult.get()
            deadline.cancel()
            return DesktopLink(channel: channel)
        } catch {
            deadline.cancel()
            channel.close(promise: nil)
            if let found = shown.withLock({ $0 }), found != fingerprint { throw .wrongCertificate(found) }
            throw error as? Failure ?? .closed
        }
    }

    /// RDP's first packet: a connection request for TLS, with the ticket in its routing token.
    static func request(ticket: String) -> [UInt8] {
        let rest = Array("punnet=\(ticket)\r\n".utf8) + [1, 0, 8, 0, 1, 0, 0, 0]
        return [3, 0, 0, UInt8(11 + rest.count), UInt8(6 + rest.count), 0xe0, 0, 0, 0, 0, 0] + rest
    }

    var isOpen: Bool { channel.isActive }

    /// Tells when it is over, however it ended.
    func onEnd(_ tell: @escaping @Sendable () -> Void) { channel.closeFuture.whenComplete { _ in tell() } }

    /// Ends it in good order.
    func close() async { try? await channel.close() }

    /// Ends it with a reset, as a machine does that knows nothing of it any more.
    func cut() async {
        if let options = channel as? any SocketOptionProvider { try? await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get() }
        // TLS would say goodbye.
        try? await channel.pipeline.removeHandler(name: Handshake.tlsName).get()
        try? await channel.close()
    }
}

/// Says RDP's first packet, with the ticket in its routing token, looks at the answer, and goes over to TLS.
private final class Handshake: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    static let tlsName = "tls"

    private let request: [UInt8]
    private let outcome: EventLoopPromise<Void>
    private let isRight: @Sendable (NIOSSLCertificate) throws -> Bool
    private var received: [UInt8] = []
    private var isEncrypted = false

    init(ticket: String, outcome: EventLoopPromise<Void>, isRight: @escaping @Sendable (NIOSSLCertificate) throws -> Bool) {
        request = DesktopLink.request(ticket: ticket)
        self.outcome = outcome
        self.isRight = isRight
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEncrypted else { return }
        received += unwrapInboundIn(data).readableBytesView
        do {
            guard received.count >= ConnectionConfirm.headerLength else { return }
            guard try received.count >= ConnectionConfirm.length(header: received) else { return }
            try ConnectionConfirm.check(received)
            isEncrypted = true
            try context.pipeline.syncOperations.addHandler(try PinnedTLS.handler(isRight), name: Self.tlsName, position: .before(self))
        } catch {
            outcome.fail(error)
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { outcome.succeed() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        outcome.fail(DesktopLink.Failure.closed)
        context.close(promise: nil)
    }
}
