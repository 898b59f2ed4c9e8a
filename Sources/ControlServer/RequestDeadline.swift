import HummingbirdCore
import NIOCore
import NIOHTTPTypes

/// Closes a connection whose client is too slow: to begin, to say its request, or to ask again.
///
/// A whole request must be there within its time, however steadily it drips. While an answer is under way no timer runs, so an event stream
/// costs none. The time goes on where an answer was written before the request was read to its end: what is left of it is not read without
/// bound.
final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let requestTime: TimeAmount
    private let idleTime: TimeAmount
    private var timer: Scheduled<Void>?
    private var begun = 0
    private var read = 0
    private var answered = 0

    /// - Parameters:
    ///   - requestTime: From the connection, or a request's first line, to the request's end.
    ///   - idleTime: From an answer to the next request's first line.
    init(requestTime: TimeAmount, idleTime: TimeAmount) {
        self.requestTime = requestTime
        self.idleTime = idleTime
    }

    func handlerAdded(context: ChannelHandlerContext) {
        start(requestTime, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            begun += 1
            start(requestTime, context)
        case .body:
            break
        case .end:
            read += 1
            timer?.cancel()
            timer = nil
            if begun == answered { start(idleTime, context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .end = unwrapOutboundIn(data) else {
            context.write(data, promise: promise)
            return
        }
        answered += 1
        context.write(data, promise: promise)
        if begun == answered, read == begun { start(idleTime, context) }
    }

    private func start(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: time) {
            loopBound.value.close(promise: nil)
        }
    }
}

/// How large and how slow requests may be.
struct RequestLimits: Sendable {
    let headerBytes: Int
    let headerFields: Int
    let requestTime: TimeAmount
    let idleTime: TimeAmount

    static let seats = RequestLimits(headerBytes: 8 * 1024, headerFields: 64, requestTime: .seconds(15), idleTime: .seconds(60))
    static let administrators = RequestLimits(headerBytes: 16 * 1024, headerFields: 64, requestTime: .seconds(30), idleTime: .seconds(60))
}

extension HTTP1Channel {
    init(responder: @escaping HTTPChannelHandler.Responder, limits: RequestLimits) {
        self.init(
            responder: responder,
            configuration: Configuration(
                additionalChannelHandlers: [RequestDeadline(requestTime: limits.requestTime, idleTime: limits.idleTime)],
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes,
                    maxHeaderFieldCount: limits.headerFields)))
    }
}
