/// The steps by which a desktop is made.
public enum PreparationStep: String, Hashable, Sendable, CaseIterable, Codable {
    /// A copy of the image's blank overlay is laid.
    case overlay
    /// Xen builds the domain, paused.
    case domain
    /// The domain runs, and its guest takes over an identity of its own. Left out where the image has no guest package.
    case identity
    /// The domain runs, and RDP is asked until it answers.
    case readiness
    /// The desktop is frozen as a checkpoint, and goes. Of a desktop that is made for that alone.
    case freezing
    /// The domain is paused again and what came of it is committed.
    case parking
}

/// Where a desktop stands in its life.
public enum DesktopState: Hashable, Sendable {
    /// It holds nothing.
    case empty
    /// A blank overlay, a domain being booted and probed.
    case preparing(PreparationStep)
    /// A paused domain whose RDP answered in this generation.
    case ready
    /// A domain that belongs to one session.
    case leased(SessionID)
    /// A domain and overlay on their way out.
    case retiring
    /// What could not be made or removed, with the cause. `holding` says whether a domain or overlay may still be there.
    case quarantined(cause: Sentence, holding: Bool)

    /// The state's one word, as the database, the API and people use it.
    public var word: String {
        switch self {
        case .empty: "empty"
        case .preparing: "preparing"
        case .ready: "ready"
        case .leased: "leased"
        case .retiring: "retiring"
        case .quarantined: "quarantined"
        }
    }

    /// Whether its memory and disk are in the books.
    public var holdsResources: Bool {
        switch self {
        case .empty, .quarantined(_, holding: false): false
        case .preparing, .ready, .leased, .retiring, .quarantined(_, holding: true): true
        }
    }
}

/// What can happen to a desktop.
public enum DesktopChange: Hashable, Sendable {
    /// A new generation begins.
    case prepare
    /// The step is done and the next begins.
    case advance(to: PreparationStep)
    /// It was parked, and that is committed.
    case parked
    case lease(SessionID)
    /// It must go: its session ended, it is not vouched for, or it is to be made anew.
    case retire
    /// Domain and overlay are gone, and that is committed.
    case removed
    /// A making failed; what it left must go first (`holding`), or nothing was left.
    case quarantine(cause: Sentence, holding: Bool)
    /// The next try begins for a desktop in quarantine.
    case retry
}

extension DesktopState {
    /// The one table of a desktop's life: the state after the change, or nil where the change is not possible.
    ///
    /// There is no way from `leased` to `ready` but through `retiring`, `empty` and a new generation.
    public func after(_ change: DesktopChange) -> DesktopState? {
        switch (self, change) {
        case (.empty, .prepare): .preparing(.overlay)
        case (.preparing(.overlay), .advance(to: .domain)): .preparing(.domain)
        case (.preparing(.domain), .advance(to: .identity)): .preparing(.identity)
        case (.preparing(.domain), .advance(to: .readiness)), (.preparing(.identity), .advance(to: .readiness)): .preparing(.readiness)
        case (.preparing(.readiness), .advance(to: .freezing)): .preparing(.freezing)
        case (.preparing(.readiness), .advance(to: .parking)): .preparing(.parking)
        case (.preparing(.parking), .parked): .ready
        case (.ready, .lease(let session)): .leased(session)
        case (.preparing, .retire), (.ready, .retire), (.leased, .retire), (.quarantined, .retire): .retiring
        case (.retiring, .removed): .empty
        case (.retiring, .quarantine(let cause, let holding)): .quarantined(cause: cause, holding: holding)
        case (.quarantined(_, holding: true), .retry): .retiring
        case (.quarantined(_, holding: false), .retry): .empty
        default: nil
        }
    }
}
