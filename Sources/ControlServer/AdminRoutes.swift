import Broker
import ControlAPI
import DesktopModel
import HTTPTypes
import Hummingbird
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
    func command(word: String) -> String {
        let address = addresses.first ?? "ADDRESS"
        let host = address.contains(":") ? "[\(address)]" : address
        return "punnet-seat enrol \(port == 443 ? host : "\(host):\(port)") \(word) --pin \(pin)"
    }
}

/// What is served on the Unix socket: the administrators' part of the interface.
struct AdminRoutes: Sendable {
    /// The most bytes that an administrator's request may hold.
    static let bodyLimit = 64 * 1024
    /// The longest that a watched operation lets its watcher wait, in seconds.
    static let longestWait = 30

    let administration: Administration
    let seats: SeatRegistry
    let operations: Operations
    let enrolment: Enrolment
    let people: PeopleRegistry

    func responder() -> RouterResponder<BasicRequestContext> {
        let router = Router(context: BasicRequestContext.self)
        router.add(middleware: ProblemMiddleware(audience: .administrator))
        let api = router.group("api/v1")
        api.get("room") { _, _ in try Response(RoomMessage(try await administration.room())) }
        api.post("first-start") { _, _ in try await drawCode() }
        api.get("images") { _, _ in try Response(try await administration.images().map(ImageMessage.init)) }
        api.post("images", use: addImage)
        api.patch("images/:name", use: changeImage)
        api.get("operations/:id", use: operation)
        api.get("labs") { _, _ in try Response(try await administration.room().labs.map(LabMessage.init)) }
        api.post("labs", use: createLab)
        api.patch("labs/:name", use: changeLab)
        api.delete("labs/:name", use: deleteLab)
        api.get("desktops", use: desktops)
        api.get("desktops/:name", use: explainDesktop)
        api.patch("desktops/:name", use: changeDesktop)
        api.post("desktops/:name/remake", use: remakeDesktop)
        api.get("seats") { _, _ in try Response(try await seats.seats().map(SeatListMessage.init)) }
        api.post("seats", use: addSeat)
        api.delete("seats/:name", use: removeSeat)
        api.get("sessions", use: sessions)
        api.post("sessions/:id/end", use: endSession)
        return router.buildResponder()
    }

    private func drawCode() async throws -> Response {
        guard let code = try await people.drawCode() else { throw Problem.begunAlready }
        return try Response(
            FirstStartMessage(code: code, addresses: enrolment.panelAddresses, expiresInSeconds: Int(PeopleRegistry.codeLifetime.components.seconds)))
    }

    private func addImage(_ request: Request, _: BasicRequestContext) async throws -> Response {
        let untrusted: ImageAddRequest = try await request.message(upTo: Self.bodyLimit)
        let folder = try Untrusted.folder(untrusted.folder)
        let operation = try operations.begin("image-add") { progress in
            ImageMessage(try await administration.addImage(folder: folder, progress: progress))
        }
        var response = try Response(operation, status: .accepted)
        response.headers[.location] = "/api/v1/operations/\(operation.id)"
        return response
    }

    private func changeImage(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "image")
        let untrusted: ImageChangeMessage = try await request.message(upTo: Self.bodyLimit)
        return try Response(ImageMessage(try await administration.changeImage(name, sharesIdentity: untrusted.sharesIdentity)))
    }

    private func operation(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try Untrusted.name(try context.parameters.require("id"), field: "operation")
        let query = request.uri.queryParameters
        let wait = try Untrusted.number(query["wait"], field: "wait", in: 0...Self.longestWait, otherwise: 0)
        let after = try query["after"].map { try Untrusted.number($0, field: "after", in: 0...Int.max, otherwise: 0) }
        guard let operation = await operations.operation(id, after: after, wait: .seconds(wait)) else {
            throw Problem.unknownOperation(id)
        }
        return try Response(operation)
    }

    private func createLab(_ request: Request, _: BasicRequestContext) async throws -> Response {
        let untrusted: LabDraftMessage = try await request.message(upTo: Self.bodyLimit)
        return try Response(LabMessage(try await administration.createLab(try LabDraft(untrusted))), status: .created)
    }

    private func changeLab(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "lab")
        let untrusted: LabChangeMessage = try await request.message(upTo: Self.bodyLimit)
        return try Response(LabMessage(try await administration.changeLab(name, try LabChange(untrusted))))
    }

    /// Answers when the lab's desktops are gone; a server that stops does not wait for that.
    private func deleteLab(_: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "lab")
        try await cancelWhenGracefulShutdown { try await administration.deleteLab(name) }
        return Response(status: .noContent)
    }

    private func desktops(_ request: Request, _: BasicRequestContext) async throws -> Response {
        let lab = try request.uri.queryParameters["lab"].map { try Untrusted.name(String($0), field: "lab") }
        return try Response(try await administration.desktops(lab: lab).map(DesktopMessage.init))
    }

    private func explainDesktop(_: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        return try Response(DesktopExplanationMessage(try await administration.explainDesktop(name)))
    }

    private func changeDesktop(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let name = try Untrusted.name(try context.parameters.require("name"), field: "desktop")
        let untrusted: DesktopChangeMessage = try await request.message(upTo: Self.bodyLimit)
        let change = try HardwareChange(untrusted)
        let told = try await administration.changeDesktop(name, change, onlyTell: untrusted.preview ?? false)
        return try Response(ConsequencesMessage(consequences: told))
    }

    private func remakeDesktop(_: Request, _ context: BasicRequestContext) async throws -> Response {
        try await administration.remakeDesktop(try Untrusted.name(try context.parameters.require("name"), field: "desktop"))
        return Response(status: .accepted)
    }

    private func addSeat(_ request: Request, _: BasicRequestContext) async throws -> Response {
        let untrusted: SeatAddRequest = try await request.message(upTo: Self.bodyLimit)
        let name = try Untrusted.name(untrusted.name, field: "name")
        let word = try await seats.add(name, lab: try Untrusted.name(untrusted.lab, field: "lab"))
        let answer = SeatAddAnswer(
            word: word, command: enrolment.command(word: word), expiresInSeconds: Int(SeatRegistry.wordLifetime.components.seconds))
        return try Response(answer, status: .created)
    }

    private func removeSeat(_: Request, _ context: BasicRequestContext) async throws -> Response {
        try await seats.remove(try Untrusted.name(try context.parameters.require("name"), field: "seat"))
        return Response(status: .noContent)
    }

    private func sessions(_ request: Request, _: BasicRequestContext) async throws -> Response {
        let query = request.uri.queryParameters
        let all = try Untrusted.flag(query["all"], field: "all")
        let limit = try Untrusted.number(query["limit"], field: "limit", in: 1...1000, otherwise: 100)
        return try Response(try await administration.sessions(all: all, limit: limit).map(SessionMessage.init))
    }

    private func endSession(_: Request, _ context: BasicRequestContext) async throws -> Response {
        try await administration.endSession(try Untrusted.sessionID(try context.parameters.require("id")))
        return Response(status: .noContent)
    }
}
