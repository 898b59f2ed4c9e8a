import Logging
import NIOCore
import NIOPosix
import Relay

/// The relay's connection to punnetd: made again whenever it is lost, and asked through.
///
/// Confined to one event loop. While punnetd is away questions wait; they are put when it is back, unless they were withdrawn. What
/// happens to links meanwhile is not kept: the next hello names those that are open.
final class DeskLine {
    /// What punnetd says of its own accord, and what it is told first.
    protocol Owner: AnyObject {
        var openLinks: [OpenLink] { get }
        /// The answer to a question; also to one that was withdrawn while it was under way.
        func deskAnswered(_ link: LinkID, with admission: Admission)
        func deskClosesLinks(of session: Int64)
    }

    private struct Question {
        let ticket: [UInt8]
        let address: String
    }

    private enum State {
        case away
        case connecting
        /// Hello is said; the welcome may still be on its way.
        case there(any Channel, since: NIODeadline)
        case ended
    }

    private static let shortestPause = TimeAmount.milliseconds(50)
    private static let longestPause = TimeAmount.seconds(1)
    /// From hello to welcome; a connection that is older and not welcomed is given up.
    private static let welcomeTime = TimeAmount.seconds(2)

    /// Questions that are under way at once. The others wait here, so that a crowd at the door makes punnetd busy and not deaf.
    private static let questionsAtOnce = 256

    private let path: String
    private let loop: any EventLoop
    private let logger: Logger
    private var state = State.away
    /// Questions whose answer somebody waits for.
    private var questions: [LinkID: Question] = [:]
    /// Those among them that were not put yet, in the order in which they came, and some that were withdrawn.
    private var queue = CircularBuffer<LinkID>()
    /// Questions that were put and not answered, withdrawn ones included.
    private var underWay: Set<LinkID> = []
    private var pause = DeskLine.shortestPause
    private var lastTry = NIODeadline.uptimeNanoseconds(0)
    private var nextTry: Scheduled<Void>?
    private var isMissed = false
    private var lastSaid: EventLoopFuture<Void>?
    private var welcomeDeadline: Scheduled<Void>?
    weak var owner: (any Owner)?

    init(path: String, loop: any EventLoop, logger: Logger) {
        self.path = path
        self.loop = loop
        self.logger = logger
    }

    /// Connects now.
    func open() { connect() }

    /// Ends the connection once everything that was said has been sent, or punnetd has not taken it for a second.
    func close() -> EventLoopFuture<Void> {
        nextTry?.cancel()
        welcomeDeadline?.cancel()
        let last = state
        state = .ended
        guard case .there(let channel, _) = last else { return loop.makeSucceededVoidFuture() }
        let net = loop.scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        lastSaid?.whenComplete { _ in channel.close(promise: nil) }
        return channel.closeFuture.always { _ in net.cancel() }
    }

    /// Asks whether a ticket is good; the owner hears the answer, however late.
    func ask(_ link: LinkID, ticket: [UInt8], from address: String) {
        while let first = queue.first, questions[first] == nil { queue.removeFirst() }
        questions[link] = Question(ticket: ticket, address: address)
        queue.append(link)
        switch state {
        case .there: putQuestions()
        case .away: hurry()
        case .connecting, .ended: break
        }
    }

    /// Nobody waits for the answer any more.
    func withdraw(_ link: LinkID) { questions[link] = nil }

    private func putQuestions() {
        while case .there = state, underWay.count < Self.questionsAtOnce, let link = queue.popFirst() {
            guard let question = questions[link] else { continue }
            underWay.insert(link)
            say(.ask(link: link, ticket: question.ticket, address: question.address))
        }
    }

    /// Tells what became of a link, if punnetd is there.
    func tell(_ word: RelayWord) { say(word) }

    private func say(_ word: RelayWord) {
        guard case .there(let channel, _) = state else { return }
        guard channel.isWritable else {
            // A word that is dropped would leave punnetd with a wrong picture; a new hello gives it the right one.
            logger.warning("punnetd does not read what it is told")
            channel.close(promise: nil)
            return
        }
        lastSaid = channel.writeAndFlush(word)
    }

    private func connect() {
        guard case .away = state else { return }
        nextTry?.cancel()
        nextTry = nil
        state = .connecting
        lastTry = .now()
        let line = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(.seconds(5))
            .channelOption(ChannelOptions.writeBufferWaterMark, value: .init(low: 64 * 1024, high: 256 * 1024))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteToMessageHandler(FrameDecoder<DeskWord>()))
                    try pipeline.addHandler(MessageToByteHandler(FrameEncoder<RelayWord>()))
                    try pipeline.addHandler(WordReader(line: line.value))
                }
            }
            .connect(unixDomainSocketPath: path)
            .assumeIsolated()
            .whenComplete { [weak self] result in
                switch result {
                case .success(let channel): self?.connected(channel)
                case .failure(let error): self?.missed("\(error)")
                }
            }
    }

    private func connected(_ channel: any Channel) {
        guard case .connecting = state else { return channel.close(promise: nil) }
        guard channel.isActive else { return missed("it ended the connection at once") }
        state = .there(channel, since: .now())
        welcomeDeadline = loop.scheduleTask(in: Self.welcomeTime) { channel.close(promise: nil) }
        say(.hello(version: DeskProtocol.version, open: owner?.openLinks ?? []))
        underWay = []
        queue = CircularBuffer(questions.keys.sorted { $0.rawValue < $1.rawValue })
        putQuestions()
    }

    /// No connection, or none any more: tries again, at first soon.
    private func missed(_ reason: String) {
        if case .ended = state { return }
        if case .there(_, let since) = state, .now() - since > .seconds(5) { pause = Self.shortestPause }
        state = .away
        welcomeDeadline?.cancel()
        if !isMissed {
            isMissed = true
            logger.warning("punnetd is away; open links go on, new ones wait", metadata: ["socket": "\(path)", "reason": "\(reason)"])
        }
        schedule(at: .now() + pause)
        pause = min(pause * 2, Self.longestPause)
    }

    /// Somebody waits: tries at once, unless it has just been tried.
    private func hurry() {
        schedule(at: max(.now(), lastTry + Self.shortestPause))
    }

    private func schedule(at time: NIODeadline) {
        nextTry?.cancel()
        nextTry = loop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in self?.connect() }
    }

    fileprivate func read(_ word: DeskWord, from channel: any Channel) {
        switch word {
        case .welcome(let version):
            guard version == DeskProtocol.version else {
                // It is tried again and again, but said once.
                if !isMissed { logger.error("\(RelayError.otherVersion(theirs: version, ours: DeskProtocol.version))") }
                return channel.close(promise: nil)
            }
            welcomeDeadline?.cancel()
            isMissed = false
            logger.notice("punnetd is there")
        case .admit(let link, let session, let host, let port):
            answer(link, .admitted(session: session, host: host, port: port))
        case .refuse(let link): answer(link, .refused)
        case .close(let session): owner?.deskClosesLinks(of: session)
        }
    }

    private func answer(_ link: LinkID, _ admission: Admission) {
        questions[link] = nil
        underWay.remove(link)
        putQuestions()
        owner?.deskAnswered(link, with: admission)
    }

    fileprivate func ended(_ channel: any Channel, _ reason: String) {
        if case .there(let current, _) = state, current === channel { missed(reason) }
    }
}

/// Hands punnetd's words to the line.
private final class WordReader: ChannelInboundHandler {
    typealias InboundIn = DeskWord

    private weak var line: DeskLine?
    private var reason = "it ended the connection"

    init(line: DeskLine) { self.line = line }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        line?.read(unwrapInboundIn(data), from: context.channel)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = "\(error)"
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { line?.ended(context.channel, reason) }
}
