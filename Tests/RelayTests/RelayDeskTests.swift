import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Relay

@Suite(.timeLimit(.minutes(1))) struct RelayDeskTests {
    /// A desk in a folder of its own, ended after the body.
    private func withDesk(
        users: Set<UInt32> = [SystemUser.current.id], prepare: (String) throws -> Void = { _ in },
        _ body: (RelayDesk, TicketBook, String) async throws -> Void
    ) async throws {
        let folder = "/tmp/desk-tests-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/relay.sock"
        try prepare(path)
        let book = TicketBook()
        let listening = Mutex(false)
        let desk = RelayDesk(
            configuration: .init(socketPath: path, allowedUsers: users, socketGroup: SystemUser.current.group), desk: book,
            logger: LogLines().logger
        ) { listening.withLock { $0 = true } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await desk.run() }
            do {
                try await condition("the desk") {
                    listening.withLock { $0 }
                } until: {
                    $0
                }
                try await body(desk, book, path)
            } catch let overdue as Overdue {
                // A desk that could not begin says more than the wait for it.
                group.cancelAll()
                try await group.waitForAll()
                throw overdue
            }
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(!FileManager.default.fileExists(atPath: path), "the socket's file is gone")
    }

    @Test func theSocketIsForItsOwnerAndGroupAlone() async throws {
        try await withDesk { _, _, path in
            let facts = try FileManager.default.attributesOfItem(atPath: path)
            #expect(facts[.posixPermissions] as? Int == 0o660)
        }
    }

    @Test func anotherUserIsTurnedAwayByTheKernelsWord() async throws {
        try await withDesk(users: [SystemUser.current.id + 4711]) { _, book, path in
            let peer = try await DeskPeer.connect(path)
            try? await peer.say(.hello(version: DeskProtocol.version, open: []))
            try await peer.waitUntilOver()
            #expect(peer.heard.isEmpty)
            #expect(await book.events.isEmpty)
        }
    }

    @Test func aSocketThatAnEndedProcessLeftIsReplaced() async throws {
        try await withDesk { path in
            let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            let address = try SocketAddress(unixDomainSocketPath: path)
            #expect(address.withSockAddr { bind(left, $0, socklen_t($1)) } == 0)
            close(left)
        } _: { _, _, path in
            let peer = try await DeskPeer.connect(path)
            try await peer.say(.hello(version: DeskProtocol.version, open: []))
            try await peer.hear([.welcome(version: DeskProtocol.version)])
        }
    }

    @Test func aSocketThatSomebodyListensAtIsLeftAlone() async throws {
        try await withDesk { _, _, path in
            await #expect(throws: RelayError.socketTaken(path: path)) {
                try await RelayDesk(
                    configuration: .init(socketPath: path, allowedUsers: []), desk: TicketBook(), logger: LogLines().logger
                ).run()
            }
            let peer = try await DeskPeer.connect(path)
            try await peer.say(.hello(version: DeskProtocol.version, open: []))
            try await peer.hear([.welcome(version: DeskProtocol.version)])
        }
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() async throws {
        let path = "/tmp/desk-tests-\(UUID().uuidString.prefix(8))"
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        await #expect(throws: RelayError.self) {
            try await RelayDesk(configuration: .init(socketPath: path, allowedUsers: []), desk: TicketBook(), logger: LogLines().logger)
                .run()
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("precious".utf8))
    }

    @Test func aConnectionThatDoesNotBeginWithHelloIsEndedAndDisturbsNobody() async throws {
        try await withDesk { desk, book, path in
            let relay = try await DeskPeer.connect(path)
            try await relay.say(.hello(version: DeskProtocol.version, open: []))
            try await relay.hear([.welcome(version: DeskProtocol.version)])
            let stranger = try await DeskPeer.connect(path)
            try await stranger.say(.opened(link: LinkID(rawValue: 1), session: 1))
            try await stranger.waitUntilOver()
            await desk.closeLinks(of: 9)
            try await relay.hear([.welcome(version: DeskProtocol.version), .close(session: 9)])
            #expect(await book.events == [.links([])])
        }
    }

    @Test func anotherVersionIsToldOursAndTurnedAway() async throws {
        try await withDesk { _, book, path in
            let peer = try await DeskPeer.connect(path)
            try await peer.say(.hello(version: DeskProtocol.version + 1, open: []))
            try await peer.hear([.welcome(version: DeskProtocol.version)])
            try await peer.waitUntilOver()
            #expect(await book.events.isEmpty)
        }
    }

    @Test func theRelayThatComesLaterTakesThePlaceOfTheOneBefore() async throws {
        try await withDesk { desk, book, path in
            let old = try await DeskPeer.connect(path)
            let link = OpenLink(link: LinkID(rawValue: 1), session: 5, since: 100)
            try await old.say(.hello(version: DeskProtocol.version, open: [link]))
            try await old.hear([.welcome(version: DeskProtocol.version)])
            let new = try await DeskPeer.connect(path)
            try await new.say(.hello(version: DeskProtocol.version, open: []))
            try await old.waitUntilOver()
            await book.issue(Packets.goodTicket, session: 6, port: 3389)
            let asked = LinkID(rawValue: 2)
            let good = try #require(Ticket(Array(Packets.goodTicket.utf8)))
            try await new.say(.ask(link: asked, ticket: good.hash, address: "127.0.0.1"))
            try await new.say(.ask(link: asked, ticket: good.hash, address: "127.0.0.2"))
            try await new.wait(for: "both answers") { $0.count == 3 }
            await desk.closeLinks(of: 5)
            try await new.wait(for: "the close") { $0.count == 4 }
            #expect(new.heard.contains(.admit(link: asked, session: 6, host: "127.0.0.1", port: 3389)))
            #expect(new.heard.contains(.refuse(link: asked)))
            #expect(new.heard.last == .close(session: 5))
            #expect(await book.events.prefix(2) == [.links([link]), .links([])])
        }
    }

    @Test func eventsArriveInTheOrderInWhichTheyWereTold() async throws {
        try await withDesk { _, book, path in
            let relay = try await DeskPeer.connect(path)
            try await relay.say(.hello(version: DeskProtocol.version, open: []))
            var told: [TicketBook.Event] = [.links([])]
            for number in 1...300 {
                let link = LinkID(rawValue: UInt64(number))
                relay.sayLater(.opened(link: link, session: 1))
                relay.sayLater(.closed(link: link, session: 1, cause: .replaced, bytesFromSeat: 1, bytesToSeat: 2))
                told += [.opened(link, session: 1), .closed(link, session: 1, .replaced)]
            }
            relay.channel.flush()
            let count = told.count
            try await condition("all events") {
                await book.events.count
            } until: {
                $0 == count
            }
            #expect(await book.events == told)
        }
    }
}

/// The relay's end of the desk's socket in the hands of a test.
private final class DeskPeer: Sendable {
    private struct State {
        var heard: [DeskWord] = []
        var isOver = false
    }

    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = DeskWord
        let peer: DeskPeer
        init(peer: DeskPeer) { self.peer = peer }
        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let word = unwrapInboundIn(data)
            peer.state.withLock { $0.heard.append(word) }
        }
        func channelInactive(context: ChannelHandlerContext) { peer.state.withLock { $0.isOver = true } }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    let channel: any Channel
    private let state = Mutex(State())

    private init(channel: any Channel) { self.channel = channel }

    static func connect(_ path: String) async throws -> DeskPeer {
        try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connect(unixDomainSocketPath: path) { channel in
            channel.eventLoop.makeCompletedFuture {
                let peer = DeskPeer(channel: channel)
                let pipeline = channel.pipeline.syncOperations
                try pipeline.addHandler(ByteToMessageHandler(FrameDecoder<DeskWord>()))
                try pipeline.addHandler(MessageToByteHandler(FrameEncoder<RelayWord>()))
                try pipeline.addHandler(Ear(peer: peer))
                return peer
            }
        }
    }

    var heard: [DeskWord] { state.withLock { $0.heard } }

    func say(_ word: RelayWord) async throws { try await channel.writeAndFlush(word) }
    func sayLater(_ word: RelayWord) { channel.write(word, promise: nil) }

    func wait(for what: String, until isTrue: @Sendable ([DeskWord]) -> Bool) async throws {
        try await condition(what) {
            self.heard
        } until: {
            isTrue($0)
        }
    }

    func hear(_ words: [DeskWord]) async throws {
        try await wait(for: "\(words)") { $0.count >= words.count }
        #expect(heard == words)
    }

    func waitUntilOver() async throws {
        try await condition("the end of the desk's connection") {
            self.state.withLock { $0.isOver }
        } until: {
            $0
        }
    }
}
