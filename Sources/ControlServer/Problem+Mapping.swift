import Broker
import ControlAPI
import DesktopModel
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// The one place where what went wrong becomes an HTTP status and a problem.
extension Problem {
    /// Who reads the problem: an administrator is told what lies beneath, a seat is not.
    enum Audience: Sendable {
        case seat, administrator
    }

    init(failure: any Error, audience: Audience, logger: Logger) {
        switch failure {
        case let problem as Problem:
            self = problem
        case let error as BrokerError:
            self.init(error, audience: audience)
            if status >= 500 { logger.error("request failed", metadata: ["error": "\(error)"]) }
        case is NIOTooManyBytesError:
            self = .bodyTooLarge
        case let error as HTTPError:
            self = .http(error.status)
        default:
            logger.error("request failed", metadata: ["error": "\(failure)"])
            self.init(
                kind: "internal", title: "Internal error", status: 500, detail: Declined.couldNotAnswer(),
                remedy: Declined.logTells())
        }
    }

    init(_ error: BrokerError, audience: Audience) {
        let detail = error.sentence
        switch error {
        case .noDesktops:
            self.init(kind: "no-desktops", title: "No desktops", status: 409, detail: detail)
        case .unknownLab, .unknownImage, .unknownDesktop, .unknownSeat, .unknownPerson, .unknownSession, .unknownJoin(.some):
            self.init(kind: "unknown", title: "Not found", status: 404, detail: detail)
        case .unknownJoin(nil):
            self.init(kind: "join-over", title: "Request over", status: 404, detail: detail)
        case .tooManyJoins:
            self = .tooManyJoins(retryAfter: .seconds(30))
        case .notYourSession:
            self.init(kind: "not-your-session", title: "Not your session", status: 403, detail: detail)
        case .wordRefused:
            self.init(kind: "word-refused", title: "Word refused", status: 403, detail: detail)
        case .nameTaken(_, let name):
            self.init(kind: "name-taken", title: "Name taken", status: 409, detail: detail, field: "name", value: name)
        case .seatIsOff:
            self.init(kind: "seat-off", title: "Seat is off", status: 409, detail: detail)
        case .seatIsBlocked(let name):
            self.init(kind: "seat-blocked", title: "Seat is blocked", status: 403, detail: detail, field: "seat", value: name)
        case .inUse:
            self.init(kind: "in-use", title: "In use", status: 409, detail: detail)
        case .invalid(let field, let value, let remedy):
            self.init(kind: "invalid", title: "Not possible", status: 422, detail: detail, field: field, value: value, remedy: remedy)
        case .doesNotFit(let asked, let holds, _, let limit):
            self.init(
                kind: "does-not-fit", title: "Does not fit", status: 409, detail: detail, field: "size", value: String(asked),
                remedy: limit.remedy(holds: holds))
        case .storage:
            self.init(
                kind: "storage", title: "Database not available", status: 503,
                detail: audience == .administrator ? detail : Declined.notWritten(), retryAfterSeconds: 5)
        case .hypervisor:
            self.init(
                kind: "hypervisor", title: "Refused by the server", status: 500,
                detail: audience == .administrator ? detail : Declined.notDone(), retryAfterSeconds: 5)
        case .unavailable:
            self.init(kind: "unavailable", title: "Not available now", status: 503, detail: detail, retryAfterSeconds: 2)
        }
    }

    /// The status, the header `Retry-After` where waiting helps, and the problem as the body.
    var response: Response {
        do {
            var response = try Response(self, status: HTTPResponse.Status(code: status), mediaType: Self.mediaType)
            if let retryAfterSeconds { response.headers[.retryAfter] = String(retryAfterSeconds) }
            if status == 401 { response.headers[.wwwAuthenticate] = "Bearer" }
            return response
        } catch {
            return Response(status: HTTPResponse.Status(code: status))
        }
    }

    static let bodyTooLarge = Problem(
        kind: "too-large", title: "Too large", status: 413, detail: Declined.bodyTooLarge())

    static let tokenRefused = Problem(
        kind: "token-refused", title: "Token refused", status: 401, detail: Declined.seatTokenRefused(),
        remedy: Declined.enrolAnew())

    static let programTokenRefused = Problem(
        kind: "token-refused", title: "Token refused", status: 401, detail: Declined.tokenRefused(),
        remedy: Declined.makeToken())

    static let readsOnly = Problem(
        kind: "reads-only", title: "Reads only", status: 403, detail: Declined.readsOnly(),
        remedy: Declined.makeTokenForChanges())

    static let forAdministrators = Problem(
        kind: "for-administrators", title: "For administrators", status: 403, detail: Declined.forAdministrators(),
        remedy: Declined.askAdministrator())

    static let notYours = Problem(
        kind: "not-yours", title: "Not yours", status: 403, detail: Declined.notYours(), remedy: Declined.askAdministrator())

    static let begunAlready = Problem(
        kind: "begun-already", title: "Begun already", status: 409, detail: Declined.begunAlready(),
        remedy: Declined.signIn())

    static func notPermitted(group: String) -> Problem {
        Problem(
            kind: "not-permitted", title: "Not permitted", status: 403,
            detail: Declined.notPermitted(group),
            remedy: Declined.useSudo())
    }

    static func tooManyAttempts(retryAfter: Duration) -> Problem {
        let seconds = seconds(of: retryAfter)
        return Problem(
            kind: "too-many-attempts", title: "Too many attempts", status: 429,
            detail: Declined.tooManyAttempts(seconds), retryAfterSeconds: seconds)
    }

    static func tooManyJoins(retryAfter: Duration) -> Problem {
        Problem(
            kind: "too-many-joins", title: "Too many ask to join", status: 429, detail: BrokerError.tooManyJoins.sentence,
            retryAfterSeconds: seconds(of: retryAfter))
    }

    /// Whole seconds to wait, at least one.
    private static func seconds(of wait: Duration) -> Int {
        max(1, Int(wait.components.seconds) + (wait.components.attoseconds > 0 ? 1 : 0))
    }

    static func invalid(_ field: String, value: String, remedy: Sentence) -> Problem {
        Problem(BrokerError.invalid(field: field, value: value, remedy: remedy), audience: .administrator)
    }

    static let noCertificate = Problem(
        kind: "no-certificate", title: "There is none", status: 404, detail: Declined.noCertificate(), remedy: Declined.giveOneOrLeave())

    static func certificateRefused(_ detail: Sentence) -> Problem {
        Problem(kind: "certificate-refused", title: "Not possible", status: 422, detail: detail, field: "chain", remedy: Declined.giveAnother())
    }

    static func unknownOperation(_ id: String) -> Problem {
        Problem(
            kind: "unknown", title: "Not found", status: 404,
            detail: Declined.unknownOperation(id))
    }

    /// What could not be decoded, with the field where it is known.
    static func unreadable(_ error: DecodingError) -> Problem {
        func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String? {
            let keys = context.codingPath.map(\.stringValue) + (last.map { [$0.stringValue] } ?? [])
            return keys.isEmpty ? nil : keys.joined(separator: ".")
        }
        let (field, detail): (String?, Sentence)
        switch error {
        case .keyNotFound(let key, let context):
            field = path(context, key)
            detail = Declined.fieldMissing(field ?? key.stringValue)
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            field = path(context)
            detail = Declined.fieldOfOtherType(field ?? "")
        case .dataCorrupted(let context):
            field = path(context)
            detail = field.map { Declined.fieldUnreadable($0) } ?? Declined.bodyNotJSON()
        @unknown default:
            field = nil
            detail = Declined.bodyUnreadable()
        }
        return Problem(kind: "unreadable", title: "Request not understood", status: 400, detail: detail, field: field)
    }

    private static func http(_ status: HTTPResponse.Status) -> Problem {
        switch status.code {
        case 404: Problem(kind: "no-such-address", title: "Not found", status: 404, detail: Declined.noSuchAddress())
        case 413: bodyTooLarge
        default: Problem(kind: "http", title: status.reasonPhrase, status: status.code, detail: Declined.notUnderstood())
        }
    }
}
