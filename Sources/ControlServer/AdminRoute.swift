import HTTPTypes
import Hummingbird

/// One address of the administrators' part with what it takes and answers.
struct AdminRoute<Context: AdministratorContext>: Sendable {
    let method: HTTPRequest.Method
    /// Under `/api/v1/`; what begins with a colon is a name of the request.
    let path: String
    let summary: String
    let query: [RouteQuery]
    /// The schema of the body; nil where none is read.
    let body: String?
    let answer: RouteAnswer
    /// The statuses by which it refuses, beside those of every address.
    let refusals: [Int]
    /// Whether it makes something, so that the request may carry an `Idempotency-Key`.
    let creates: Bool
    let handler: @Sendable (Request, Context) async throws -> Response

    init(
        _ method: HTTPRequest.Method, _ path: String, _ summary: String, query: [RouteQuery] = [], body: String? = nil, answer: RouteAnswer,
        refusals: [Int] = [], creates: Bool = false, handler: @escaping @Sendable (Request, Context) async throws -> Response
    ) {
        self.method = method
        self.path = path
        self.summary = summary
        self.query = query
        self.body = body
        self.answer = answer
        self.refusals = refusals
        self.creates = creates
        self.handler = handler
    }
}

/// A value of the address' query.
struct RouteQuery: Sendable {
    enum Kind: Sendable {
        case text, name, flag
        case number(ClosedRange<Int>)
        case word([String])
    }

    let name: String
    let meaning: String
    let kind: Kind

    init(_ name: String, _ meaning: String, _ kind: Kind) {
        self.name = name
        self.meaning = meaning
        self.kind = kind
    }

    init(_ name: String, _ meaning: String, _ range: ClosedRange<Int>) { self.init(name, meaning, .number(range)) }
}

/// What is answered where nothing is refused: a schema's name, or none.
enum RouteAnswer: Sendable {
    case ok(String)
    case list(String)
    case created(String)
    case accepted(String)
    case acceptedOnly
    case nothing
    case text
    /// A stream of server-sent events.
    case events

    /// The schema of its body; nil where there is none, or it is a text.
    var schema: JSON? {
        switch self {
        case .ok(let name), .created(let name), .accepted(let name): OpenAPI.reference(name)
        case .list(let name): ["type": "array", "items": OpenAPI.reference(name)]
        case .acceptedOnly, .nothing, .text, .events: nil
        }
    }

    /// The media type of a body that is no JSON.
    var textType: String? {
        switch self {
        case .text: "text/plain"
        case .events: "text/event-stream"
        default: nil
        }
    }

    var isList: Bool { if case .list = self { true } else { false } }

    var status: Int {
        switch self {
        case .ok, .list, .text, .events: 200
        case .created: 201
        case .accepted, .acceptedOnly: 202
        case .nothing: 204
        }
    }
}
