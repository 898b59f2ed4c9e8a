import Broker
import DesktopModel
import Hypervisor
import Synchronization

/// The seats, and what they live to see: the answers to their claims, and what their streams tell. From that alone it is judged whether
/// whoever waits is served in the order of coming.
///
/// A seat stays in the line while its stream is open, or is open again within the time that the broker allows. Who lets an offer pass goes to
/// the end; but an offer may have been taken back, of which nobody is told, so where such a seat stands is not known, and it is judged no
/// further until it has left the line.
final class Seats: Sendable {
    private typealias Instant = SimulatedClock.Instant

    private enum Standing: Hashable {
        case away
        /// Who came first has the lowest rank.
        case waits(rank: Int)
        case unknown
    }

    private struct Seat {
        let lab: LabID
        /// The start that it claimed for last.
        var boot = 1
        var lease: Lease?
        /// The number of its stream that is open; nil where none is.
        var stream: Int?
        var standing = Standing.away
        var offeredUntil: Instant?
        var leavesAt: Instant?
        /// Claims that are not answered, and the last of all.
        var claims: Set<Int> = []
        var lastClaim = 0

        var rank: Int? { if case .waits(let rank) = standing { rank } else { nil } }

        /// What time alone has changed.
        mutating func live(to now: Instant) {
            if let until = offeredUntil, until <= now {
                offeredUntil = nil
                if rank != nil { standing = .unknown }
            }
            if let leavesAt, leavesAt <= now { leaveLine() }
        }

        mutating func leaveLine() {
            standing = .away
            offeredUntil = nil
            leavesAt = nil
        }
    }

    private struct Claim {
        let boot: Int
        let began: Instant
        /// The last session there was.
        let after: SessionID
        /// Who is served before it, and was not yet.
        let before: [SeatID]
        /// Where it stands in the line; nil where nothing can be said of that.
        let rank: Int?
        /// Whether the answer takes longer than the broker's thought: a desktop is being handed out.
        var isPending = false
        var isOverdue = false
    }

    private struct State {
        var seats: [SeatID: Seat] = [:]
        var claims: [Int: Claim] = [:]
        var next = 1
        /// Who was given a desktop that it did not have, by the session.
        var served: [SessionID: SeatID] = [:]

        mutating func number() -> Int {
            defer { next += 1 }
            return next
        }

        /// Who waits in the lab of a seat, came before this rank, is there, and has no offer.
        func before(_ seat: SeatID, rank: Int) -> [SeatID] {
            seats.filter { id, other in
                id != seat && other.lab == seats[seat]?.lab && other.stream != nil && other.claims.isEmpty && other.offeredUntil == nil
                    && other.rank.map { $0 < rank } ?? false
            }.keys.sorted()
        }

        /// Who was offered a desktop in the lab of a seat, came before this rank, and did not answer yet.
        func offered(before rank: Int, of seat: SeatID) -> [SeatID] {
            seats.filter { id, other in
                id != seat && other.lab == seats[seat]?.lab && other.stream != nil && other.claims.isEmpty && other.offeredUntil != nil
                    && other.rank.map { $0 < rank } ?? false
            }.keys.sorted()
        }

        mutating func live(to now: Instant) {
            for id in seats.keys { seats[id]?.live(to: now) }
        }
    }

    private let state = Mutex(State())
    private let watch: Watch
    private let clock: SimulatedClock
    private let settings: BrokerSettings

    init(_ watch: Watch, _ clock: SimulatedClock, _ settings: BrokerSettings) {
        self.watch = watch
        self.clock = clock
        self.settings = settings
    }

    func add(_ id: SeatID, lab: LabID) { state.withLock { $0.seats[id] = Seat(lab: lab) } }

    /// The start that a seat claimed for last.
    func boot(of id: SeatID) -> Int { state.withLock { $0.seats[id]?.boot ?? 1 } }

    /// What a seat was handed out last.
    func lease(of id: SeatID) -> Lease? { state.withLock { $0.seats[id]?.lease } }

    /// Who was given a desktop that it did not have, in the order in which that was decided: two hand-outs at once may end in another.
    var served: [SeatID] { state.withLock { $0.served.sorted { $0.key < $1.key }.map(\.value) } }

    /// Whether one of these seats may take a desktop now that it was offered.
    func areOffered(_ seats: [SeatID]) -> Bool {
        state.withLock { state in
            state.live(to: clock.now)
            return seats.contains { state.seats[$0]?.offeredUntil != nil }
        }
    }

    /// Whether a seat was told that it has this session.
    func knows(_ session: SessionID) -> Bool { state.withLock { $0.served[session] != nil } }

    // MARK: Claims

    /// A seat asks for a desktop; gives the claim's number.
    func claims(_ id: SeatID, boot: Int) -> Int {
        let after = watch.lastSession()
        let now = clock.now
        return state.withLock { state in
            state.live(to: now)
            let seat = state.seats[id]
            // Whether an offer was fair was judged when it was made; and of a seat that stands nobody knows where nothing can be said.
            let isJudged = seat?.offeredUntil == nil && seat?.standing != .unknown
            let number = state.number()
            state.claims[number] = Claim(
                boot: boot, began: now, after: after, before: isJudged ? state.before(id, rank: seat?.rank ?? .max) : [],
                rank: isJudged ? seat?.rank ?? .max : nil)
            state.seats[id]?.boot = boot
            state.seats[id]?.claims.insert(number)
            state.seats[id]?.lastClaim = number
            return number
        }
    }

    func answered(_ number: Int, of id: SeatID, _ answer: Result<ClaimAnswer, any Error>) {
        let now = clock.now
        let claim: Claim? = state.withLock { state in
            state.live(to: now)
            state.seats[id]?.claims.remove(number)
            return state.claims.removeValue(forKey: number)
        }
        // What a daemon said that is gone is nobody's.
        guard let claim else { return }
        switch answer {
        case .success(.waiting(let place)):
            watch.note("\(id) waits at \(place)")
            let before = state.withLock { state -> [SeatID] in
                guard let seat = state.seats[id] else { return [] }
                if seat.standing == .away {
                    let rank = state.number()
                    state.seats[id]?.standing = .waits(rank: rank)
                }
                state.seats[id]?.leavesAt = seat.stream == nil ? now.advanced(by: settings.absence) : nil
                return state.before(id, rank: state.seats[id]?.rank ?? 0)
            }
            watch.require(place > before.count, "seat \(id) is told place \(place) though seats \(before) wait before it")
        case .success(.leased(let lease)):
            watch.note("\(id) has session \(lease.session)")
            state.withLock { state in
                state.seats[id]?.leaveLine()
                state.seats[id]?.lease = lease
                if !lease.resumed { state.served[lease.session] = id }
            }
            let row = watch.session(lease.session)
            watch.require(row?.seat == id, "seat \(id) is given session \(lease.session), which is not its own")
            if let row { watch.seeAccount(lease.account.password, of: row.domain) }
            watch.require(row?.bootID == "boot-\(claim.boot)", "seat \(id), started anew, is given the session of its former start")
            guard !lease.resumed, watch.sessions(of: id, after: claim.after) == 1 else { return }
            watch.require(claim.before.isEmpty, "seat \(id) is given a desktop though seats \(claim.before) wait before it")
            guard let rank = claim.rank, let row, let ready = watch.ready(beside: row, unchangedSince: claim.began) else { return }
            let offered = state.withLock { $0.offered(before: rank, of: id) }
            watch.require(offered.count <= ready, "seat \(id) is given a desktop that was offered: \(offered) may take one, and \(ready) are ready")
        case .failure(BrokerError.noDesktops):
            // Who waits keeps its place.
            break
        case .failure(let error):
            watch.note("\(id) is refused: \(error)")
            // Where a seat stands is told by its last claim.
            state.withLock { state in
                if state.seats[id]?.lastClaim == number { state.seats[id]?.leaveLine() }
            }
        }
    }

    /// The broker has thought about all that it was asked: claims without an answer are being served.
    func settled() {
        let now = clock.now
        state.withLock { state in
            for (id, seat) in state.seats where !seat.claims.isEmpty {
                for number in seat.claims {
                    guard let claim = state.claims[number] else { continue }
                    if !claim.isPending {
                        state.seats[id]?.leaveLine()
                        state.claims[number]?.isPending = true
                    }
                    // One hand-out after the other may fail, each at its deadline.
                    if claim.began.duration(to: now) > settings.handOutDeadline * 6, !claim.isOverdue {
                        state.claims[number]?.isOverdue = true
                        watch.add("seat \(id) has had no answer for \(claim.began.duration(to: now))")
                    }
                }
            }
        }
    }

    // MARK: Streams

    /// A seat's stream is open; gives its number.
    func comes(_ id: SeatID) -> Int {
        state.withLock { state in
            state.live(to: clock.now)
            let number = state.number()
            state.seats[id]?.stream = number
            state.seats[id]?.leavesAt = nil
            return number
        }
    }

    func leaves(_ id: SeatID, _ number: Int) {
        state.withLock { state in
            guard let seat = state.seats[id], seat.stream == number else { return }
            state.seats[id]?.stream = nil
            if seat.standing != .away { state.seats[id]?.leavesAt = clock.now.advanced(by: settings.absence) }
        }
    }

    func told(_ id: SeatID, _ event: SeatEvent) {
        watch.note("\(id) is told \(event)")
        guard case .offer(let within) = event else { return }
        let now = clock.now
        let before = state.withLock { state -> [SeatID] in
            state.live(to: now)
            state.seats[id]?.offeredUntil = now.advanced(by: within)
            return state.before(id, rank: state.seats[id]?.rank ?? 0)
        }
        watch.require(before.isEmpty, "seat \(id) is offered a desktop though seats \(before) wait before it")
    }

    /// The daemon is gone, and the line with it.
    func daemonEnds() {
        state.withLock { state in
            state.claims = [:]
            for id in state.seats.keys {
                state.seats[id]?.leaveLine()
                state.seats[id]?.stream = nil
                state.seats[id]?.claims = []
            }
        }
    }
}
