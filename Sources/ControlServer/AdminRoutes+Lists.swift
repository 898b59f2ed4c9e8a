import Broker
import ControlAPI
import DesktopModel
import DesktopStore
import Hummingbird

/// Lists in parts, and slow work as a list.
extension AdminRoutes {
    static let desktopStates = ["empty", "preparing", "ready", "leased", "retiring", "quarantined"]
    static let operationStates = OperationMessage.State.allCases.map(\.rawValue)

    func images(_ request: Request) async throws -> Response {
        let part = try ListPart(byNameOf: request)
        let image = try Untrusted.name(request.uri.queryParameters["image"], field: "image")
        let images = try await administration.images().map(ImageMessage.init).filter { image == nil || $0.image == image }
        return try Response(part.of(images) { $0.name }, of: request, filters: ["image"])
    }

    func labs(_ request: Request) async throws -> Response {
        let part = try ListPart(byNameOf: request)
        let image = try Untrusted.name(request.uri.queryParameters["image"], field: "image")
        let versions = Set(try await administration.images().map(ImageMessage.init).filter { $0.name == image || $0.image == image }.map(\.name))
        let labs = try await administration.room().labs.map(LabMessage.init).filter { image == nil || versions.contains($0.image) }
        return try Response(part.of(labs) { $0.name }, of: request, filters: ["image"])
    }

    func seatList(_ request: Request) async throws -> Response {
        let query = request.uri.queryParameters
        let part = try ListPart(byNameOf: request)
        let lab = try Untrusted.name(query["lab"], field: "lab")
        let present = try Untrusted.choice(query["present"], field: "present")
        let found = try await seats.seats().map(SeatListMessage.init)
            .filter { (lab == nil || $0.lab == lab) && (present == nil || $0.present == present) }
        return try Response(part.of(found) { $0.name }, of: request, filters: ["lab", "present"])
    }

    func journal(_ request: Request) async throws -> Response {
        let query = request.uri.queryParameters
        let part = try ListPart(byNumberOf: request, usual: 100)
        let entries = try await people.journal(
            before: part.after, who: try Untrusted.text(query["who"], field: "who"), action: try Untrusted.name(query["action"], field: "action"),
            subject: try Untrusted.text(query["subject"], field: "subject"), limit: part.limit + 1)
        return try Response(
            part.of(entries.map(JournalMessage.init)) { $0.id }, of: request, filters: ["who", "action", "subject"], after: "before")
    }

    // MARK: Slow work

    func operationList(_ request: Request) throws -> Response {
        let query = request.uri.queryParameters
        let limit = try Untrusted.number(query["limit"], field: "limit", in: ListLimit.range, otherwise: ListLimit.most)
        let after = try Untrusted.name(query["after"], field: "after")
        let state = try Untrusted.word(query["state"], field: "state", of: Self.operationStates)
        var all = operations.all()[...]
        if let after {
            guard let index = all.firstIndex(where: { $0.id == after }) else { throw Problem.unknownOperation(after) }
            all = all[(index + 1)...]
        }
        let rest = all.filter { state == nil || $0.state.rawValue == state }
        return try Response((Array(rest.prefix(limit)), rest.count > limit ? rest[limit - 1].id : nil), of: request, filters: ["state"])
    }

    func cancelOperation(_: Request, _ context: some AdministratorContext) async throws -> Response {
        let id = try Untrusted.name(try context.parameters.require("id"), field: "operation")
        guard let operation = operations.cancel(id) else { throw Problem.unknownOperation(id) }
        switch operation.state {
        case .running: await note(context, "operation-cancel", operation.subject, operation.kind)
        case .cancelled: break
        case .done, .failed: throw Problem.overAlready(id)
        }
        return try Response(operation)
    }
}

extension JournalMessage {
    init(_ entry: JournalEntry) {
        self.init(
            id: entry.id, at: Moment(seconds: entry.at), who: entry.who, origin: entry.origin, action: entry.action, subject: entry.subject,
            detail: entry.detail)
    }
}

extension Problem {
    fileprivate static func overAlready(_ id: String) -> Problem {
        Problem(
            kind: "over-already", title: "Over already", status: 409,
            detail: Declined.overAlready(id))
    }
}
