import Broker
import ControlAPI
import DesktopModel
import FoundationEssentials
import Hummingbird
import HummingbirdCore
import NIOCore
import ServiceLifecycle

/// A server-sent event as it goes over the wire (`text/event-stream`).
struct ServerSentEvent: Hashable, Sendable {
    let text: String

    /// One event with its data as JSON, which holds no line break.
    init(_ name: String, _ data: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        text = "event: \(name)\ndata: \(String(decoding: try encoder.encode(data), as: UTF8.self))\n\n"
    }

    init(_ event: SeatEvent) throws {
        switch event {
        case .name(let name): try self.init("name", SeatMessage.Name(name: name))
        case .place(let place): try self.init("place", SeatMessage.Place(place: place))
        case .offer(let within): try self.init("offer", SeatMessage.Offer(withinSeconds: Int(within.components.seconds)))
        case .ending(let session, let within):
            try self.init("ending", SeatMessage.Ending(session: session.rawValue, withinSeconds: Int(within.components.seconds)))
        case .ended(let session, let reason):
            try self.init("ended", SeatMessage.Ended(session: session.rawValue, reason: reason.rawValue))
        case .order(.message(let text)): try self.init("message", SeatMessage.Message(text: text))
        case .order(.identify): try self.init("identify", SeatMessage.Order())
        case .order(.restart): try self.init("restart", SeatMessage.Order())
        case .order(.shutDown): try self.init("shut-down", SeatMessage.Order())
        }
    }

    private init(text: String) { self.text = text }

    /// Several that go together.
    init(joining events: [ServerSentEvent]) { text = events.map(\.text).joined() }

    /// A comment, which readers pass over: it shows either side that the other is there.
    static let comment = ServerSentEvent(text: ":\n\n")

    /// To a page of the panel: the room is not what it was.
    static let changed = ServerSentEvent(text: "event: changed\ndata: {}\n\n")
}

/// A stream of events: by one a seat is told what happens and is present, by one a page of the panel learns that the room has changed.
struct EventStream: Sendable {
    /// How often a comment is sent while the stream is open.
    var keepAlive: Duration = .seconds(30)
    /// How many frames wait for a slow reader; a reader that leaves more unread is let go of, and comes back to learn how things are.
    var longestQueue = 16

    /// An answer that goes on until the events end, the reader goes away or reads too slowly, or the server stops.
    func response<Event: Sendable>(
        for request: Request, events: @escaping @Sendable () async -> AsyncStream<Event>,
        as frame: @escaping @Sendable (Event) throws -> ServerSentEvent
    ) -> Response {
        let body = ResponseBody { writer in
            try await request.body.consumeWithCancellationOnInboundClose { _ in
                try await write(await events(), as: frame, to: &writer)
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: [.contentType: "text/event-stream"], body: body)
    }

    /// How long a reader waits at least between two changes that it is told of.
    private static let pause = Duration.milliseconds(100)

    /// What is told of a room's changes: at each, what `news` finds, if anything; while they go on without end, ten times a second at most. It ends
    /// when whoever reads may no longer.
    /// - Parameter state: What `news` knows and keeps from one look to the next.
    static func news<State: Sendable>(
        at changes: AsyncStream<Void>, from state: State, whileLetIn isLetIn: @escaping @Sendable () async throws -> Bool,
        _ news: @escaping @Sendable (inout State) async throws -> ServerSentEvent?
    ) -> AsyncStream<ServerSentEvent> {
        let (events, feed) = AsyncStream.makeStream(of: ServerSentEvent.self, bufferingPolicy: .bufferingOldest(16))
        let task = Task {
            var state = state
            defer { feed.finish() }
            for await _ in changes {
                guard try await isLetIn() else { break }
                if let event = try await news(&state), case .dropped = feed.yield(event) { break }
                try await Task.sleep(for: pause)
            }
        }
        feed.onTermination = { _ in task.cancel() }
        return events
    }

    private func write<Event: Sendable>(
        _ events: AsyncStream<Event>, as frame: @escaping @Sendable (Event) throws -> ServerSentEvent, to writer: inout any ResponseBodyWriter
    ) async throws {
        let (frames, feed) = AsyncStream.makeStream(of: ServerSentEvent.self, bufferingPolicy: .bufferingOldest(longestQueue))
        feed.yield(.comment)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { feed.finish() }
                for await event in events {
                    guard case .enqueued = feed.yield(try frame(event)) else { break }
                }
            }
            group.addTask {
                while true {
                    try await Task.sleep(for: keepAlive)
                    feed.yield(.comment)
                }
            }
            group.addTask {
                try await gracefulShutdown()
                feed.finish()
            }
            for await frame in frames { try await writer.write(ByteBuffer(string: frame.text)) }
            group.cancelAll()
        }
    }
}
