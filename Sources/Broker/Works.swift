import DesktopModel

/// What is under way at each desktop, and when something of it is due next.
struct Works: Sequence, Sendable {
    private var byID: [DesktopID: Work] = [:]
    private var deadlines = Deadlines<DesktopID>()
    /// The desktops that are being aired.
    private(set) var airing: Set<DesktopID> = []

    var values: Dictionary<DesktopID, Work>.Values { byID.values }
    func makeIterator() -> Dictionary<DesktopID, Work>.Iterator { byID.makeIterator() }

    /// When the first step must be done or the first next try begins; nil where nothing waits for time.
    var soonest: Instant? { deadlines.soonest?.at }

    subscript(id: DesktopID) -> Work? {
        get { byID[id] }
        set {
            byID[id] = newValue
            deadlines[id] = [newValue?.deadline, newValue?.retryAt].compactMap { $0 }.min()
            if newValue?.isAiring == true { airing.insert(id) } else if !airing.isEmpty { airing.remove(id) }
        }
    }
}
