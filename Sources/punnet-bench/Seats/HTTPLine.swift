import FoundationEssentials
import Identity
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Speaks HTTP/1.1 with punnetd, a connection for each request, as `punnet` and `punnet-seat` do.
struct HTTPLine: Sendable {
    enum Way: Sendable {
        /// The administrators' socket.
        case socket(path: String)
        /// The seats' port; the server's key must have this pin, and the connection comes from this address.
        case https(host: String, port: Int, pin: String, from: String)
    }

    struct Answer: Sendable {
        let status: Int
        let body: Data
    }

    let way: Way
    var token: String?

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    /// Asks once. Throws where there is no answer within 30 seconds.
    func ask(_ method: HTTPMethod, _ path: String, _ body: (any Encodable & Sendable)? = nil) async throws -> Answer {
        let connection = try await connect()
        let deadline = connection.channel.eventLoop.scheduleTask(in: .seconds(30)) { connection.channel.close(promise: nil) }
        defer { deadline.cancel() }
        let payload = try body.map { ByteBuffer(bytes: try JSONEncoder().encode($0)) }
        return try await connection.executeThenClose { inbound, outbound in
            try await send(method, path, payload, to: outbound)
            var status = 0
            var body = ByteBuffer()
            for try await part in inbound {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(var piece): body.writeBuffer(&piece)
                case .end: return Answer(status: status, body: Data(body.readableBytesView))
                }
            }
            throw NoAnswer(path: path)
        }
    }

    /// Reads a stream of server-sent events until it ends or the task is cancelled; tells each event's name and data.
    func listen(_ path: String, onOpen: () async -> Void, _ tell: (_ event: String, _ data: Data) async -> Void) async throws {
        try await connect().executeThenClose { inbound, outbound in
            try await send(.GET, path, nil, to: outbound)
            var line: [UInt8] = []
            var event = ""
            var data = Data()
            for try await part in inbound {
                switch part {
                case .head(let head):
                    guard head.status == .ok else { throw NoAnswer(path: path) }
                    await onOpen()
                case .end: return
                case .body(let piece):
                    for byte in piece.readableBytesView {
                        guard byte == UInt8(ascii: "\n") else {
                            line.append(byte)
                            continue
                        }
                        if line.isEmpty, !event.isEmpty {
                            await tell(event, data)
                            (event, data) = ("", Data())
                        } else if let value = Self.value(of: "event", in: line) {
                            event = String(decoding: value, as: UTF8.self)
                        } else if let value = Self.value(of: "data", in: line) {
                            data += value
                        }
                        line = []
                    }
                }
            }
        }
    }

    private static func value(of field: String, in line: [UInt8]) -> ArraySlice<UInt8>? {
        guard line.starts(with: Array((field + ":").utf8)) else { return nil }
        let value = line.dropFirst(field.utf8.count + 1)
        return value.first == UInt8(ascii: " ") ? value.dropFirst() : value
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ payload: ByteBuffer?, to outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>
    ) async throws {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
        head.headers = ["Host": "punnetd", "Connection": "close", "Content-Length": "\(payload?.readableBytes ?? 0)"]
        if let token { head.headers.add(name: "Authorization", value: "Bearer " + token) }
        if payload != nil { head.headers.add(name: "Content-Type", value: "application/json") }
        let body: [HTTPClientRequestPart] = payload.map { [.body(.byteBuffer($0))] } ?? []
        // At once: an answer that needs no body may end the connection before the rest is written.
        try await outbound.write(contentsOf: [.head(head)] + body + [.end(nil)])
    }

    private func connect() async throws -> Connection {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(.seconds(10))
        switch way {
        case .socket(let path):
            return try await bootstrap.connect(unixDomainSocketPath: path) { channel in
                channel.eventLoop.makeCompletedFuture { try Self.wrap(channel) }
            }
        case .https(let host, let port, let pin, let from):
            return try await bootstrap.bind(to: try SocketAddress(ipAddress: from, port: 0))
                .connect(to: try SocketAddress(ipAddress: host, port: port)) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            try PinnedTLS.handler {
                                "sha256//" + Base64.text(of: Digest.sha256(try $0.extractPublicKey().toSPKIBytes())) == pin
                            })
                        return try Self.wrap(channel)
                    }
                }
        }
    }

    private static func wrap(_ channel: any Channel) throws -> Connection {
        try channel.pipeline.syncOperations.addHTTPClientHandlers()
        return try Connection(wrappingChannelSynchronously: channel)
    }
}

struct NoAnswer: Error, CustomStringConvertible {
    let path: String
    var description: String { "no answer to \(path)" }
}

/// TLS with a server that is known by its certificate or key alone, as nobody vouches for a self-signed one.
enum PinnedTLS {
    static func handler(_ isRight: @escaping @Sendable (NIOSSLCertificate) throws -> Bool) throws -> NIOSSLClientHandler {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .noHostnameVerification
        configuration.minimumTLSVersion = .tlsv12
        return try NIOSSLClientHandler(context: try NIOSSLContext(configuration: configuration), serverHostname: nil) { chain, verdict in
            let right = (try? chain.first.map(isRight)) ?? false
            verdict.succeed(right ? .certificateVerified : .failed)
        }
    }
}
