import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// A condition did not come about in time.
struct Overdue: Error, CustomStringConvertible {
    let description: String
}

/// One end of a real TCP connection in the hands of a test, which reads only when told to.
final class Wire: Sendable {
    /// What has come so far.
    struct Arrived: Sendable {
        var bytes: [UInt8] = []
        var count = 0
        /// The other side has ended its direction.
        var inputEnded = false
        /// The connection is over.
        var isOver = false
        var error: (any Error)?
        var keepsBytes = true
    }

    private struct State: Sendable {
        var arrived = Arrived()
        var reads = true
        var pause: TimeAmount?
    }

    let channel: any Channel
    private let state: Mutex<State>

    fileprivate init(channel: any Channel, reads: Bool) {
        self.channel = channel
        state = Mutex(State(reads: reads))
    }

    /// Connects from the given local address.
    static func connect(to address: SocketAddress, from local: String? = nil, reads: Bool = true, receiveBuffer: Int? = nil) async throws
        -> Wire
    {
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(ChannelOptions.autoRead, value: false)
            .channelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
        if let local { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: local, port: 0)) }
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(ChannelOptions.socketOption(.so_rcvbuf), value: SocketOptionValue(receiveBuffer))
        }
        return try await bootstrap.connect(to: address) { channel in
            channel.eventLoop.makeCompletedFuture { try Wire.attach(to: channel, reads: reads) }
        }
    }

    /// Puts a wire around a channel that is being set up, on its event loop.
    static func attach(to channel: any Channel, reads: Bool = true) throws -> Wire {
        let wire = Wire(channel: channel, reads: reads)
        try channel.pipeline.syncOperations.addHandler(Reader(wire: wire))
        return wire
    }

    var arrived: Arrived { state.withLock { $0.arrived } }
    var localAddress: String { channel.localAddress?.ipAddress ?? "" }

    func send(_ bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    /// Ends the direction to the other side.
    func endOutput() async throws { try await channel.close(mode: .output) }

    func close() async { try? await channel.close() }

    /// Resets the connection, as a machine does that knows nothing of it.
    func reset() async throws {
        let provider = try #require(channel as? any SocketOptionProvider)
        try await provider.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try? await channel.close()
    }

    /// Begins to read, if it does not yet, and goes on, with a pause between two reads where one is given.
    func startReading(keepingBytes: Bool = true, pause: TimeAmount? = nil) {
        state.withLock {
            $0.reads = true
            $0.pause = pause
            $0.arrived.keepsBytes = keepingBytes
        }
        channel.read()
    }

    /// Waits until what arrived is as wanted.
    @discardableResult
    func wait(
        for what: String, within seconds: Int = 30, until isTrue: @escaping @Sendable (Arrived) -> Bool
    ) async throws -> Arrived {
        try await condition(what, within: seconds) {
            self.arrived
        } until: {
            isTrue($0)
        }
    }

    /// Waits for exactly these bytes in all.
    func expect(_ bytes: [UInt8]) async throws {
        let arrived = try await wait(for: "\(bytes.count) bytes") { $0.bytes.count >= bytes.count || $0.isOver }
        #expect(arrived.bytes == bytes)
    }

    func waitUntilOver() async throws { try await wait(for: "the end of the connection") { $0.isOver || $0.inputEnded } }

    fileprivate var readsOn: Bool { state.withLock { $0.reads } }
    fileprivate var pause: TimeAmount? { state.withLock { $0.pause } }
    fileprivate func change(_ change: (inout Arrived) -> Void) { state.withLock { change(&$0.arrived) } }
}

private final class Reader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let wire: Wire

    init(wire: Wire) { self.wire = wire }

    func channelActive(context: ChannelHandlerContext) {
        if wire.readsOn { context.read() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        wire.change {
            $0.count += buffer.readableBytes
            if $0.keepsBytes { $0.bytes += buffer.readableBytesView }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard wire.readsOn else { return }
        guard let pause = wire.pause else { return context.read() }
        context.eventLoop.assumeIsolated().scheduleTask(in: pause) { context.read() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { wire.change { $0.inputEnded = true } }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        wire.change { $0.error = error }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { wire.change { $0.isOver = true } }
}

/// Looks again and again until what is looked at is as wanted; throws when the time is over.
@discardableResult
func condition<Value: Sendable>(
    _ what: String, within seconds: Int = 30, _ look: @Sendable () async throws -> Value,
    until isTrue: @Sendable (Value) -> Bool
) async throws -> Value {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while true {
        let value = try await look()
        if isTrue(value) { return value }
        guard ContinuousClock.now < deadline else { throw Overdue(description: "waited \(seconds) s for \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
