import Broker
import ControlAPI
import DesktopModel
import HTTPTypes
import Hummingbird
import Logging
import ServiceLifecycle

/// A request of a seat, with the address it came from and, behind the token, whose it is.
struct SeatContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let peer: PeerAddress
    var seat: SeatID?

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = PeerAddress(source.channel.remoteAddress)
    }

    /// The seat whose token came with the request.
    func knownSeat() throws(Problem) -> SeatID {
        guard let seat else { throw .tokenRefused }
        return seat
    }
}

/// What seats are served over HTTPS.
struct SeatRoutes: Sendable {
    /// The most bytes that a seat's request may hold.
    static let bodyLimit = 4096

    let broker: SessionBroker
    let seats: SeatRegistry
    let joins: SeatJoins
    let relayPort: Int
    var attempts = Attempts()
    /// Requests to join: a class that is switched on at once may ask, and one seat now and then.
    var joinAttempts = Attempts(perAddress: .init(burst: 6, refill: .seconds(20)), inAll: .init(burst: 64, refill: .seconds(1)))
    /// How long a seat's question for the decision is kept open.
    var decisionWait = Duration.seconds(15)
    var stream = EventStream()

    private static let addresses: Set = ["/api/v1/seats/enrol", "/api/v1/join", "/health", "/ready"]

    /// Whether a request is a seat's.
    static func serves(_ request: Request) -> Bool {
        let path = request.uri.path
        return path.hasPrefix("/api/v1/seat/") || path.hasPrefix("/api/v1/join/") || addresses.contains(path)
    }

    func responder() -> RouterResponder<SeatContext> {
        let router = Router(context: SeatContext.self)
        router.add(middleware: ProblemMiddleware(audience: .seat))
        router.get("health") { _, _ in try Response(Health(status: "ok")) }
        router.get("ready") { _, _ in
            guard await broker.isServing else { throw BrokerError.unavailable }
            return try Response(Health(status: "ready"))
        }
        router.post("api/v1/seats/enrol", use: enrol)
        router.post("api/v1/join", use: join)
        router.post("api/v1/join/decision", use: decision)
        router.group("api/v1/seat").add(middleware: SeatAuthentication(seats: seats))
            .post("claim", use: claim)
            .post("sessions/:id/end", use: end)
            .put("health", use: health)
            .get("events", use: events)
        return router.buildResponder()
    }

    private func enrol(_ request: Request, _ context: SeatContext) async throws -> Response {
        if let wait = attempts.take(context.peer) { throw Problem.tooManyAttempts(retryAfter: wait) }
        let untrusted: EnrolRequest = try await request.message(upTo: Self.bodyLimit)
        let enrolled: (seat: SeatID, name: String, token: String)
        do throws(BrokerError) {
            enrolled = try await seats.enrol(word: try Untrusted.word(untrusted.word))
        } catch {
            if error == .wordRefused { context.logger.notice("enrolment refused", metadata: ["address": "\(context.peer)"]) }
            throw error
        }
        attempts.giveBack(context.peer)
        await joins.enrolled(with: untrusted.word)
        context.logger.notice("seat enrolled", metadata: ["seat": "\(enrolled.name)", "address": "\(context.peer)"])
        return try Response(EnrolAnswer(seat: enrolled.seat.rawValue, name: enrolled.name, token: enrolled.token))
    }

    private func join(_ request: Request, _ context: SeatContext) async throws -> Response {
        if let wait = joinAttempts.take(context.peer) { throw Problem.tooManyJoins(retryAfter: wait) }
        let untrusted: JoinRequest = try await request.message(upTo: Self.bodyLimit)
        let stranger = SeatStranger(
            untrustedModel: untrusted.model, untrustedVersion: untrusted.version, address: context.peer.description, counted: context.peer.counted)
        let (pin, drawn) = try await joins.ask(stranger, commitment: untrusted.commitment)
        context.logger.notice("a seat asks to join", metadata: ["pin": "\(pin)", "address": "\(context.peer)", "model": "\(stranger.model)"])
        return try Response(JoinAnswer(pin: pin, drawn: drawn, expiresInSeconds: Int(joins.bounds.lifetime.components.seconds)), status: .created)
    }

    private func decision(_ request: Request, _ context: SeatContext) async throws -> Response {
        let untrusted: JoinDecisionRequest = try await request.message(upTo: Self.bodyLimit)
        let decision = try await cancelWhenGracefulShutdown { try await joins.decision(forDrawn: untrusted.drawn, within: decisionWait) }
        return try Response(JoinDecisionAnswer(decision), status: decision == .undecided ? .accepted : .ok)
    }

    private func claim(_ request: Request, _ context: SeatContext) async throws -> Response {
        let untrusted: ClaimRequest = try await request.message(upTo: Self.bodyLimit)
        let answer = try await broker.claim(
            try context.knownSeat(), bootID: try Untrusted.bootID(untrusted.bootID), from: context.peer.description)
        switch answer {
        case .leased(let lease):
            return try Response(ClaimMessage.leased(LeaseMessage(lease, relayPort: relayPort)))
        case .waiting(let place):
            return try Response(ClaimMessage.waiting(place: place), status: .accepted)
        }
    }

    private func end(_ request: Request, _ context: SeatContext) async throws -> Response {
        let session = try Untrusted.sessionID(try context.parameters.require("id"))
        let untrusted: EndRequest = try await request.message(upTo: Self.bodyLimit)
        try await broker.end(session, of: try context.knownSeat(), reason: try Untrusted.seatReason(untrusted.reason))
        return Response(status: .noContent)
    }

    private func health(_ request: Request, _ context: SeatContext) async throws -> Response {
        let untrusted: HealthReport = try await request.message(upTo: Self.bodyLimit)
        await seats.report(try SeatHealth(untrusted), of: try context.knownSeat())
        return Response(status: .noContent)
    }

    private func events(_ request: Request, _ context: SeatContext) async throws -> Response {
        let seat = try context.knownSeat()
        return stream.response(for: request) { await broker.events(of: seat) } as: { try ServerSentEvent($0) }
    }
}

/// Finds the seat of a bearer token; without one that is known, nothing behind it is reached.
private struct SeatAuthentication: RouterMiddleware {
    let seats: SeatRegistry

    func handle(
        _ request: Request, context: SeatContext, next: (Request, SeatContext) async throws -> Response
    ) async throws -> Response {
        guard let token = Untrusted.bearerToken(request.headers[.authorization]), let seat = try await seats.seat(withToken: token) else {
            throw Problem.tokenRefused
        }
        var context = context
        context.seat = seat
        return try await next(request, context)
    }
}
