import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOPosix

/// Connections of the Unix socket: who is there is asked of the kernel once, when the connection is made, and decides who answers.
struct AdminChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let http: HTTP1Channel.Value
        let permitted: Bool
        var channel: any Channel { http.channel }
    }

    let permitted: HTTP1Channel
    let refused: HTTP1Channel
    let group: String
    let logger: Logger

    func setup(channel: any Channel, logger frameworkLogger: Logger) -> EventLoopFuture<Value> {
        PeerCredentials.read(channel).flatMap { peer in
            NIOThreadPool.singleton.runIfActive(eventLoop: channel.eventLoop) { peer.mayAdminister(group: group) }.flatMap { permitted in
                if !permitted {
                    logger.notice("administration refused", metadata: ["user": "\(peer.user)", "process": "\(peer.process)"])
                }
                return (permitted ? self.permitted : refused).setup(channel: channel, logger: frameworkLogger)
                    .map { Value(http: $0, permitted: permitted) }
            }
        }
    }

    func handle(value: Value, logger: Logger) async {
        await (value.permitted ? permitted : refused).handle(value: value.http, logger: logger)
    }
}
