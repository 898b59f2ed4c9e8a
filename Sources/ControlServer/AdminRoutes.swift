import Broker
import ControlAPI
import DesktopModel
import HTTPTypes
import Hummingbird
import Identity
import NIOCore
import ServiceLifecycle

/// What a seat needs to enrol, as the line to type on it says it.
struct Enrolment: Sendable {
    /// `sha256//` and base64.
    let pin: String
    /// The appliance's addresses, the best first.
    let addresses: [String]
    let port: Int

    /// Where browsers find the panel.
    var panelAddresses: [String] {
        addresses.map { address in
            let host = address.contains(":") ? "[\(address)]" : address
            return "https://\(host)" + (port == 443 ? "/" : ":\(port)/")
        }
    }

    /// The complete line to type on the seat.
    func command(word: String) -> String { "punnet-seat enrol \(address) \(word) --pin \(pin)" }

    /// The line by which a seat asks to join.
    var joinCommand: String { "punnet-seat join \(address)" }

    private var address: String {
        let address = addresses.first ?? "ADDRESS"
        let host = address.contains(":") ? "[\(address)]" : address
        return port == 443 ? host : "\(host):\(port)"
    }
}

/// A request of an administrator: who it is, and from where, for the journal.
protocol AdministratorContext: RequestContext {
    func author() async -> (name: String, origin: String)
    /// Whether who asked may still be told, while an answer goes on.
    func isStillLetIn(by people: PeopleRegistry) async throws -> Bool
}

/// A request on the Unix socket; the kernel knows whose it is.
struct AdminContext: AdministratorContext {
    var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    func author() async -> (name: String, origin: String) {
        ((try? await PeerCredentials.read(channel).get().account()) ?? "", "server")
    }

    func isStillLetIn(by _: PeopleRegistry) async throws -> Bool { true }
}

/// The administrators' part of the interface: on the Unix socket, and over HTTPS for programs with a token.
struct AdminRoutes: Sendable {
    /// The most bytes that an administrator's request may hold.
    static let bodyLimit = 64 * 1024
    /// The longest that a watched operation lets its watcher wait, in seconds.
    static let longestWait = 30

    let administration: Administration
    let seats: SeatRegistry
    let joins: SeatJoins
    let operations: Operations
    let enrolment: Enrolment
    let people: PeopleRegistry
    let certificate: BrowserCertificate
    private let keys = IdempotencyKeys()

    init(
        administration: Administration, seats: SeatRegistry, joins: SeatJoins, operations: Operations, enrolment: Enrolment, people: PeopleRegistry,
        certificate: BrowserCertificate
    ) {
        self.administration = administration
        self.seats = seats
        self.joins = joins
        self.operations = operations
        self.enrolment = enrolment
        self.people = people
        self.certificate = certificate
    }

    /// What is served on the Unix socket.
    func responder() -> RouterResponder<AdminContext> {
        let router = Router(context: AdminContext.self)
        router.add(middleware: ProblemMiddleware(audience: .administrator))
        let api = router.group("api/v1")
        // Whoever has a token needs no code for the first start.
        api.post("first-start") { _, _ in try await drawCode() }
        add(to: api)
        return router.buildResponder()
    }

    /// What is served over HTTPS.
    func responderForPrograms() -> RouterResponder<ProgramContext> {
        let router = Router(context: ProgramContext.self)
        router.add(middleware: ProblemMiddleware(audience: .administrator))
        add(to: router.group("api/v1").add(middleware: ProgramAuthentication(people: people)))
        return router.buildResponder()
    }

    private func add<Context: AdministratorContext>(to api: RouterGroup<Context>) {
        for route in routes(of: Context.self) {
            api.on(RouterPath(route.path), method: route.method) { [keys] request, context in
                guard route.creates, let key = request.headers[.idempotencyKey] else { return try await route.handler(request, context) }
                return try await keys.answer(to: request, key: key, by: await context.author().name, upTo: Self.bodyLimit) {
                    try await route.handler($0, context)
                }
            }
        }
    }

    /// Every address of this part under `/api/v1`, with what ``OpenAPI`` says of it.
    func routes<Context: AdministratorContext>(of context: Context.Type) -> [AdminRoute<Context>] {
        [
            .init(.get, "room", "The room at a glance", answer: .ok("Room")) { _, _ in try Response(RoomMessage(try await administration.room())) },
            .init(.get, "metrics", "Numbers for Prometheus", answer: .text) { _, _ in try await metrics() },
            .init(.get, "openapi.json", "This description", answer: .ok("Description")) { _, _ in
                try Response(OpenAPI.document(of: routes(of: AdminContext.self)))
            },

            .init(
                .get, "events",
                "What changes: 'image', 'lab', 'desktop', 'seat', 'session' and 'operation', each as its list shows it, and 'removed'",
                answer: .events
            ) { try await events($0, $1) },
            .init(
                .get, "journal", "What was done, the newest first",
                query: ListLimit.byNumber + [
                    .init("who", "Only what this person or account did", .text), .init("action", "Only this, such as lab-change", .name),
                    .init("subject", "Only what was done to this", .text),
                ], answer: .list("JournalEntry"), refusals: [422]
            ) { request, _ in try await journal(request) },

            .init(
                .get, "images", "The versions of all images", query: ListLimit.byName + [.init("image", "Only the versions of this image", .name)],
                answer: .list("Image"), refusals: [422]
            ) { request, _ in try await images(request) },
            .init(
                .post, "images", "Take in the image of a folder on the server", body: "ImageAdd", answer: .accepted("Operation"), refusals: [422],
                creates: true
            ) { try await addImage($0, $1) },
            .init(.get, "images/:name", "A version of an image with what uses it", answer: .ok("Image"), refusals: [404, 422]) {
                try await image($0, $1)
            },
            .init(.patch, "images/:name", "Note something of it; accept or refuse that its desktops share an identity", body: "ImageChange", answer: .ok("Image"), refusals: [404, 422]) {
                try await changeImage($0, $1)
            },
            .init(.delete, "images/:name", "Delete a version of an image that nothing needs", answer: .nothing, refusals: [404, 409, 422]) {
                try await deleteImage($0, $1)
            },
            .init(
                .get, "operations", "Slow work that runs or is over, the newest first",
                query: ListLimit.query(after: .init("after", "Those that are older than the one of this id", .name)) + [
                    .init("state", "Only those that are so", .word(Self.operationStates))
                ], answer: .list("Operation"), refusals: [404, 422]
            ) { request, _ in try operationList(request) },
            .init(.post, "operations/:id/cancel", "Have slow work end; watch it until it has", answer: .ok("Operation"), refusals: [404, 409, 422]) {
                try await cancelOperation($0, $1)
            },
            .init(
                .get, "operations/:id", "How far slow work is",
                query: [
                    .init("wait", "How many seconds to wait for news", 0...Self.longestWait), .init("after", "The revision that is known already", 0...Int.max),
                ], answer: .ok("Operation"), refusals: [404, 422]
            ) { try await operation($0, $1) },

            .init(
                .get, "labs", "The labs with the state of their pools",
                query: ListLimit.byName + [.init("image", "Only those of this image, or of one version of it", .name)], answer: .list("Lab"),
                refusals: [422]
            ) { request, _ in try await labs(request) },
            .init(.post, "labs", "Make a lab", body: "LabDraft", answer: .created("Lab"), refusals: [404, 409, 422], creates: true) {
                try await createLab($0, $1)
            },
            .init(.patch, "labs/:name", "Change a lab", body: "LabChange", answer: .ok("Lab"), refusals: [404, 409, 422]) { try await changeLab($0, $1) },
            .init(.delete, "labs/:name", "Delete a lab and its desktops", answer: .nothing, refusals: [404, 409, 422]) { try await deleteLab($0, $1) },

            .init(
                .get, "desktops", "The desktops",
                query: ListLimit.byName + [
                    .init("lab", "Only those of this lab", .name), .init("state", "Only those that are so", .word(Self.desktopStates)),
                ], answer: .list("Desktop"), refusals: [404, 422]
            ) { try await desktops($0, $1) },
            .init(.get, "desktops/:name", "Why a desktop is as it is, and what happens next", answer: .ok("DesktopExplanation"), refusals: [404, 422]) {
                try await explainDesktop($0, $1)
            },
            .init(
                .patch, "desktops/:name", "Give a desktop hardware of its own, or tell what that would mean", body: "DesktopChange",
                answer: .ok("Consequences"), refusals: [404, 409, 422]
            ) { try await changeDesktop($0, $1) },
            .init(.post, "desktops/:name/remake", "Make a desktop anew; a session on it ends", answer: .acceptedOnly, refusals: [404, 409, 422]) {
                try await remakeDesktop($0, $1)
            },
            .init(
                .post, "desktops/:name/quarantine", "Throw a desktop away, after its session if it has one, and give nobody another in its place", answer: .acceptedOnly,
                refusals: [404, 422]
            ) { try await quarantineDesktop($0, $1) },
            .init(.post, "desktops/:name/release", "Make a desktop anew that is in quarantine", answer: .acceptedOnly, refusals: [404, 422]) {
                try await releaseDesktop($0, $1)
            },

            .init(
                .get, "seats", "The seats",
                query: ListLimit.byName + [
                    .init("lab", "Only those of this lab", .name), .init("present", "Only those that are on, or off: true or false", .flag),
                ], answer: .list("Seat"), refusals: [422]
            ) { request, _ in try await seatList(request) },
            .init(
                .post, "seats", "Add a seat, or give one a new word", body: "SeatAdd", answer: .created("SeatAdded"), refusals: [404, 409, 422],
                creates: true
            ) { try await addSeat($0, $1) },
            .init(.get, "seats/:name", "A seat, with what it said of itself last", answer: .ok("Seat"), refusals: [404, 422]) {
                try await seat($0, $1)
            },
            .init(
                .patch, "seats/:name",
                "Name a seat otherwise, move it to another lab or to another place in the plan, block or unblock it; the session of one that goes to another lab or is blocked ends",
                body: "SeatChange", answer: .ok("Seat"), refusals: [404, 409, 422]
            ) { try await changeSeat($0, $1) },
            .init(.delete, "seats/:name", "Remove a seat; its session ends", answer: .nothing, refusals: [404, 422]) { try await removeSeat($0, $1) },
            .init(.post, "seats/:name/order", "Have a seat do something now", body: "SeatOrder", answer: .nothing, refusals: [404, 409, 422]) {
                try await orderSeat($0, $1)
            },

            .init(.get, "joins", "The seats that ask to join", answer: .list("Join")) { _, _ in
                try Response(await joins.undecided().map(SeatJoinMessage.init))
            },
            .init(.post, "joins/:pin/accept", "Let a seat in that asks to join", body: "SeatAdd", answer: .nothing, refusals: [404, 409, 422]) {
                try await acceptJoin($0, $1)
            },
            .init(.post, "joins/:pin/refuse", "Refuse a seat that asks to join", answer: .nothing, refusals: [404, 422]) { try await refuseJoin($0, $1) },

            .init(
                .get, "sessions", "Sessions, the newest first",
                query: ListLimit.byNumber + [
                    .init("all", "The ended ones too: true or false", .flag), .init("lab", "Only those of this lab", .name),
                    .init("seat", "Only those of this seat", .name), .init("desktop", "Only those of this desktop", .name),
                ], answer: .list("Session"), refusals: [422]
            ) { try await sessions($0, $1) },
            .init(.post, "sessions/:id/end", "End a session", answer: .nothing, refusals: [404, 422]) { try await endSession($0, $1) },

            .init(.get, "certificate", "The certificate that browsers are shown, where one was given", answer: .ok("Certificate"), refusals: [404]) { _, _ in
                try Response(CertificateMessage(try givenCertificate()))
            },
            .init(.put, "certificate", "Give a certificate for browsers", body: "CertificateGiven", answer: .ok("Certificate"), refusals: [422]) {
                try await giveCertificate($0, $1)
            },
            .init(.delete, "certificate", "Show browsers the appliance's own certificate again", answer: .nothing) { try await removeCertificate($0, $1) },
        ]
    }

    private func metrics() async throws -> Response {
        let text = Metrics(
            try await administration.room(), seats: try await seats.seats(), await administration.figures(),
            relay: await administration.relayFigures(), work: await administration.serverWork()
        ).text
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"], body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    /// Writes into the journal what was done. That it was done stands, also where that fails.
    func note(_ context: some AdministratorContext, _ action: String, _ subject: String, _ detail: String = "") async {
        do throws(BrokerError) {
            let author = await context.author()
            try await people.note(action, subject, detail, by: author.name, from: author.origin)
        } catch {
            context.logger.error("the journal cannot be written", metadata: ["action": "\(action)", "subject": "\(subject)", "error": "\(error)"])
        }
    }

    private func drawCode() async throws -> Response {
        guard let code = try await people.drawCode() else { throw Problem.begunAlready }
        return try Response(
            FirstStartMessage(code: code, addresses: enrolment.panelAddresses, expiresInSeconds: Int(PeopleRegistry.codeLifetime.components.seconds)))
    }

    private func addImage(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let untrusted: ImageAddRequest = try await request.message(upTo: Self.bodyLimit)
        let folder = try Untrusted.folder(untrusted.folder)
        let operation = try operations.begin("image-add", of: folder) { progress in
            ImageMessage(try await administration.addImage(folder: folder, progress: progress))
        }
        await note(context, "image-add", folder)
        var response = try Response(operation, status: .accepted)
        response.headers[.location] = "/api/v1/operations/\(operation.id)"
        return response
    }

    private func changeImage(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "image")
        let untrusted: ImageChangeMessage = try await request.message(upTo: Self.bodyLimit)
        let change = ImageChange(sharesIdentity: untrusted.sharesIdentity, notes: untrusted.notes)
        let image = try await administration.changeImage(name, change)
        await note(context, "image-change", name, change.inShort)
        return try Response(ImageMessage(image))
    }

    private func image(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "image")
        return try Response(ImageMessage(try await administration.image(name)))
    }

    private func deleteImage(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "image")
        let image = try await administration.image(name).version.name
        try await administration.deleteImage(image)
        await note(context, "image-delete", image)
        return Response(status: .noContent)
    }

    private func operation(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let id = try Untrusted.name(try context.parameters.require("id"), field: "operation")
        let query = request.uri.queryParameters
        let wait = try Untrusted.number(query["wait"], field: "wait", in: 0...Self.longestWait, otherwise: 0)
        let after = try query["after"].map { try Untrusted.number($0, field: "after", in: 0...Int.max, otherwise: 0) }
        guard let operation = await operations.operation(id, after: after, wait: .seconds(wait)) else {
            throw Problem.unknownOperation(id)
        }
        return try Response(operation)
    }

    private func createLab(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let untrusted: LabDraftMessage = try await request.message(upTo: Self.bodyLimit)
        let lab = try await administration.createLab(try LabDraft(untrusted))
        await note(context, "lab-create", lab.lab.name, lab.inShort)
        return try Response(LabMessage(lab), status: .created)
    }

    private func changeLab(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "lab")
        let untrusted: LabChangeMessage = try await request.message(upTo: Self.bodyLimit)
        let lab = try await administration.changeLab(name, try LabChange(untrusted))
        await note(context, "lab-change", name, lab.inShort)
        return try Response(LabMessage(lab))
    }

    /// Answers when the lab's desktops are gone; a server that stops does not wait for that.
    private func deleteLab(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "lab")
        try await cancelWhenGracefulShutdown { try await administration.deleteLab(name) }
        await note(context, "lab-delete", name)
        return Response(status: .noContent)
    }

    private func desktops(_ request: Request, _: some AdministratorContext) async throws -> Response {
        let query = request.uri.queryParameters
        let part = try ListPart(byNameOf: request)
        let state = try Untrusted.word(query["state"], field: "state", of: Self.desktopStates)
        let desktops = try await administration.desktops(lab: try Untrusted.name(query["lab"], field: "lab")).map(DesktopMessage.init)
        return try Response(part.of(desktops.filter { state == nil || $0.state == state }) { $0.name }, of: request, filters: ["lab", "state"])
    }

    private func explainDesktop(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        return try Response(DesktopExplanationMessage(try await administration.explainDesktop(name)))
    }

    private func changeDesktop(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        let untrusted: DesktopChangeMessage = try await request.message(upTo: Self.bodyLimit)
        let change = try HardwareChange(untrusted)
        let isPreview = untrusted.preview ?? false
        let told = try await administration.changeDesktop(name, change, onlyTell: isPreview)
        if !isPreview { await note(context, "desktop-change", name, change.inShort) }
        return try Response(ConsequencesMessage(consequences: told.map(\.description)))
    }

    private func remakeDesktop(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        try await administration.remakeDesktop(name)
        await note(context, "desktop-remake", name)
        return Response(status: .accepted)
    }

    private func quarantineDesktop(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        try await administration.quarantineDesktop(name)
        await note(context, "desktop-quarantine", name)
        return Response(status: .accepted)
    }

    private func releaseDesktop(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        try await administration.releaseDesktop(name)
        await note(context, "desktop-release", name)
        return Response(status: .accepted)
    }

    private func addSeat(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let untrusted: SeatAddRequest = try await request.message(upTo: Self.bodyLimit)
        let name = try Untrusted.name(untrusted.name, field: "name")
        let word = try await seats.add(name, lab: try Untrusted.name(untrusted.lab, field: "lab"))
        await note(context, "seat-add", name, untrusted.lab)
        let answer = SeatAddAnswer(
            word: word, command: enrolment.command(word: word), expiresInSeconds: Int(SeatRegistry.wordLifetime.components.seconds))
        return try Response(answer, status: .created)
    }

    private func seat(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "seat")
        guard let seat = try await seats.seats().first(where: { $0.name == name }) else { throw BrokerError.unknownSeat(name) }
        return try Response(SeatListMessage(seat))
    }

    private func changeSeat(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "seat")
        let untrusted: SeatChangeMessage = try await request.message(upTo: Self.bodyLimit)
        var change = SeatRegistry.Change(isBlocked: untrusted.blocked)
        change.name = try untrusted.name.map { try Untrusted.name($0, field: "name") }
        change.lab = try untrusted.lab.map { try Untrusted.name($0, field: "lab") }
        change.place = try untrusted.place.map { try Untrusted.place(column: $0.column, row: $0.row) }
        guard change.name != nil || change.lab != nil || change.isBlocked != nil || change.place != nil else {
            throw Problem.invalid("name", value: "", remedy: Declined.giveSeatChange())
        }
        let seat = try await seats.change(name, change)
        if seat.name != name { await note(context, "seat-rename", name, seat.name) }
        if let lab = change.lab { await note(context, "seat-move", seat.name, lab) }
        if let place = change.place { await note(context, "seat-place", seat.name, place.inShort) }
        if let blocked = change.isBlocked { await note(context, blocked ? "seat-block" : "seat-unblock", seat.name) }
        return try Response(SeatListMessage(seat))
    }

    private func removeSeat(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "seat")
        try await seats.remove(name)
        await note(context, "seat-remove", name)
        return Response(status: .noContent)
    }

    private func orderSeat(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "seat")
        let untrusted: SeatOrderRequest = try await request.message(upTo: Self.bodyLimit)
        let order = try Untrusted.order(untrusted.order, text: untrusted.text)
        try await seats.order(order, to: name)
        await note(context, "seat-\(untrusted.order)", name, untrusted.text ?? "")
        return Response(status: .noContent)
    }

    private func acceptJoin(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let pin = try Untrusted.name(try context.parameters.require("pin"), field: "pin")
        let untrusted: SeatAddRequest = try await request.message(upTo: Self.bodyLimit)
        let name = try Untrusted.name(untrusted.name, field: "name")
        let join = try await joins.accept(pin, name: name, lab: try Untrusted.name(untrusted.lab, field: "lab"))
        await note(context, "join-accept", name, "\(untrusted.lab), \(join.inShort)")
        return Response(status: .noContent)
    }

    private func refuseJoin(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let join = try await joins.refuse(try Untrusted.name(try context.parameters.require("pin"), field: "pin"))
        await note(context, "join-refuse", join.stranger.address, join.inShort)
        return Response(status: .noContent)
    }

    private func sessions(_ request: Request, _: some AdministratorContext) async throws -> Response {
        let query = request.uri.queryParameters
        let all = try Untrusted.flag(query["all"], field: "all")
        let part = try ListPart(byNumberOf: request, usual: all ? 100 : ListLimit.most)
        let sessions = try await administration.sessions(
            all: all, before: part.after.map(SessionID.init), seat: try Untrusted.name(query["seat"], field: "seat"),
            desktop: try Untrusted.name(query["desktop"], field: "desktop"), lab: try Untrusted.name(query["lab"], field: "lab"),
            limit: part.limit + 1)
        return try Response(
            part.of(sessions.map(SessionMessage.init)) { $0.id }, of: request, filters: ["all", "lab", "seat", "desktop"], after: "before")
    }

    private func endSession(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let id = try Untrusted.sessionID(try context.parameters.require("id"))
        let session = try await administration.sessions(all: false, limit: 10_000).first { $0.id == id }
        try await administration.endSession(id)
        await note(context, "session-end", session?.seat ?? "\(id)", session?.desktop ?? "")
        return Response(status: .noContent)
    }
}

extension AdminRoutes {
    private func givenCertificate() throws(Problem) -> GivenCertificate {
        guard let given = certificate.given else { throw .noCertificate }
        return given
    }

    private func giveCertificate(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let untrusted: CertificateRequest = try await request.message(upTo: Self.bodyLimit)
        let given = try Untrusted.certificate(chain: untrusted.chain, key: untrusted.key)
        try certificate.take(given)
        await note(context, "certificate-give", given.names)
        return try Response(CertificateMessage(given))
    }

    private func removeCertificate(_: Request, _ context: some AdministratorContext) async throws -> Response {
        try certificate.remove()
        await note(context, "certificate-remove", "")
        return Response(status: .noContent)
    }
}

extension SeatJoin {
    /// For the journal: which it was, and what it said that it is.
    var inShort: String { "\(pin), \(stranger.address)" + (stranger.model.isEmpty ? "" : ", \(stranger.model)") }
}

extension LabReport {
    /// For the journal: its image, its hardware, its size, and whether the internet is open to it.
    var inShort: String { "\(image), \(lab.profile.vcpus) vCPUs, \(lab.profile.memory), \(lab.size), internet \(lab.internet ? "on" : "off")" }
}

extension ImageChange {
    /// For the journal.
    var inShort: String {
        [sharesIdentity.map { $0 ? "shared identity" : "no shared identity" }, notes.map { _ in "notes" }].compactMap(\.self).joined(separator: ", ")
    }
}

extension HardwareChange {
    /// For the journal; empty for its lab's again.
    var inShort: String {
        switch self {
        case .asLab: ""
        case .own(let vcpus, let memory): [vcpus.map { "\($0) vCPUs" }, memory.map { "\($0)" }].compactMap(\.self).joined(separator: ", ")
        }
    }
}
