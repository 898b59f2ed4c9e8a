import ControlAPI
import Synchronization

/// What all seats have seen together: what must hold of it, and its figures. Any thread.
final class SeatBook: Sendable {
    /// What happened in a room, counted.
    enum Happening: String, CaseIterable {
        case claimed = "claims"
        case handedOut = "hand-outs"
        case waited = "waits"
        case linked = "links"
        case linkFailed = "links that did not come about and were tried again"
        case loggedOff = "log-offs"
        case closed = "closed windows"
        case linkLost = "lost links"
        case linkBroke = "links that broke by themselves"
        case resumed = "sessions claimed back"
        case powerCycled = "power cycles"
        case endedByServer = "sessions ended by the appliance"
        case notAnswered = "requests without an answer"
    }

    private struct State {
        var counts: [Happening: Int] = [:]
        /// Every certificate that came with a fresh desktop.
        var certificates: Set<String> = []
        /// Whose link is open to a desktop.
        var linked: [String: String] = [:]
        var waiting: Set<String> = []
        var handOuts: [Duration] = []
        var pictures: [Duration] = []
        var waits: [Duration] = []
        var failures: [String] = []
    }

    private let state = Mutex(State())

    func note(_ happening: Happening) { state.withLock { $0.counts[happening, default: 0] += 1 } }

    /// Notes what must not be.
    func fail(_ what: String) { state.withLock { $0.failures.append(what) } }

    /// A seat was given a fresh desktop: nobody has had it in this generation, and nobody is at it.
    func handedOut(_ lease: LeaseMessage, to seat: String, after took: Duration, waited: Bool) {
        state.withLock { state in
            state.counts[.handedOut, default: 0] += 1
            if !waited { state.handOuts.append(took) }
            if !state.certificates.insert(lease.fingerprint).inserted {
                state.failures.append("\(seat) was given \(lease.desktop) with a certificate that was handed out before")
            }
            if let other = state.linked[lease.desktop], other != seat {
                state.failures.append("\(seat) was given \(lease.desktop), at which \(other) is")
            }
        }
    }

    func linked(_ seat: String, to desktop: String, after took: Duration?) {
        state.withLock { state in
            state.counts[.linked, default: 0] += 1
            if let took { state.pictures.append(took) }
            if let other = state.linked.updateValue(seat, forKey: desktop), other != seat {
                state.failures.append("\(seat) reached \(desktop), at which \(other) is")
            }
        }
    }

    func unlinked(_ seat: String, from desktop: String) {
        state.withLock { if $0.linked[desktop] == seat { $0.linked[desktop] = nil } }
    }

    func waits(_ seat: String) { state.withLock { _ = $0.waiting.insert(seat) } }

    func waited(_ seat: String, _ time: Duration) {
        state.withLock { state in
            state.waiting.remove(seat)
            state.counts[.waited, default: 0] += 1
            state.waits.append(time)
        }
    }

    func waitsNoMore(_ seat: String) { state.withLock { _ = $0.waiting.remove(seat) } }

    func count(_ happening: Happening) -> Int { state.withLock { $0.counts[happening, default: 0] } }
    var failures: [String] { state.withLock { $0.failures } }

    /// The room at a glance.
    var line: String {
        state.withLock { state in
            "\(state.linked.count) seats at a desktop, \(state.waiting.count) waiting, \(state.counts[.handedOut, default: 0]) hand-outs, "
                + "\(state.failures.count) failures"
        }
    }

    /// All figures, a line each.
    var summary: String {
        state.withLock { state in
            var lines = Happening.allCases.map { "\($0.rawValue): \(state.counts[$0, default: 0])" }
            lines.append("hand-out without a wait, from the claim to its answer, its own TLS included: \(Figures(state.handOuts).json)")
            lines.append("the same until TLS with the desktop stood: \(Figures(state.pictures).json)")
            lines.append("waits in the line: \(Figures(state.waits).json)")
            lines.append("failures: \(state.failures.count)")
            lines += state.failures.prefix(20).map { "  \($0)" }
            return lines.joined(separator: "\n")
        }
    }
}
