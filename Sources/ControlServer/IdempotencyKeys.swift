import Broker
import ControlAPI
import HTTPTypes
import Hummingbird
import Identity
import NIOCore
import Synchronization

/// What was answered to requests that carry a key of their sender, so that a request that is sent again is not done again.
///
/// Only what was done is kept: a request that was refused did nothing, and its key is good for another try. Kept in memory, for a day and of at
/// most some hundreds of requests: the answer of a seat's adding holds its word, which is written nowhere, and an operation that an answer names
/// ends with the process too.
/// - SeeAlso: IETF, draft-ietf-httpapi-idempotency-key-header
final class IdempotencyKeys: Sendable {
    static let lifetime = Duration.seconds(86_400)

    private struct Key: Hashable {
        let author: String
        let text: String
    }

    private struct Answer {
        let status: HTTPResponse.Status
        let headers: HTTPFields
        let body: ByteBuffer

        var response: Response { Response(status: status, headers: headers, body: ResponseBody(byteBuffer: body)) }
    }

    private struct Entry {
        /// SHA-256 of method, path and body.
        let request: [UInt8]
        let since: ContinuousClock.Instant
        /// Nil while it is worked on.
        var answer: Answer?
    }

    private let most: Int
    private let now: @Sendable () -> ContinuousClock.Instant
    private let entries = Mutex<[Key: Entry]>([:])

    init(most: Int = 500, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }) {
        self.most = most
        self.now = now
    }

    /// The first answer again where the same author sent the same request under this key before; else the answer of the work, which is kept.
    func answer(
        to request: Request, key untrustedKey: String, by author: String, upTo limit: Int, _ work: (Request) async throws -> Response
    ) async throws -> Response {
        let key = Key(author: author, text: try Untrusted.idempotencyKey(untrustedKey))
        var request = request
        let body = try await request.collectBody(upTo: limit)
        let digest = Digest.sha256(Array("\(request.method.rawValue) \(request.uri.path)\n".utf8) + Array(body.readableBytesView))
        if let known = try begin(key, digest) { return known.response }
        do {
            let response = try await work(request)
            let collector = BodyCollector()
            try await response.body.write(collector)
            let answer = Answer(status: response.status, headers: response.headers, body: collector.body)
            entries.withLock { $0[key]?.answer = answer }
            return answer.response
        } catch {
            entries.withLock { $0[key] = nil }
            throw error
        }
    }

    private func begin(_ key: Key, _ digest: [UInt8]) throws(Problem) -> Answer? {
        let found: Result<Answer?, Problem> = entries.withLock { entries in
            entries = entries.filter { now() - $0.value.since < Self.lifetime }
            if let entry = entries[key] {
                guard entry.request == digest else { return .failure(.keyReused(key.text)) }
                guard let answer = entry.answer else { return .failure(.stillWorkedOn) }
                return .success(answer)
            }
            if entries.count >= most, let oldest = entries.filter({ $0.value.answer != nil }).min(by: { $0.value.since < $1.value.since }) {
                entries[oldest.key] = nil
            }
            entries[key] = Entry(request: digest, since: now())
            return .success(nil)
        }
        return try found.get()
    }
}

/// Keeps the body of an answer instead of sending it.
private final class BodyCollector: ResponseBodyWriter {
    private(set) var body = ByteBuffer()
    func write(_ buffer: ByteBuffer) async throws { body.writeImmutableBuffer(buffer) }
    func finish(_: HTTPFields?) async throws {}
}

extension Problem {
    fileprivate static let stillWorkedOn = Problem(
        kind: "still-worked-on", title: "Still worked on", status: 409, detail: Declined.stillWorkedOn(),
        remedy: Declined.askAgain(), retryAfterSeconds: 1)

    fileprivate static func keyReused(_ key: String) -> Problem {
        Problem(
            kind: "key-reused", title: "Key used before", status: 422, detail: Declined.keyReused(),
            field: "Idempotency-Key", value: key, remedy: Declined.useOtherKey())
    }
}

extension HTTPField.Name {
    static let idempotencyKey = Self("Idempotency-Key")!
}
