import DesktopModel

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
