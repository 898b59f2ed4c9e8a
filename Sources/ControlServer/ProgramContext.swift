import Broker
import ControlAPI
import DesktopModel
import HTTPTypes
import Hummingbird

/// A program's request over HTTPS: behind its token, who made that.
struct ProgramContext: AdministratorContext {
    var coreContext: CoreRequestContextStorage
    let peer: PeerAddress
    fileprivate(set) var person: Person?
    fileprivate(set) var tokenName = ""
    fileprivate var token = ""

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = PeerAddress(source.channel.remoteAddress)
    }

    func author() async -> (name: String, origin: String) { (person.map { "\($0.name) (\(tokenName))" } ?? "", peer.description) }

    func isStillLetIn(by people: PeopleRegistry) async throws -> Bool { try await people.bearer(of: token)?.person.role == .administrator }
}

/// Lets a program in by its token, which must be an administrator's, and may be good for reading alone.
struct ProgramAuthentication: RouterMiddleware {
    let people: PeopleRegistry

    func handle(
        _ request: Request, context: ProgramContext, next: (Request, ProgramContext) async throws -> Response
    ) async throws -> Response {
        guard let token = Untrusted.bearerToken(request.headers[.authorization]), let bearer = try await people.bearer(of: token) else {
            throw Problem.programTokenRefused
        }
        guard bearer.person.role == .administrator else { throw Problem.forAdministrators }
        guard bearer.token.mayChange || request.method == .get || request.method == .head else { throw Problem.readsOnly }
        var context = context
        context.person = bearer.person
        context.tokenName = bearer.token.name
        context.token = token
        return try await next(request, context)
    }
}
