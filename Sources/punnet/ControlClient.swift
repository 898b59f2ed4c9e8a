import ControlAPI
import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// Speaks HTTP/1.1 with punnetd over its Unix socket, a connection for each request.
struct ControlClient: Sendable {
    let socket: String

    private typealias Connection = NIOAsyncChannel<NIOHTTPClientResponseFull, HTTPClientRequestPart>
    private typealias Stream = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    func get<Answer: Decodable>(_ path: String, query: [(String, String?)] = []) async throws -> Answer {
        try decode(try await send(.GET, path + Self.text(of: query), Nothing?.none).body)
    }

    /// A whole list, or its first so many: part after part, as each names the next.
    func list<Item: Decodable>(_ path: String, query: [(String, String?)] = [], limit: Int? = nil) async throws -> [Item] {
        var items: [Item] = []
        var next: String? = path + Self.text(of: query + [("limit", limit.map { "\(min($0, 1000))" })])
        while let part = next, limit.map({ items.count < $0 }) ?? true {
            let answer = try await send(.GET, part, Nothing?.none)
            items += try decode(answer.body, as: [Item].self)
            next = answer.next
        }
        return limit.map { Array(items.prefix($0)) } ?? items
    }

    func post<Answer: Decodable>(_ path: String, _ body: some Encodable) async throws -> Answer {
        try decode(try await send(.POST, path, body).body)
    }

    func patch<Answer: Decodable>(_ path: String, _ body: some Encodable) async throws -> Answer {
        try decode(try await send(.PATCH, path, body).body)
    }

    /// Posts nothing, and reads what comes of it.
    func begin<Answer: Decodable>(_ path: String) async throws -> Answer {
        try decode(try await send(.POST, path, Nothing?.none).body)
    }

    func put<Answer: Decodable>(_ path: String, _ body: some Encodable) async throws -> Answer {
        try decode(try await send(.PUT, path, body).body)
    }

    func post(_ path: String) async throws {
        _ = try await send(.POST, path, Nothing?.none)
    }

    /// Posts a message that nothing is answered to.
    func tell(_ path: String, _ body: some Encodable) async throws {
        _ = try await send(.POST, path, body)
    }

    /// What is deleted may have to be taken down first, so it waits longer.
    func delete(_ path: String) async throws {
        _ = try await send(.DELETE, path, Nothing?.none, limit: .minutes(10))
    }

    /// A name as a part of a path, whatever it holds.
    static func part(_ name: String) -> String {
        name.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            let isPlain = character.isASCII && (character.isLetter || character.isNumber || "-._~".contains(character))
            return isPlain ? String(character) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    private struct Nothing: Encodable {}

    private static func text(of query: [(String, String?)]) -> String {
        let pairs = query.compactMap { name, value in value.map { "\(name)=\(part($0))" } }
        return pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&")
    }

    private func decode<Answer: Decodable>(_ body: Data, as _: Answer.Type = Answer.self) throws -> Answer {
        do {
            return try JSONDecoder().decode(Answer.self, from: body)
        } catch {
            throw CommandFailure.unreadable(reason: "\(error)")
        }
    }

    /// Events as they come, each with its word and its data.
    /// - Throws: ``CommandFailure`` when the stream ends.
    func events(_ path: String, _ take: (_ event: String, _ data: String) throws -> Void) async throws {
        let connection = try await connect { channel in
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            return try Stream(wrappingChannelSynchronously: channel)
        }
        do {
            try await connection.executeThenClose { inbound, outbound in
                try await outbound.write(contentsOf: [.head(Self.head(.GET, path, length: 0)), .end(nil)])
                var reader = EventReader()
                for try await part in inbound {
                    switch part {
                    case .head(let head) where head.status != .ok: throw CommandFailure.unreadable(reason: "status \(head.status.code)")
                    case .body(let bytes): try reader.read(bytes.readableBytesView, take)
                    case .head, .end: break
                    }
                }
            }
            throw CommandFailure.notReachable(socket: socket, reason: "the stream has ended")
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure.notReachable(socket: socket, reason: "the connection broke: \(error)")
        }
    }

    private struct Answer {
        let body: Data
        /// Where a list goes on, under `/api/v1/`.
        let next: String?
    }

    private static func head(_ method: HTTPMethod, _ path: String, length: Int) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: "/api/v1/" + path)
        head.headers = ["Host": "punnetd", "Connection": "close", "Content-Length": "\(length)"]
        return head
    }

    /// The address that a header `Link` names as the next: `</api/v1/seats?after=pi-7>; rel="next"`.
    private static func next(in headers: HTTPHeaders) -> String? {
        guard let link = headers.first(name: "Link"), link.hasPrefix("</api/v1/"), let end = link.firstIndex(of: ">"),
            link[end...].contains("rel=\"next\"")
        else { return nil }
        return String(link[..<end].dropFirst("</api/v1/".count))
    }

    /// Sends one request and gives the body of its answer.
    /// - Throws: ``CommandFailure`` for everything but success.
    private func send(
        _ method: HTTPMethod, _ path: String, _ body: (some Encodable)?, limit: TimeAmount = .seconds(120)
    ) async throws -> Answer {
        let connection = try await connect { channel in
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            try channel.pipeline.syncOperations.addHandler(NIOHTTPClientResponseAggregator(maxContentLength: 16 << 20))
            return try Connection(wrappingChannelSynchronously: channel)
        }
        let deadline = connection.channel.eventLoop.scheduleTask(in: limit) { connection.channel.close(promise: nil) }
        defer { deadline.cancel() }
        let payload = try body.map { ByteBuffer(bytes: try JSONEncoder().encode($0)) }
        let answer: NIOHTTPClientResponseFull?
        do {
            answer = try await connection.executeThenClose { inbound, outbound in
                var head = Self.head(method, path, length: payload?.readableBytes ?? 0)
                if payload != nil { head.headers.add(name: "Content-Type", value: "application/json") }
                let body: [HTTPClientRequestPart] = payload.map { [.body(.byteBuffer($0))] } ?? []
                // At once: an answer that needs no body may end the connection before the rest is written.
                try await outbound.write(contentsOf: [.head(head)] + body + [.end(nil)])
                for try await answer in inbound { return answer }
                return nil
            }
        } catch {
            throw CommandFailure.notReachable(socket: socket, reason: "the connection broke: \(error)")
        }
        guard let answer else { throw CommandFailure.noAnswer(seconds: limit.nanoseconds / 1_000_000_000) }
        let data = Data(answer.body?.readableBytesView ?? ByteBufferView())
        if (200..<300).contains(answer.head.status.code) { return Answer(body: data, next: Self.next(in: answer.head.headers)) }
        guard let problem = try? JSONDecoder().decode(Problem.self, from: data) else {
            throw CommandFailure.unreadable(reason: "status \(answer.head.status.code)")
        }
        throw CommandFailure.refused(problem)
    }

    private func connect<Opened: Sendable>(_ open: @escaping @Sendable (any Channel) throws -> Opened) async throws -> Opened {
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connectTimeout(.seconds(10))
                .connect(unixDomainSocketPath: socket) { channel in
                    channel.eventLoop.makeCompletedFuture { try open(channel) }
                }
        } catch let error as IOError where error.errnoCode == EACCES || error.errnoCode == EPERM {
            throw CommandFailure.notPermitted(detail: "this user may not speak to punnetd at \(socket)")
        } catch let error as IOError {
            throw CommandFailure.notReachable(socket: socket, reason: Self.words(of: error.errnoCode))
        } catch {
            throw CommandFailure.notReachable(socket: socket, reason: "\(error)")
        }
    }

    private static func words(of code: CInt) -> String {
        switch code {
        case ENOENT: "there is no socket"
        case ECONNREFUSED: "nobody answers"
        default: String(cString: strerror(code))
        }
    }
}
