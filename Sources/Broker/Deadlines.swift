import DesktopModel
import HeapModule

/// By when whom something is due, one instant each at most: of many deadlines, most of which are moved before they come, the soonest is at hand.
struct Deadlines<ID: Hashable & Comparable & Sendable>: Sendable {
    private struct Entry: Comparable, Sendable {
        let at: Instant
        let id: ID
        static func < (left: Self, right: Self) -> Bool { (left.at, left.id) < (right.at, right.id) }
    }

    private var instants: [ID: Instant] = [:]
    /// All that were set. What was moved since stays, until it would be the first.
    private var entries = Heap<Entry>()

    /// Whose is first, the lowest of those at the same instant; nil where there is none.
    var soonest: (id: ID, at: Instant)? { entries.min.map { (id: $0.id, at: $0.at) } }

    subscript(id: ID) -> Instant? {
        get { instants[id] }
        set {
            guard instants[id] != newValue else { return }
            instants[id] = newValue
            if let newValue { entries.insert(Entry(at: newValue, id: id)) }
            if entries.count > 2 * instants.count + 64 { entries = Heap(instants.map { Entry(at: $0.value, id: $0.key) }) }
            while let first = entries.min, instants[first.id] != first.at { entries.removeMin() }
        }
    }
}
