import Broker
import ControlAPI
import Hummingbird

/// Finds out what has changed between two looks at the room, and tells it one thing at a time: each as its list shows it, and what is no longer
/// there by its name.
struct RoomChanges: Sendable {
    /// What programs are told about, by the word of its event.
    enum Kind: String, CaseIterable {
        case image, lab, desktop, seat, session, operation
    }

    private struct Place: Hashable {
        let kind: Kind
        let name: String
    }

    private struct Gone: Encodable {
        let kind: String
        let name: String
    }

    typealias Thing = any (Encodable & Hashable & Sendable)

    private var known: [Place: Thing] = [:]

    /// The events of what is not as it was at the last look.
    mutating func look(_ things: [(kind: Kind, name: String, thing: Thing)]) throws -> [ServerSentEvent] {
        var (now, events): ([Place: Thing], [ServerSentEvent]) = ([:], [])
        for (kind, name, thing) in things {
            let place = Place(kind: kind, name: name)
            now[place] = thing
            if !Self.isEqual(thing, known[place]) { events.append(try ServerSentEvent(kind.rawValue, thing)) }
        }
        for place in known.keys.filter({ now[$0] == nil }).sorted(by: { ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name) }) {
            events.append(try ServerSentEvent("removed", Gone(kind: place.kind.rawValue, name: place.name)))
        }
        known = now
        return events
    }

    private static func isEqual<Same: Hashable>(_ thing: Same, _ other: Thing?) -> Bool { other as? Same == thing }
}

extension AdminRoutes {
    /// The room's things as their lists show them.
    func things() async throws -> [(kind: RoomChanges.Kind, name: String, thing: RoomChanges.Thing)] {
        var things: [(kind: RoomChanges.Kind, name: String, thing: RoomChanges.Thing)] = []
        for image in try await administration.images().map(ImageMessage.init) { things.append((.image, image.name, image)) }
        for lab in try await administration.room().labs.map(LabMessage.init) { things.append((.lab, lab.name, lab)) }
        for desktop in try await administration.desktops(lab: nil).map(DesktopMessage.init) { things.append((.desktop, desktop.name, desktop)) }
        for seat in try await seats.seats().map(SeatListMessage.init) { things.append((.seat, seat.name, seat)) }
        for session in try await administration.sessions(all: false, limit: 10_000).map(SessionMessage.init) {
            things.append((.session, "\(session.id)", session))
        }
        for operation in operations.all() { things.append((.operation, operation.id, operation)) }
        return things
    }

    /// A stream of what changes. It begins with nothing: who asks for the lists once it is open misses
    /// nothing. It ends when whoever reads it may no longer.
    func events(_ request: Request, _ context: some AdministratorContext) async throws -> Response {
        let changes = await administration.changes()
        var known = RoomChanges()
        _ = try known.look(try await things())
        let first = known
        return EventStream().response(for: request) {
            EventStream.news(at: changes, from: first, whileLetIn: { try await context.isStillLetIn(by: people) }) { room in
                let news = try room.look(try await things())
                return news.isEmpty ? nil : ServerSentEvent(joining: news)
            }
        } as: { $0 }
    }
}
