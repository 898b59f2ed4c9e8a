import DesktopModel
import DesktopStore
import Foundation
import Identity
import Synchronization

/// Seats: enrolment by a one-time word, and the token by which a seat is known from then on. Any task.
public final class SeatRegistry: Sendable {
    /// How long a word is good.
    public static let wordLifetime: Duration = .seconds(3600)

    private let broker: Broker
    private let store: DesktopStore
    /// Changes of seats are told to the broker in the order in which they are kept.
    private let turns = Turns()
    /// What each seat said of itself last, and when. Only known seats are in it; it is gone with the process.
    private let healths = Mutex<[SeatID: (health: SeatHealth, at: CalendarSeconds)]>([:])

    public init(_ broker: Broker, store: DesktopStore) {
        self.broker = broker
        self.store = store
    }

    /// Adds a seat and gives its one-time word, which is good for an hour. A seat that exists gets a new word: its token is good until that
    /// word is used.
    /// - Parameter isNew: Whether a seat that is enrolled is refused.
    public func add(_ untrustedName: String, lab untrustedLab: String, isNew: Bool = false) async throws(BrokerError) -> String {
        let name = try Name.checked(untrustedName, of: "seat")
        guard let lab = await broker.room.labs.values.first(where: { $0.name == untrustedLab }) else { throw .unknownLab(untrustedLab) }
        if isNew, try await seats().contains(where: { $0.name == name && $0.enrolled }) { throw .nameTaken(kind: "seat", name: name) }
        let word = Word()
        let expires = CalendarSeconds(Date().timeIntervalSince1970) + Self.wordLifetime.components.seconds
        try await turns.take { () async throws(BrokerError) in
            let seat = try await stored { () async throws(StoreError) in
                try await self.store.addSeat(name: name, lab: lab.id, wordHash: word.hash, wordExpires: expires)
            }
            await self.broker.deliver(.seatChanged(seat.id, RoomSeat(seat)))
        }
        return word.text
    }

    /// Removes a seat; its session ends, its token is good no longer.
    public func remove(_ name: String) async throws(BrokerError) {
        try await turns.take { () async throws(BrokerError) in try await self.removeNow(name) }
    }

    private func removeNow(_ name: String) async throws(BrokerError) {
        let seats = try await stored { () async throws(StoreError) in try await store.seats() }
        guard let seat = seats.first(where: { $0.name == name }) else { throw .unknownSeat(name) }
        await broker.deliver(.seatChanged(seat.id, nil))
        // The end of its session goes to the disk first: an open session has a seat.
        await broker.recordsWritten()
        do throws(BrokerError) {
            try await stored { () async throws(StoreError) in try await store.removeSeat(seat.id) }
        } catch {
            await broker.keep(seat.id, RoomSeat(seat))
            throw error
        }
        healths.withLock { $0[seat.id] = nil }
    }

    /// Takes down what a seat says of itself, in the place of what it said before.
    public func report(_ health: SeatHealth, of seat: SeatID) async {
        let now = CalendarSeconds(Date().timeIntervalSince1970)
        guard await broker.room.seats[seat] != nil else { return }
        healths.withLock { $0[seat] = (health, now) }
        await broker.tellOfChange()
    }

    public func seats() async throws(BrokerError) -> [SeatReport] {
        let seats = try await stored { () async throws(StoreError) in try await store.seats() }
        let room = await broker.room
        let healths = healths.withLock { $0 }
        return seats.map { seat in
            let session = room.sessions.session(of: seat.id)
            return SeatReport(
                id: seat.id, name: seat.name, lab: room.labs[seat.lab]?.name ?? "", enrolled: seat.enrolled != nil,
                present: room.seats[seat.id]?.isPresent ?? false,
                line: room.lines[seat.lab]?.firstIndex { $0.seat == seat.id }.map { $0 + 1 }, session: session?.session.id,
                connected: session?.links.isEmpty == false, desktop: session.flatMap { room.desktops[$0.session.desktop]?.name },
                place: seat.place, isBlocked: seat.isBlocked, health: healths[seat.id]?.health, healthAt: healths[seat.id]?.at)
        }
    }

    /// Has a seat do something now. `seatIsOff` where it cannot be told.
    public func order(_ order: SeatOrder, to name: String) async throws(BrokerError) {
        let seats = try await stored { () async throws(StoreError) in try await store.seats() }
        guard let seat = seats.first(where: { $0.name == name }) else { throw .unknownSeat(name) }
        guard await broker.order(order, to: seat.id) else { throw .seatIsOff(name) }
    }

    /// What is to be another than it was about a seat; nil stays as it is.
    public struct Change: Sendable {
        public var name: String?
        /// The lab's name.
        public var lab: String?
        public var isBlocked: Bool?
        /// Where its table stands in the room's plan.
        public var place: TablePlace?
        public init(name: String? = nil, lab: String? = nil, isBlocked: Bool? = nil, place: TablePlace? = nil) {
            self.name = name
            self.lab = lab
            self.isBlocked = isBlocked
            self.place = place
        }
    }

    /// Gives a seat another name, moves it to another lab or to another place in the plan, blocks it or lets it be used again: all that is asked for,
    /// or nothing. The session of a seat that is moved to another lab or blocked ends: its desktop is another lab's, or nobody's. A blocked seat
    /// stays enrolled.
    public func change(_ name: String, _ change: Change) async throws(BrokerError) -> SeatReport {
        try await turns.take { () async throws(BrokerError) in try await self.changeNow(name, change) }
    }

    private func changeNow(_ name: String, _ change: Change) async throws(BrokerError) -> SeatReport {
        guard let seat = try await stored({ () async throws(StoreError) in try await store.seats() }).first(where: { $0.name == name }) else {
            throw .unknownSeat(name)
        }
        var wanted = SeatChange(isBlocked: change.isBlocked, place: change.place)
        if let name = change.name { wanted.name = try Name.checked(name, of: "seat") }
        if let lab = change.lab { wanted.lab = try await broker.room.lab(named: lab).id }
        let changed: SeatRecord
        do throws(StoreError) {
            changed = try await store.changeSeat(seat.id, to: wanted)
        } catch {
            if case .taken(_, let name) = error { throw .nameTaken(kind: "seat", name: name) }
            throw .storage(error.sentence)
        }
        await broker.change(seat.id, to: RoomSeat(changed), endingSession: changed.isBlocked || changed.lab != seat.lab)
        guard let report = try await seats().first(where: { $0.id == seat.id }) else { throw .unknownSeat(changed.name) }
        return report
    }

    /// Enrols the seat for which the word was made, and uses the word up. The token is told once and kept only as a hash.
    public func enrol(word untrusted: String) async throws(BrokerError) -> (seat: SeatID, name: String, token: String) {
        guard let word = Word(untrusted: untrusted) else { throw .wordRefused }
        let token = Token()
        let now = CalendarSeconds(Date().timeIntervalSince1970)
        let seat = try await stored { () async throws(StoreError) in
            try await store.enrolSeat(wordHash: word.hash, tokenHash: token.hash, now: now)
        }
        guard let seat else { throw .wordRefused }
        return (seat.id, seat.name, token.text)
    }

    /// The seat that has this token; nil for a token that is nobody's.
    public func seat(withToken untrusted: String) async throws(BrokerError) -> SeatID? {
        guard let token = Token(untrusted: untrusted) else { return nil }
        return try await stored { () async throws(StoreError) in try await store.seat(tokenHash: token.hash)?.id }
    }
}

extension RoomSeat {
    /// A seat as it is kept; whether it is present is not.
    init(_ seat: SeatRecord) { self.init(name: seat.name, lab: seat.lab, isBlocked: seat.isBlocked) }
}

/// Calls the store and says its errors in the broker's words.
func stored<Value: Sendable>(_ call: () async throws(StoreError) -> Value) async throws(BrokerError) -> Value {
    do throws(StoreError) {
        return try await call()
    } catch {
        throw .storage(error.sentence)
    }
}

/// The names that people give: of labs and seats.
enum Name {
    /// 1 to 32 lower-case letters, digits and hyphens, a letter first, no hyphen last: what a host name may be.
    static func checked(_ untrusted: String, of kind: String) throws(BrokerError) -> String {
        let isAllowed = untrusted.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard isAllowed, (1...32).contains(untrusted.utf8.count), untrusted.first?.isLetter == true, untrusted.last != "-" else {
            throw .invalid(
                field: "\(kind) name", value: String(untrusted.prefix(40)),
                remedy: Refused.useHostName())
        }
        return untrusted
    }
}
