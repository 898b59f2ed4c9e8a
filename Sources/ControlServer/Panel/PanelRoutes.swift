import Broker
import ControlAPI
import ControlPanel
import DesktopModel
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Identity
import Logging
import NIOCore
import NIOHTTP1

/// What browsers are served over HTTPS: the panel's pages and what their forms do.
struct PanelRoutes: Sendable {
    typealias Handler = @Sendable (PanelRoutes, Visit) async throws -> PanelAnswer

    /// One address of the panel with who may use it. There is none but those of the table.
    struct Route: Sendable {
        let method: HTTPRequest.Method
        let path: String
        let access: PanelAccess
        let handler: Handler
    }

    let pages: Pages
    let administration: Administration
    let seats: SeatRegistry
    let joins: SeatJoins
    let people: PeopleRegistry
    let operations: Operations
    let enrolment: Enrolment
    /// The interface for programs, for people to read.
    let interface: [APIOperation]
    /// The folder of the image that came with the server.
    let shippedImage: String
    /// What browsers are shown that ask for one of its names.
    let certificate: BrowserCertificate
    /// SHA-256 of the appliance's own certificate, with colons.
    let certificateFingerprint: String
    /// Wrong passwords and codes: of one address, so that nobody can lock another out.
    var attempts = Attempts(inAll: nil)
    /// Refused sign-ins that the journal takes in: a flood of them fills no disk.
    var failuresNoted = Attempts(inAll: .init(burst: 60, refill: .seconds(60)))
    var stream = EventStream()

    /// All of the panel. What is not signed in, or may not, gets no further than this.
    static let table: [Route] =
        [
            Route(method: .get, path: "first-start", access: .anyone) { try await $0.showFirstStart($1) },
            Route(method: .post, path: "first-start", access: .anyone) { try await $0.beginFirstStart($1) },
            Route(method: .get, path: "sign-in", access: .anyone) { try await $0.showSignIn($1) },
            Route(method: .post, path: "sign-in", access: .anyone) { try await $0.signIn($1) },
            Route(method: .post, path: "sign-out", access: .signedIn) { try await $0.signOut($1) },
            Route(method: .post, path: "panel/language", access: .anyone) { $0.chooseLanguage($1) },
            Route(method: .get, path: "panel/events", access: .signedIn) { try await $0.events($1) },
            Route(method: .get, path: "panel/:file", access: .anyone) { try $0.file($1) },

            Route(method: .get, path: "/", access: .signedIn) { try await $0.showRoom($1) },
            Route(method: .post, path: "panel/sessions/end", access: .signedIn) { try await $0.endSessionsOfSeats($1) },
            Route(method: .post, path: "panel/seats/order", access: .signedIn) { try await $0.orderSeats($1) },

            Route(method: .get, path: "labs", access: .signedIn) { try await $0.showLabs($1) },
            Route(method: .get, path: "labs/new", access: .administrator) { try await $0.showNewLab($1) },
            Route(method: .post, path: "labs/new", access: .administrator) { try await $0.createLab($1) },
            Route(method: .get, path: "labs/:name", access: .administrator) { try await $0.showLab($1) },
            Route(method: .post, path: "labs/:name", access: .administrator) { try await $0.changeLab($1) },
            Route(method: .post, path: "labs/:name/delete", access: .administrator) { try await $0.deleteLab($1) },

            Route(method: .get, path: "desktops", access: .signedIn) { try await $0.showDesktops($1) },
            Route(method: .get, path: "desktops/:name", access: .signedIn) { try await $0.showDesktop($1) },
            Route(method: .post, path: "desktops/:name/hardware", access: .administrator) { try await $0.changeHardware($1) },
            Route(method: .post, path: "desktops/:name/remake", access: .signedIn) { try await $0.remakeDesktop($1) },
            Route(method: .post, path: "desktops/:name/quarantine", access: .administrator) { try await $0.quarantineDesktop($1) },
            Route(method: .post, path: "desktops/:name/release", access: .administrator) { try await $0.releaseDesktop($1) },
            Route(method: .post, path: "panel/desktops/remake", access: .signedIn) { try await $0.remakeDesktops($1) },

            Route(method: .get, path: "images", access: .administrator) { try await $0.showImages($1) },
            Route(method: .post, path: "panel/images/add", access: .administrator) { try await $0.addImage($1) },
            Route(method: .post, path: "panel/operations/:id/cancel", access: .administrator) { try await $0.cancelOperation($1) },
            Route(method: .get, path: "images/:name", access: .administrator) { try await $0.showImage($1) },
            Route(method: .post, path: "images/:name", access: .administrator) { try await $0.changeImage($1) },
            Route(method: .post, path: "images/:name/give", access: .administrator) { try await $0.giveImage($1) },
            Route(method: .post, path: "images/:name/delete", access: .administrator) { try await $0.deleteImage($1) },

            Route(method: .get, path: "seats", access: .signedIn) { try await $0.showSeats($1) },
            Route(method: .get, path: "seats/new", access: .administrator) { try await $0.showNewSeat($1) },
            Route(method: .post, path: "seats/new", access: .administrator) { try await $0.addSeat($1) },
            Route(method: .get, path: "seats/:name", access: .signedIn) { try await $0.showSeat($1) },
            Route(method: .post, path: "panel/joins/:pin/accept", access: .administrator) { try await $0.acceptJoin($1) },
            Route(method: .post, path: "panel/joins/:pin/refuse", access: .administrator) { try await $0.refuseJoin($1) },
            Route(method: .post, path: "panel/seats/:name/place", access: .administrator) { try await $0.placeSeat($1) },
            Route(method: .post, path: "panel/seats/:name/name", access: .administrator) { try await $0.renameSeat($1) },
            Route(method: .post, path: "panel/seats/:name/lab", access: .administrator) { try await $0.moveSeat($1) },
            Route(method: .post, path: "panel/seats/:name/block", access: .administrator) { try await $0.blockSeat($1, true) },
            Route(method: .post, path: "panel/seats/:name/unblock", access: .administrator) { try await $0.blockSeat($1, false) },
            Route(method: .post, path: "seats/:name/remove", access: .administrator) { try await $0.removeSeat($1) },

            Route(method: .get, path: "sessions", access: .signedIn) { try await $0.showSessions($1) },
            Route(method: .get, path: "figures", access: .signedIn) { try await $0.showFigures($1) },
            Route(method: .get, path: "sessions.csv", access: .signedIn) { try await $0.sessionsAsCSV($1) },
            Route(method: .post, path: "panel/sessions/:id/end", access: .signedIn) { try await $0.endSession($1) },

            Route(method: .get, path: "journal", access: .administrator) { try await $0.showJournal($1) },
            Route(method: .get, path: "settings", access: .signedIn) { try await $0.showSettings($1) },
            Route(method: .get, path: "api", access: .administrator) { .page($0.pages.api($0.interface, for: $1.viewer())) },
            Route(method: .post, path: "panel/people/add", access: .administrator) { try await $0.addPerson($1) },
            Route(method: .post, path: "panel/people/:id/remove", access: .administrator) { try await $0.removePerson($1) },
            Route(method: .post, path: "panel/tokens/add", access: .administrator) { try await $0.addToken($1) },
            Route(method: .post, path: "panel/tokens/:id/remove", access: .administrator) { try await $0.removeToken($1) },
            Route(method: .post, path: "panel/certificate", access: .administrator) { try await $0.giveCertificate($1) },
            Route(method: .post, path: "panel/certificate/remove", access: .administrator) { try await $0.removeCertificate($1) },
            Route(method: .post, path: "panel/password", access: .signedIn) { try await $0.changePassword($1) },
            Route(method: .post, path: "panel/sign-out-everywhere", access: .signedIn) { try await $0.signOutEverywhere($1) },
        ]

    func responder() -> RouterResponder<PanelContext> {
        let router = Router(context: PanelContext.self)
        router.add(middleware: PanelProblemMiddleware(routes: self))
        for route in Self.table {
            router.on(RouterPath(route.path), method: route.method) { request, context in
                try await answer(request, context, route)
            }
        }
        return router.buildResponder()
    }

    // MARK: The way in

    private func answer(_ request: Request, _ context: PanelContext, _ route: Route) async throws -> Response {
        let visit = try await visit(request, context)
        if route.method == .post, !Self.isFromThisPanel(request) || visit.token == nil || visit.form["csrf"] != visit.csrf {
            return try page(visit, .forbidden, visit.texts("error.csrf"))
        }
        let isStart = route.path.hasPrefix("first-start") || route.path.hasPrefix("panel/:file") || route.path.hasPrefix("panel/language")
        if !isStart, try await !people.hasPeople() { return Self.redirect(to: "/first-start") }
        switch (route.access, visit.person) {
        case (.anyone, _), (.signedIn, .some): break
        case (.administrator, .some(let person)) where person.role == .administrator: break
        case (_, .some): return try page(visit, .forbidden, visit.texts("error.forbidden"))
        case (_, nil): return Self.redirect(to: "/sign-in" + (route.method == .get ? "?back=\(Self.encoded(request.uri.string))" : ""))
        }
        switch try await route.handler(self, visit) {
        case .page(let html, let status): return Self.page(html, status)
        case .redirect(let path, let done): return Self.redirect(to: path + (done.map { (path.contains("?") ? "&" : "?") + "done=\($0)" } ?? ""))
        case .whole(let response): return response
        }
    }

    private func visit(_ request: Request, _ context: PanelContext) async throws -> Visit {
        let token = request.cookies[PanelCookie.token].flatMap { Token(untrusted: $0.value) }
        // What the page fetches by itself does not keep a sign-in from ending.
        let isUse = request.headers[.live] == nil
        var person: Person?
        if let token { person = try await people.person(signedInWith: token, isUse: isUse) }
        let chosen = request.cookies[PanelCookie.language].flatMap { Language(rawValue: $0.value) }
        let language = chosen ?? Language(acceptedBy: request.headers[.acceptLanguage])
        var form = Form(untrustedText: request.uri.query ?? "")
        if request.method == .post {
            form = Form(untrustedText: String(buffer: try await request.body.collect(upTo: Form.bodyLimit)))
        }
        return Visit(
            request: request, parameters: context.parameters, peer: context.peer, logger: context.logger, token: token, person: person,
            texts: pages.files.texts(language), form: form)
    }

    /// Whether a browser says that one of this appliance's own pages sent this; every browser of today does.
    /// - SeeAlso: Fetch Metadata Request Headers, `Sec-Fetch-Site`; RFC 6454, `Origin`
    static func isFromThisPanel(_ request: Request) -> Bool {
        if let site = request.headers[.fetchSite] { return site == "same-origin" || site == "none" }
        guard let origin = request.headers[.origin] else { return true }
        return origin == "https://\(request.head.authority ?? "")"
    }

    // MARK: Answers

    static func page(_ html: String, _ status: HTTPResponse.Status = .ok) -> Response {
        Response(status: status, headers: [.contentType: "text/html; charset=utf-8"], body: ResponseBody(byteBuffer: ByteBuffer(string: html)))
    }

    /// A page that says what is not possible.
    func page(_ visit: Visit, _ status: HTTPResponse.Status, _ text: String, remedy: String? = nil) throws -> Response {
        Self.page(pages.problem(title: visit.texts("title.problem"), text: text, remedy: remedy, for: visit.viewer()), status)
    }

    static func redirect(to path: String) -> Response { Response(status: .seeOther, headers: [.location: path]) }

    /// For a query's value.
    static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || "-._~/".utf8.contains(byte)
            return isPlain ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    /// What a form asked for and was refused, in the viewer's words where the panel has them.
    func refusal(_ error: any Error, _ visit: Visit) throws -> Refusal {
        let problem = Problem(failure: error, audience: .administrator, logger: visit.logger)
        guard problem.status < 500 else { throw error }
        let (text, remedy) = Self.told(problem, visit.texts)
        return Refusal(text: text, field: problem.field, remedy: remedy)
    }

    /// What a problem says, and what to do where that does not say it already.
    static func told(_ problem: Problem, _ texts: Texts) -> (text: String, remedy: String?) {
        let (text, remedy) = (texts(problem.detail), problem.remedy.map { texts($0) })
        return (text, remedy.flatMap { text.contains($0) ? nil : $0 })
    }

    /// Writes into the journal what was done. That it was done stands, also where that fails.
    func note(_ visit: Visit, _ action: String, _ subject: String, _ detail: String = "", by name: String? = nil) async {
        do throws(BrokerError) {
            try await people.note(action, subject, detail, by: name ?? visit.person?.name ?? "", from: visit.peer.description)
        } catch {
            visit.logger.error("the journal cannot be written", metadata: ["action": "\(action)", "subject": "\(subject)", "error": "\(error)"])
        }
    }

    // MARK: Files and events

    private func file(_ visit: Visit) throws -> PanelAnswer {
        guard let file = pages.files.statics[try visit.parameter("file")] else { throw HTTPError(.notFound) }
        var headers: HTTPFields = [.contentType: file.mediaType, .eTag: file.tag, .cacheControl: "no-cache"]
        guard visit.request.headers[.ifNoneMatch] != file.tag else { return .whole(Response(status: .notModified, headers: headers)) }
        headers[.contentLength] = "\(file.bytes.count)"
        return .whole(Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes))))
    }

    /// Tells that the room has changed. It ends with the sign-in.
    private func events(_ visit: Visit) async throws -> PanelAnswer {
        guard let token = visit.token else { throw HTTPError(.unauthorized) }
        return .whole(
            stream.response(for: visit.request) { [administration, people] in
                EventStream.news(
                    at: await administration.changes(), from: (), whileLetIn: { try await people.person(signedInWith: token, isUse: false) != nil }
                ) { _ in .changed }
            } as: { $0 })
    }

    private func chooseLanguage(_ visit: Visit) -> PanelAnswer {
        guard let language = Language(rawValue: visit.form["to"]) else { return .redirect("/") }
        var response = Self.redirect(to: Self.ownPath(visit.form["back"]))
        response.setCookie(PanelCookie.cookie(PanelCookie.language, language.rawValue, seconds: 365 * 86_400))
        return .whole(response)
    }

    /// A path of this panel; the room where it is none.
    static func ownPath(_ untrustedText: String) -> String {
        let isOwn =
            untrustedText.hasPrefix("/") && !untrustedText.hasPrefix("//") && !untrustedText.hasPrefix("/\\")
            && untrustedText.utf8.count <= 500 && untrustedText.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x5c }
        return isOwn ? untrustedText : "/"
    }
}

/// Makes a page of every error.
private struct PanelProblemMiddleware: RouterMiddleware {
    let routes: PanelRoutes

    func handle(
        _ request: Request, context: PanelContext, next: (Request, PanelContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            let problem = Problem(failure: error, audience: .administrator, logger: context.logger)
            let chosen = request.cookies[PanelCookie.language].flatMap { Language(rawValue: $0.value) }
            let texts = routes.pages.files.texts(chosen ?? Language(acceptedBy: request.headers[.acceptLanguage]))
            let viewer = Viewer(person: nil, texts: texts, csrf: "", path: "/")
            let (text, remedy) = PanelRoutes.told(problem, texts)
            return PanelRoutes.page(
                routes.pages.problem(title: texts("title.problem"), text: text, remedy: remedy, for: viewer),
                HTTPResponse.Status(code: problem.status))
        }
    }
}

extension HTTPField.Name {
    static let fetchSite = Self("Sec-Fetch-Site")!
    static let live = Self("X-Punnet-Live")!
}
