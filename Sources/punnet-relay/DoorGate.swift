import NIOCore

/// The books of who stands at the door: how many, from where, and who was refused how often. It decides who may come in at all.
///
/// A value without a clock: times are given to it.
struct DoorGate: Sendable {
    typealias Source = [UInt8]

    enum Verdict: Hashable, Sendable {
        case enter
        /// Too many refused attempts, or too many connections that wait, from this address.
        case flood
        /// Too many connections that wait, from everywhere.
        case full
    }

    private struct Record {
        var waiting = 0
        var refusals = 0
        /// From when the refusals are forgiven, one in each `forgiveness`.
        var since: NIODeadline
    }

    private let limits: DoorLimits
    private var records: [Source: Record] = [:]
    private(set) var connections = 0
    private(set) var waiting = 0
    private var lookedThrough = NIODeadline.uptimeNanoseconds(0)
    /// How often all addresses were looked through.
    private(set) var looks = 0

    init(limits: DoorLimits) { self.limits = limits }

    /// How many addresses are remembered.
    var remembered: Int { records.count }

    /// A connection has come. After `enter` it counts until `leave`.
    mutating func arrive(from source: Source, at now: NIODeadline) -> Verdict {
        forgive(source, at: now)
        let record = records[source]
        guard (record?.refusals ?? 0) < limits.refusals, (record?.waiting ?? 0) < limits.waitingPerSource else { return .flood }
        guard waiting < limits.waiting else { return .full }
        makeRoom(for: source, at: now)
        records[source, default: Record(since: now)].waiting += 1
        connections += 1
        waiting += 1
        return .enter
    }

    /// Whether so many wait that the door will soon be full.
    var isCrowded: Bool { waiting > limits.waiting - max(limits.waiting / 16, 1) }

    /// A connection that waited was admitted; it still counts among all. False, and it goes on waiting, where there are too many links.
    mutating func admit(from source: Source) -> Bool {
        guard connections - waiting < limits.links else { return false }
        stopWaiting(source)
        return true
    }

    /// A connection is over.
    mutating func leave(from source: Source, waiting wasWaiting: Bool) {
        connections -= 1
        if wasWaiting { stopWaiting(source) }
    }

    private mutating func stopWaiting(_ source: Source) {
        waiting -= 1
        records[source]?.waiting -= 1
        drop(source)
    }

    /// An attempt from there was refused.
    mutating func refuse(_ source: Source, at now: NIODeadline) {
        forgive(source, at: now)
        makeRoom(for: source, at: now)
        var record = records[source] ?? Record(since: now)
        if record.refusals == 0 { record.since = now }
        record.refusals = min(record.refusals + 1, limits.refusals)
        records[source] = record
    }

    private mutating func forgive(_ source: Source, at now: NIODeadline) {
        guard var record = records[source], record.refusals > 0 else { return }
        let forgiven = (now - record.since).nanoseconds / max(limits.forgiveness.nanoseconds, 1)
        guard forgiven > 0 else { return }
        record.refusals = Int(max(Int64(record.refusals) - forgiven, 0))
        record.since = record.since + limits.forgiveness * forgiven
        records[source] = record
        drop(source)
    }

    /// Forgets an address that nothing is held against.
    private mutating func drop(_ source: Source) {
        if let record = records[source], record.waiting == 0, record.refusals == 0 { records[source] = nil }
    }

    /// Where too many addresses are remembered, forgets those whose time is over, else one that has nothing open.
    private mutating func makeRoom(for source: Source, at now: NIODeadline) {
        guard records[source] == nil, records.count >= limits.sources else { return }
        // All are looked through only as often as something can have been forgiven, or a crowd of addresses would make the door slow.
        if now - lookedThrough >= limits.forgiveness {
            lookedThrough = now
            looks += 1
            for other in Array(records.keys) { forgive(other, at: now) }
        }
        guard records.count >= limits.sources, let idle = records.first(where: { $0.value.waiting == 0 }) else { return }
        records[idle.key] = nil
    }
}
