import ControlAPI
import FoundationEssentials
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// Where requests come in and answers go out: every answer gets the date and the listener's headers, whatever made it.
func edge<R: HTTPResponder>(_ responder: R, headers: HTTPFields, logger: Logger) -> HTTPChannelHandler.Responder
where R.Context: InitializableFromSource<ApplicationRequestContextSource> {
    { request, writer, channel in
        let context = R.Context(source: ApplicationRequestContextSource(channel: channel, logger: logger))
        var response: Response
        do {
            response = try await responder.respond(to: request, context: context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            response = Problem(failure: error, audience: .seat, logger: logger).response
        }
        // What a file may be kept for, it says itself.
        let keeping = response.headers[.cacheControl]
        for field in headers { response.headers[field.name] = field.value }
        if let keeping { response.headers[.cacheControl] = keeping }
        response.headers[.date] = HTTPDate.now
        try await writer.write(response: response.head, body: response.body)
    }
}

/// What answers every request with one problem.
func refusing(_ problem: Problem) -> CallbackResponder<BasicRequestContext> {
    CallbackResponder { _, _ in problem.response }
}

/// Makes a problem of every error, so that no answer is without a body that says what to do.
struct ProblemMiddleware<Context: RequestContext>: RouterMiddleware {
    let audience: Problem.Audience

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            return Problem(failure: error, audience: audience, logger: context.logger).response
        }
    }
}

extension HTTPFields {
    /// A browser that comes by accident is told to keep nothing and to run nothing.
    static var forSeats: HTTPFields {
        var fields = forAdministrators
        fields[.strictTransportSecurity] = "max-age=31536000"
        fields[.contentSecurityPolicy] = "default-src 'none'; frame-ancestors 'none'"
        return fields
    }

    /// The panel's pages: nothing but what this appliance sends itself, in no other page's frame, told to nobody.
    static var forBrowsers: HTTPFields {
        var fields = forSeats
        fields[.contentSecurityPolicy] =
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            + "frame-ancestors 'none'"
        fields[.referrerPolicy] = "same-origin"
        fields[.openerPolicy] = "same-origin"
        fields[.frameOptions] = "DENY"
        return fields
    }

    static var forAdministrators: HTTPFields {
        var fields = HTTPFields()
        fields[.xContentTypeOptions] = "nosniff"
        fields[.cacheControl] = "no-store"
        return fields
    }
}

extension Response {
    /// A JSON body.
    init(_ value: some Encodable, status: HTTPResponse.Status = .ok, mediaType: String = "application/json") throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let body = try encoder.encode(value)
        self.init(status: status, headers: [.contentType: mediaType], body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension Request {
    /// Decodes the body, which may have at most `limit` bytes.
    /// - Throws: `NIOTooManyBytesError`, or a ``Problem`` that names the field.
    func message<Message: Decodable>(_ type: Message.Type = Message.self, upTo limit: Int) async throws -> Message {
        let untrustedBody = try await body.collect(upTo: limit)
        do {
            return try JSONDecoder().decode(Message.self, from: Data(untrustedBody.readableBytesView))
        } catch let error as DecodingError {
            throw Problem.unreadable(error)
        }
    }
}

extension HTTPField.Name {
    fileprivate static let referrerPolicy = Self("Referrer-Policy")!
    fileprivate static let openerPolicy = Self("Cross-Origin-Opener-Policy")!
    fileprivate static let frameOptions = Self("X-Frame-Options")!
}

/// Dates as HTTP writes them.
enum HTTPDate {
    static var now: String { text(time(nil)) }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    static func text(_ seconds: time_t) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][Int(parts.tm_wday)]
        let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][Int(parts.tm_mon)]
        let clock = [parts.tm_hour, parts.tm_min, parts.tm_sec].map(twoDigits).joined(separator: ":")
        return "\(weekday), \(twoDigits(parts.tm_mday)) \(month) \(parts.tm_year + 1900) \(clock) GMT"
    }

    private static func twoDigits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
