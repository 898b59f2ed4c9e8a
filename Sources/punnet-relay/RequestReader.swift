import NIOCore
import Relay

/// Collects the first packet of a connection, never more than it may be long, until the splice takes over.
///
/// It reads on after the packet, though nothing may come before the desktop has answered: so what comes all the same is known for what it is
/// at once, and does not pile up in the system's memory.
final class RequestReader: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    /// What has come of the connection's beginning.
    enum Outcome {
        case request(ConnectionRequest, bytes: ByteBuffer)
        case malformed(ConnectionRequest.Fault)
        /// The connection ended before the packet was whole, or after it and before its link was made.
        case ended
    }

    private var received = ByteBuffer()
    private var isComplete = false
    private let tell: (Outcome) -> Void

    init(tell: @escaping (Outcome) -> Void) { self.tell = tell }

    func channelActive(context: ChannelHandlerContext) {
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        guard !isComplete else { return tell(.malformed(.excess)) }
        received.writeBuffer(&bytes)
        switch ConnectionRequest.read(Array(received.readableBytesView.prefix(ConnectionRequest.maximumLength + 1))) {
        case .incomplete: break
        case .complete(let request):
            isComplete = true
            tell(.request(request, bytes: received))
        case .malformed(let fault):
            isComplete = true
            tell(.malformed(fault))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { tell(.ended) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { tell(.ended) }

    func channelInactive(context: ChannelHandlerContext) { tell(.ended) }
}
