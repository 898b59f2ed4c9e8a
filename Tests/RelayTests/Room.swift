import Foundation
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Relay
@testable import punnet_relay

/// A relay's door, a desk over a real Unix socket, and desktops, all on loopback addresses.
final class Room: Sendable {
    private struct State {
        var address: SocketAddress?
        var deskTask: Task<Void, any Error>?
        var desk: RelayDesk?
        var desktops: [Desktop] = []
        var log: [String] = []
    }

    let book = TicketBook()
    let door: RelayDoor
    private let folder: String
    private let state = Mutex(State())

    private init(address: SocketAddress, limits: DoorLimits, folder: String, log: LogLines) {
        self.folder = folder
        self.log = log
        var configuration = RelayDoor.Configuration(address: address)
        configuration.deskSocket = folder + "/relay.sock"
        configuration.limits = limits
        door = RelayDoor(configuration: configuration, logger: log.logger)
    }

    let log: LogLines

    /// Runs the body in a room of its own and ends everything afterwards.
    static func open(
        address: String = "127.0.0.1", limits: DoorLimits = DoorLimits(), withDesk: Bool = true, _ body: (Room) async throws -> Void
    ) async throws {
        let folder = "/tmp/relay-tests-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let room = Room(address: try SocketAddress(ipAddress: address, port: 0), limits: limits, folder: folder, log: LogLines())
        var failure: (any Error)?
        do {
            let address = try await room.door.start().get()
            room.state.withLock { $0.address = address }
            if withDesk { try await room.startDesk() }
            try await body(room)
        } catch {
            failure = error
        }
        for desktop in room.state.withLock({ $0.desktops }) { await desktop.close() }
        // A body that failed may have left answers held back, and a desk that owes one does not end.
        await room.book.answer()
        await room.stopDesk()
        try await room.door.stop().get()
        try await room.door.endThreads()
        if let failure { throw failure }
        #expect(room.door.load == (0, 0), "every connection has left the books")
    }

    var deskSocket: String { folder + "/relay.sock" }

    var address: SocketAddress {
        get throws { try #require(state.withLock { $0.address }) }
    }

    /// Starts a desk and waits until the relay has come to it.
    func startDesk() async throws {
        let before = await greetings()
        let listening = OnceFlag()
        let desk = RelayDesk(
            configuration: .init(socketPath: deskSocket, allowedUsers: [SystemUser.current.id]), desk: book, logger: log.logger
        ) { listening.set() }
        let task = Task { try await desk.run() }
        state.withLock {
            $0.desk = desk
            $0.deskTask = task
        }
        try await condition("the desk") {
            listening.isSet
        } until: {
            $0
        }
        try await condition("the relay's hello") {
            await self.greetings()
        } until: {
            $0 > before
        }
    }

    func stopDesk() async {
        let task = state.withLock { state in
            defer { state.deskTask = nil }
            return state.deskTask
        }
        task?.cancel()
        _ = await task?.result
    }

    func closeLinks(of session: Int64) async { await state.withLock { $0.desk }?.closeLinks(of: session) }

    func startDesktop(reads: Bool = true, sendBuffer: Int? = nil) async throws -> Desktop {
        let desktop = try await Desktop.start(reads: reads, sendBuffer: sendBuffer)
        state.withLock { $0.desktops.append(desktop) }
        return desktop
    }

    /// A seat's connection that has not said anything yet.
    func connect(from local: String? = nil, reads: Bool = true, receiveBuffer: Int? = nil) async throws -> Wire {
        try await Wire.connect(to: try address, from: local, reads: reads, receiveBuffer: receiveBuffer)
    }

    /// A seat's connection through to a desktop of its own: both ends, the request already read at the desktop's.
    func link(session: Int64, ticket: String, to desktop: Desktop, from local: String? = nil) async throws -> (seat: Wire, desktop: Wire) {
        await book.issue(ticket, session: session, from: local ?? "127.0.0.1", port: desktop.port)
        let before = desktop.connections.count
        let seat = try await connect(from: local)
        let request = Packets.request(ticket: ticket)
        try await seat.send(request)
        let side = try await desktop.connection(before)
        try await side.expect(request)
        return (seat, side)
    }

    func events() async -> [TicketBook.Event] { await book.events }

    @discardableResult
    func event(_ what: String, within seconds: Int = 10, where isIt: @escaping @Sendable (TicketBook.Event) -> Bool) async throws
        -> TicketBook.Event
    {
        let events = try await condition("the event: \(what)", within: seconds) {
            await self.events()
        } until: {
            $0.contains(where: isIt)
        }
        return try #require(events.last(where: isIt))
    }

    func incident(_ incident: DoorIncident, times: Int = 1, within seconds: Int = 10) async throws {
        try await condition("\(times) × \(incident.rawValue)", within: seconds) {
            self.door.incidents[incident] ?? 0
        } until: {
            $0 == times
        }
    }

    private func greetings() async -> Int {
        await book.events.count { if case .links = $0 { true } else { false } }
    }
}

/// A desktop's RDP port, without a desktop: a real TCP listener.
final class Desktop: Sendable {
    private let listener: any Channel
    private let wires: AcceptedWires
    let host: String
    let port: Int

    private init(listener: any Channel, wires: AcceptedWires) {
        self.listener = listener
        self.wires = wires
        host = listener.localAddress?.ipAddress ?? ""
        port = listener.localAddress?.port ?? 0
    }

    static func start(host: String = "127.0.0.1", reads: Bool, sendBuffer: Int?) async throws -> Desktop {
        let wires = AcceptedWires()
        var bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(ChannelOptions.autoRead, value: false)
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { wires.add(try Wire.attach(to: channel, reads: reads)) }
            }
        if let sendBuffer {
            bootstrap = bootstrap.childChannelOption(ChannelOptions.socketOption(.so_sndbuf), value: SocketOptionValue(sendBuffer))
        }
        return Desktop(listener: try await bootstrap.bind(host: host, port: 0).get(), wires: wires)
    }

    var connections: [Wire] { wires.all }

    /// The connection that came as the given one, from 0.
    func connection(_ index: Int) async throws -> Wire {
        let wires = wires
        return try await condition("a connection to the desktop") {
            wires.all
        } until: {
            $0.count > index
        }[index]
    }

    func close() async {
        try? await listener.close()
        for wire in connections { await wire.close() }
    }
}

final class AcceptedWires: Sendable {
    private let wires = Mutex<[Wire]>([])
    var all: [Wire] { wires.withLock { $0 } }
    func add(_ wire: Wire) { wires.withLock { $0.append(wire) } }
}

private final class OnceFlag: Sendable {
    private let flag = Mutex(false)
    var isSet: Bool { flag.withLock { $0 } }
    func set() { flag.withLock { $0 = true } }
}

/// What was logged, as text.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var all: [String] { lines.withLock { $0 } }

    var logger: Logger {
        var logger = Logger(label: "test") { _ in Handler(lines: self) }
        logger.logLevel = .trace
        return logger
    }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            lines.lines.withLock { $0.append("\(event.level): \(event.message) \(event.metadata ?? [:])") }
        }
    }
}
