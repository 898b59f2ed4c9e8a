import DesktopModel
import DesktopStore
import Foundation
import Identity

/// What a stranger that asks to join says of itself, as a line can show it.
public struct SeatStranger: Hashable, Sendable {
    /// Such as `Raspberry Pi 4 Model B Rev 1.4`; empty where it does not know.
    public let model: String
    /// Of its program.
    public let version: String
    public let address: String
    /// The address as limits are counted by it.
    public let counted: String

    public init(untrustedModel: String, untrustedVersion: String, address: String, counted: String) {
        model = untrustedModel.shown(upTo: 64)
        version = untrustedVersion.shown(upTo: 32)
        self.address = address
        self.counted = counted
    }
}

/// A seat that asks to join, as people see it.
public struct SeatJoin: Hashable, Sendable {
    /// Six digits, by which it is known among those that ask.
    public let pin: String
    /// What stands on its screen too, where it speaks with this appliance and with nobody in between.
    public let words: [String]
    public let stranger: SeatStranger
    public let since: CalendarSeconds
}

/// What was decided about a seat that asks to join.
public enum SeatJoinDecision: Hashable, Sendable {
    case undecided
    /// It enrols with this word.
    case accepted(word: String)
    case refused
}

/// Seats that ask to join, until an administrator has decided about them. Any task.
///
/// Strangers may ask: how many there are is bounded, in all and for each address, and each is forgotten after its time, or when it has not been
/// heard for a while. Nothing of them is kept on the disk. A timer runs only while there are any.
public actor SeatJoins {
    public struct Bounds: Sendable {
        /// How long a request is good.
        public var lifetime = Duration.seconds(600)
        /// How long a seat may take to say what it drew, and to ask again for the decision.
        public var silence = Duration.seconds(60)
        public var inAll = 64
        public var perAddress = 4
        public init() {}
    }

    private struct Request {
        let pin: String
        /// What the appliance drew.
        let drawn: String
        let stranger: SeatStranger
        let since: CalendarSeconds
        /// By the clock, as `heardAt` is.
        let ends: Duration
        /// Nil until the seat has said what it drew.
        var words: [String]?
        var heardAt: Duration
        /// The name that somebody gives it; nil until then.
        var name: String?
        var decision = SeatJoinDecision.undecided
        /// Whoever waits for the decision: the seat's last question.
        var waiting: (id: UInt64, continuation: CheckedContinuation<Void, Never>)?
    }

    public nonisolated let bounds: Bounds
    private let seats: SeatRegistry
    private let key: String
    private let clock: BrokerClock
    private let onChange: @Sendable () async -> Void
    /// By what the seats are bound to.
    private var requests: [String: Request] = [:]
    private var nextWait: UInt64 = 1
    private var timer: (at: Duration, task: Task<Void, Never>)?

    /// - Parameters:
    ///   - key: SHA-256 of the appliance's public key, as curl writes it.
    ///   - onChange: Told whenever what `undecided` gives is another.
    public init(
        _ seats: SeatRegistry, key: String, bounds: Bounds = Bounds(), clock: BrokerClock = BrokerClock(), onChange: @escaping @Sendable () async -> Void
    ) {
        self.seats = seats
        self.key = key
        self.bounds = bounds
        self.clock = clock
        self.onChange = onChange
    }

    // MARK: Strangers

    /// Takes a request in, of a seat that has bound itself to what it drew; gives its PIN, and what the appliance draws only now.
    public func ask(_ stranger: SeatStranger, commitment untrustedCommitment: String) throws(BrokerError) -> (pin: String, drawn: String) {
        guard ComparedWords.isDrawn(untrustedCommitment), requests[untrustedCommitment] == nil else {
            throw .invalid(
                field: "commitment", value: untrustedCommitment.shown(upTo: 64),
                remedy: Refused.sendCommitment())
        }
        forget()
        guard requests.count < bounds.inAll, requests.values.count(where: { $0.stranger.counted == stranger.counted }) < bounds.perAddress else {
            throw .tooManyJoins
        }
        let taken = Set(requests.values.map(\.pin))
        var pin = ""
        repeat { pin = String(String(Int.random(in: 1_000_000..<2_000_000)).dropFirst()) } while taken.contains(pin)
        let now = clock.sinceStart
        let request = Request(
            pin: pin, drawn: ComparedWords.drawn(), stranger: stranger, since: CalendarSeconds(Date().timeIntervalSince1970),
            ends: now + bounds.lifetime, heardAt: now)
        requests[untrustedCommitment] = request
        setTimer()
        return (pin, request.drawn)
    }

    /// What was decided about the seat that drew this; `undecided` where nothing is within the time. The first time, it makes the request known.
    /// - Throws: `unknownJoin` where the request is over.
    public func decision(forDrawn untrustedDrawn: String, within limit: Duration) async throws(BrokerError) -> SeatJoinDecision {
        forget()
        guard ComparedWords.isDrawn(untrustedDrawn) else {
            throw .invalid(field: "drawn", value: untrustedDrawn.shown(upTo: 64), remedy: Refused.sendDrawn())
        }
        let commitment = ComparedWords.commitment(to: untrustedDrawn)
        guard let request = requests[commitment] else { throw .unknownJoin(nil) }
        requests[commitment]?.heardAt = clock.sinceStart
        if request.words == nil {
            requests[commitment]?.words = ComparedWords.words(key: key, pin: request.pin, seat: untrustedDrawn, appliance: request.drawn)
            await onChange()
        }
        if requests[commitment]?.decision == SeatJoinDecision.undecided { await news(of: commitment, within: limit) }
        forget()
        guard let decided = requests[commitment] else { throw .unknownJoin(nil) }
        requests[commitment]?.heardAt = clock.sinceStart
        if decided.decision == .refused { requests[commitment] = nil }
        setTimer()
        return decided.decision
    }

    /// A seat has enrolled: one that had asked for it asks no longer.
    public func enrolled(with word: String) {
        requests = requests.filter { $0.value.decision != .accepted(word: word) }
    }

    // MARK: Administrators

    /// The seats about which nothing is decided yet, the oldest request first.
    public func undecided() -> [SeatJoin] {
        forget()
        return requests.values.filter { $0.name == nil && $0.decision == .undecided }.sorted { $0.ends < $1.ends }.compactMap { request in
            request.words.map { SeatJoin(pin: request.pin, words: $0, stranger: request.stranger, since: request.since) }
        }
    }

    /// Lets a seat in: it is added with this name, and enrols by itself. Gives what it had asked.
    ///
    /// A seat that is enrolled keeps its name: a stranger never takes its place.
    public func accept(_ untrustedPIN: String, name: String, lab: String) async throws(BrokerError) -> SeatJoin {
        let (commitment, join) = try request(of: untrustedPIN)
        guard !requests.values.contains(where: { $0.name == name }) else { throw .nameTaken(kind: "seat", name: name) }
        requests[commitment]?.name = name
        let word: String
        do throws(BrokerError) {
            word = try await seats.add(name, lab: lab, isNew: true)
        } catch {
            requests[commitment]?.name = nil
            throw error
        }
        await decide(.accepted(word: word), commitment)
        return join
    }

    /// Refuses a seat. Gives what it had asked.
    public func refuse(_ untrustedPIN: String) async throws(BrokerError) -> SeatJoin {
        let (commitment, join) = try request(of: untrustedPIN)
        await decide(.refused, commitment)
        return join
    }

    /// The request of a PIN about which nothing is decided yet.
    private func request(of untrustedPIN: String) throws(BrokerError) -> (commitment: String, join: SeatJoin) {
        guard let join = undecided().first(where: { $0.pin == untrustedPIN }),
            let commitment = requests.first(where: { $0.value.pin == join.pin })?.key
        else { throw .unknownJoin(untrustedPIN.shown(upTo: 16)) }
        return (commitment, join)
    }

    private func decide(_ decision: SeatJoinDecision, _ commitment: String) async {
        requests[commitment]?.decision = decision
        wake(commitment)
        await onChange()
    }

    // MARK: Waiting and forgetting

    private func news(of commitment: String, within limit: Duration) async {
        wake(commitment)
        let id = nextWait
        nextWait += 1
        let timer = Task {
            guard (try? await clock.sleep(for: limit)) != nil else { return }
            wake(commitment, id)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                if requests[commitment] == nil { continuation.resume() } else { requests[commitment]?.waiting = (id, continuation) }
            }
        } onCancel: {
            Task { await self.wake(commitment, id) }
        }
        timer.cancel()
    }

    /// Lets go of who waits: of that one wait, where it is named.
    private func wake(_ commitment: String, _ id: UInt64? = nil) {
        guard let waiting = requests[commitment]?.waiting, id == nil || waiting.id == id else { return }
        requests[commitment]?.waiting = nil
        waiting.continuation.resume()
    }

    /// When a request is forgotten, if nothing is heard of it until then.
    private func end(of request: Request) -> Duration {
        request.waiting == nil ? min(request.ends, request.heardAt + bounds.silence) : request.ends
    }

    private func forget() {
        let now = clock.sinceStart
        let over = requests.filter { end(of: $0.value) <= now }
        for commitment in over.keys {
            wake(commitment)
            requests[commitment] = nil
        }
        if over.values.contains(where: { $0.words != nil }) { Task { [onChange] in await onChange() } }
    }

    /// Forgets what is over when it is, so that open pages follow.
    private func setTimer() {
        guard let next = requests.values.map({ end(of: $0) }).min() else { return }
        if let timer, timer.at <= next { return }
        timer?.task.cancel()
        timer = (
            next,
            Task {
                guard (try? await clock.sleep(until: next)) != nil else { return }
                timer = nil
                forget()
                setTimer()
            }
        )
    }
}

extension String {
    /// A stranger's text as a line can show it: so many characters at most, without what a screen or a log would obey.
    func shown(upTo limit: Int) -> String {
        let text = split(whereSeparator: \.isWhitespace).map { String(UnicodeScalarView($0.unicodeScalars.filter(\.isShown))) }.joined(separator: " ")
        return String(String(text.prefix(limit)).unicodeScalars.prefix(2 * limit))
    }
}
