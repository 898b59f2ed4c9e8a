import NIOCore

/// One side of a link: hands what it reads to the other side as it is, reads on only while that side can take it, and passes the end of one
/// direction on while the other goes on.
///
/// Both sides live on one event loop. Bytes are not copied: the buffer that was read is the one that is written.
final class SpliceHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a side tells its link.
    enum News {
        /// The side has sent all that it will; the other direction may go on.
        case inputEnded
        /// The connection failed.
        case failed(any Error)
        /// The connection is over.
        case gone
    }

    /// Bytes that were read from this side.
    private(set) var bytesRead: UInt64 = 0
    private var context: ChannelHandlerContext?
    private var other: SpliceHandler?
    private var waitsForOther = false
    private let tell: (News) -> Void

    init(tell: @escaping (News) -> Void) { self.tell = tell }

    /// Joins two sides, which then begin to read.
    static func join(_ left: SpliceHandler, _ right: SpliceHandler) {
        left.other = right
        right.other = left
        left.readOn()
        right.readOn()
    }

    /// Ends this side once all that was handed to it has been sent.
    func closeWhenSent() {
        afterSending { $0.close(promise: nil) }
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        other = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytesRead += UInt64(unwrapInboundIn(data).readableBytes)
        other?.context?.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        other?.context?.flush()
        readOn()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, let other, other.waitsForOther else { return }
        other.waitsForOther = false
        other.context?.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .inputClosed? = event as? ChannelEvent else { return }
        other?.afterSending { $0.close(mode: .output, promise: nil) }
        tell(.inputEnded)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        tell(.failed(error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { tell(.gone) }

    private func readOn() {
        if other?.context?.channel.isWritable ?? true {
            context?.read()
        } else {
            waitsForOther = true
        }
    }

    private func afterSending(_ action: @escaping (any Channel) -> Void) {
        guard let context else { return }
        let channel = context.channel
        // Ending the output of a side whose input has ended closes it whole and drops what waits: an empty write tells when nothing does.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { _ in action(channel) }
    }
}
