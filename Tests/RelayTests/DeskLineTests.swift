import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Relay
@testable import punnet_relay

@Suite(.timeLimit(.minutes(1))) struct DeskLineTests {
    /// Which question a word is, nil for other words.
    private func asked(_ words: [RelayWord]) -> [UInt64] {
        words.compactMap { if case .ask(let link, _, _) = $0 { link.rawValue } else { nil } }
    }

    private func mark(_ number: Int64) -> RelayWord { .opened(link: LinkID(rawValue: 0), session: number) }

    @Test func soManyQuestionsAreUnderWayAtOnceAndTheOthersFollowInOrder() async throws {
        let path = "/tmp/desk-line-\(UUID().uuidString.prefix(8)).sock"
        let desk = try await SilentDesk.listen(at: path)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let asker = try await loop.submit { NIOLoopBound(Asker(path: path, loop: loop), eventLoop: loop) }.get()
        try await loop.submit { asker.value.line.open() }.get()
        try await condition("the hello") {
            desk.words.count
        } until: {
            $0 == 1
        }
        try await loop.submit {
            for number in UInt64(1)...1_000 { asker.value.line.ask(LinkID(rawValue: number), ticket: Array(0..<32), from: "192.0.2.1") }
            // Nobody waits for the answer to one that was put, and to one that was not.
            asker.value.line.withdraw(LinkID(rawValue: 7))
            asker.value.line.withdraw(LinkID(rawValue: 257))
            asker.value.line.tell(.opened(link: LinkID(rawValue: 0), session: 1))
        }.get()
        let words = try await condition("what was told after the questions") {
            desk.words
        } until: {
            $0.last == mark(1)
        }
        #expect(asked(words) == Array(1...256))

        // Two answers make room for two more; what is told at an answer comes after them.
        try await desk.say(.refuse(link: LinkID(rawValue: 3)))
        try await desk.say(.refuse(link: LinkID(rawValue: 7)))
        let more = try await condition("what was told at the second answer") {
            desk.words
        } until: { words in
            words.count { $0 == mark(2) } == 2
        }
        #expect(asked(more) == Array(1...256) + [258, 259])
        try await loop.flatSubmit { asker.value.line.close() }.get()
        try await desk.close()
    }
}

/// Asks, and tells that it heard an answer.
private final class Asker: DeskLine.Owner {
    let line: DeskLine
    let openLinks: [OpenLink] = []

    init(path: String, loop: any EventLoop) {
        line = DeskLine(path: path, loop: loop, logger: LogLines().logger)
        line.owner = self
    }

    func deskAnswered(_: LinkID, with _: Admission) { line.tell(.opened(link: LinkID(rawValue: 0), session: 2)) }
    func deskClosesLinks(of _: Int64) {}
}

/// A desk that welcomes, hears everything, and says only what it is told to.
private final class SilentDesk: Sendable {
    private let state = Mutex<(words: [RelayWord], connection: (any Channel)?)>(([], nil))
    private let listener = Mutex<(any Channel)?>(nil)

    var words: [RelayWord] { state.withLock { $0.words } }

    static func listen(at path: String) async throws -> SilentDesk {
        let desk = SilentDesk()
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(FrameDecoder<RelayWord>()))
                    try pipeline.addHandler(MessageToByteHandler(FrameEncoder<DeskWord>()))
                    try pipeline.addHandler(Listener(desk: desk))
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        desk.listener.withLock { $0 = listener }
        return desk
    }

    func say(_ word: DeskWord) async throws {
        let connection = try #require(state.withLock { $0.connection })
        try await connection.writeAndFlush(word)
    }

    func close() async throws {
        let listener = listener.withLock { $0 }
        if let path = listener?.localAddress?.pathname { try? FileManager.default.removeItem(atPath: path) }
        try await listener?.close()
    }

    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = RelayWord
        typealias OutboundOut = DeskWord

        private let desk: SilentDesk

        init(desk: SilentDesk) { self.desk = desk }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let word = unwrapInboundIn(data)
            let channel = context.channel
            desk.state.withLock {
                $0.words.append(word)
                $0.connection = channel
            }
            if case .hello = word { context.writeAndFlush(wrapOutboundOut(.welcome(version: DeskProtocol.version)), promise: nil) }
        }
    }
}
