import DesktopModel
import Hypervisor

/// What was counted at the relay since the daemon began.
public struct RelayFigures: Hashable, Sendable {
    /// Connections that reached a desktop, and those that were refused for their ticket.
    public internal(set) var opened = 0
    public internal(set) var refused = 0
    /// What the connections that are over have carried.
    public internal(set) var bytesFromSeats: UInt64 = 0
    public internal(set) var bytesToSeats: UInt64 = 0
}

/// How long processors have worked, by whom they worked for; each only grows.
public struct ServerWork: Hashable, Sendable {
    public internal(set) var processors = 0
    public internal(set) var control = Duration.zero
    public internal(set) var desktops = Duration.zero
    /// Domains that are none of this appliance's.
    public internal(set) var others = Duration.zero
    /// Of all of them.
    var whole: Duration { control + desktops + others }
    /// What each domain had worked at the last look; nil before the first.
    private var seen: [DomainUUID: Duration]?

    /// Counts what was worked since the last look. What was there at the first counts from then on; what comes later counts from its beginning. What a
    /// domain worked between the last look at it and its end is not known.
    mutating func look(_ capacity: HostCapacity, _ domains: [RunningDomain], of installation: UInt64) {
        processors = capacity.processors
        control = max(control, capacity.controlWorked)
        var now: [DomainUUID: Duration] = [:]
        for domain in domains {
            let before = seen?[domain.uuid]
            now[domain.uuid] = max(domain.worked, before ?? .zero)
            guard let seen else { continue }
            let more = max(.zero, domain.worked - (seen[domain.uuid] ?? .zero))
            if domain.uuid.installation == installation { desktops += more } else { others += more }
        }
        seen = now
    }
}

/// How busy the server's processors are.
public struct ServerLoad: Hashable, Sendable {
    public let processors: Int
    /// What all of them worked of what they could have between two looks some seconds apart, 0 to 1.
    public let share: Double
    public init(processors: Int, share: Double) {
        self.processors = processors
        self.share = min(1, max(0, share))
    }

    /// Whole twentieths: who watches is told of a change of these.
    var twentieths: Int { Int((share * 20).rounded()) }
}

/// What has been counted since the daemon began, for whoever watches it over time.
public struct Figures: Hashable, Sendable {
    /// How often something took how long.
    public struct Total: Hashable, Sendable {
        public private(set) var count = 0
        public private(set) var sum = Duration.zero

        mutating func add(_ took: Duration) {
            count += 1
            sum += took
        }
    }

    /// The steps by which desktops are made, and their removal, by their words.
    public internal(set) var steps: [String: Total] = [:]
    /// Desktops that became ready: each is a generation.
    public internal(set) var made = 0
    /// How often a desktop went into quarantine.
    public internal(set) var quarantines = 0
    /// Desktops that were leased.
    public internal(set) var handOuts = 0
    /// Claims for which no desktop was ready, and how long those waited that were given one.
    public internal(set) var emptyClaims = 0
    public internal(set) var waits = Total()
    /// Sessions that ended, by the reason's word.
    public internal(set) var ended: [String: Int] = [:]

    /// A desktop goes from one state to another after so long.
    mutating func count(_ from: DesktopState, to next: DesktopState, after took: Duration?) {
        switch from {
        case .preparing(let step): steps[step.rawValue, default: Total()].add(took ?? .zero)
        case .retiring: steps["removal", default: Total()].add(took ?? .zero)
        case .empty, .ready, .leased, .quarantined: break
        }
        switch next {
        case .ready: made += 1
        case .leased: handOuts += 1
        case .quarantined: quarantines += 1
        case .empty, .preparing, .retiring: break
        }
    }
}
