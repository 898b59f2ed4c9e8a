import DesktopModel

/// A moment of the calendar, in seconds since 1970, for people to read.
public typealias CalendarSeconds = Int64

/// The room at a glance.
public struct RoomReport: Hashable, Sendable {
    public struct Memory: Hashable, Sendable {
        public let total: ByteCount
        /// What desktops may have in all.
        public let forDesktops: ByteCount
        public let promised: ByteCount
        public init(total: ByteCount, forDesktops: ByteCount, promised: ByteCount) {
            self.total = total
            self.forDesktops = forDesktops
            self.promised = promised
        }
    }

    public var labs: [LabReport]
    public let memory: Memory?
    public let diskFree: ByteCount?
    public let diskTotal: ByteCount?
    /// How busy the processors are; nil until somebody has watched the room for a second, and where the server does not tell it.
    public let load: ServerLoad?
    public let seatsPresent: Int
    public let seats: Int
    /// What is wrong with the whole server now; empty when nothing is.
    public let troubles: [Sentence]
    public init(
        labs: [LabReport], memory: Memory?, diskFree: ByteCount?, diskTotal: ByteCount?, load: ServerLoad? = nil, seatsPresent: Int, seats: Int,
        troubles: [Sentence]
    ) {
        self.labs = labs
        self.memory = memory
        self.diskFree = diskFree
        self.diskTotal = diskTotal
        self.load = load
        self.seatsPresent = seatsPresent
        self.seats = seats
        self.troubles = troubles
    }
}

/// A lab with the state of its pool.
public struct LabReport: Hashable, Sendable {
    public let lab: Lab
    /// `<image>-<version>`.
    public let image: String
    /// How many desktops are in each state, by the state's word.
    public let desktops: [String: Int]
    public let waiting: Int
    public init(lab: Lab, image: String, desktops: [String: Int], waiting: Int) {
        self.lab = lab
        self.image = image
        self.desktops = desktops
        self.waiting = waiting
    }
}

/// A desktop as a list shows it.
public struct DesktopReport: Hashable, Sendable {
    public let name: String
    public let lab: String
    public let state: DesktopState
    public let generation: Generation
    /// The hardware that it is to have, and whether that is its own and not its lab's.
    public let profile: Profile
    public let hasOwnProfile: Bool
    /// Whether an administrator has put it in quarantine, or has it go there when its session ends.
    public let isSetAside: Bool
    public let address: String
    /// Since when it is in this state, if known.
    public let since: CalendarSeconds?
    /// Why it is not ready and what happens next; nil where the state says it all.
    public let explanation: Sentence?
    public init(
        name: String, lab: String, state: DesktopState, generation: Generation, profile: Profile, hasOwnProfile: Bool, isSetAside: Bool,
        address: String, since: CalendarSeconds?, explanation: Sentence?
    ) {
        self.name = name
        self.lab = lab
        self.state = state
        self.generation = generation
        self.profile = profile
        self.hasOwnProfile = hasOwnProfile
        self.isSetAside = isSetAside
        self.address = address
        self.since = since
        self.explanation = explanation
    }
}

/// A seat as a list shows it.
public struct SeatReport: Hashable, Sendable {
    public let id: SeatID
    public let name: String
    public let lab: String
    public let enrolled: Bool
    /// Whether its event stream is open now.
    public let present: Bool
    /// The place in its lab's line, from 1, while it waits.
    public let line: Int?
    public let session: SessionID?
    /// Whether its session's link through the relay is open now.
    public let connected: Bool
    public let desktop: String?
    /// Where its table stands; nil where nobody has said.
    public let place: TablePlace?
    /// Whether it is given no desktop.
    public let isBlocked: Bool
    /// What it said of itself last, and when; nil where it has said nothing since the daemon began.
    public let health: SeatHealth?
    public let healthAt: CalendarSeconds?
    public init(
        id: SeatID, name: String, lab: String, enrolled: Bool, present: Bool, line: Int?, session: SessionID?, connected: Bool, desktop: String?,
        place: TablePlace?, isBlocked: Bool = false, health: SeatHealth? = nil, healthAt: CalendarSeconds? = nil
    ) {
        self.id = id
        self.name = name
        self.lab = lab
        self.enrolled = enrolled
        self.present = present
        self.line = line
        self.session = session
        self.connected = connected
        self.desktop = desktop
        self.place = place
        self.isBlocked = isBlocked
        self.health = health
        self.healthAt = healthAt
    }
}

/// A session as a list shows it.
public struct SessionReport: Hashable, Sendable {
    public let id: SessionID
    public let seat: String
    public let desktop: String
    public let began: CalendarSeconds
    public let ended: CalendarSeconds?
    public let reason: EndReason?
    /// Whether a link through the relay is open now.
    public let connected: Bool
    public init(id: SessionID, seat: String, desktop: String, began: CalendarSeconds, ended: CalendarSeconds?, reason: EndReason?, connected: Bool) {
        self.id = id
        self.seat = seat
        self.desktop = desktop
        self.began = began
        self.ended = ended
        self.reason = reason
        self.connected = connected
    }
}

/// What an administrator says of a new lab; nothing is checked yet.
public struct LabDraft: Hashable, Sendable {
    public var name: String
    /// `<image>` for its newest version, or `<image>-<version>`.
    public var image: String
    public var vcpus: Int
    public var memory: ByteCount
    public var size: Int
    public var leastReady: Int
    public var atOnce: Int
    public var grace: Duration
    public var airing: Duration
    public var afterSession: AfterSession
    public var longest: Duration
    public var idle: Duration
    public var warning: Duration
    public var internet: Bool
    public init(
        name: String, image: String, vcpus: Int, memory: ByteCount, size: Int, leastReady: Int = 0, atOnce: Int = 0, grace: Duration,
        airing: Duration = Lab.usualAiring, afterSession: AfterSession, longest: Duration = .zero, idle: Duration = .zero,
        warning: Duration = Lab.usualWarning, internet: Bool = false
    ) {
        self.name = name
        self.image = image
        self.vcpus = vcpus
        self.memory = memory
        self.size = size
        self.leastReady = leastReady
        self.atOnce = atOnce
        self.grace = grace
        self.airing = airing
        self.afterSession = afterSession
        self.longest = longest
        self.idle = idle
        self.warning = warning
        self.internet = internet
    }
}

/// What hardware a desktop is to have.
public enum HardwareChange: Hashable, Sendable {
    /// What is nil stays as it is.
    case own(vcpus: Int?, memory: ByteCount?)
    case asLab
}

/// What is to change in a lab; nil leaves it as it is. Nothing is checked yet.
public struct LabChange: Hashable, Sendable {
    public var image: String?
    public var vcpus: Int?
    public var memory: ByteCount?
    public var size: Int?
    public var leastReady: Int?
    public var atOnce: Int?
    public var grace: Duration?
    public var airing: Duration?
    public var afterSession: AfterSession?
    public var longest: Duration?
    public var idle: Duration?
    public var warning: Duration?
    public var internet: Bool?
    public init(
        image: String? = nil, vcpus: Int? = nil, memory: ByteCount? = nil, size: Int? = nil, leastReady: Int? = nil, atOnce: Int? = nil,
        grace: Duration? = nil, airing: Duration? = nil, afterSession: AfterSession? = nil, longest: Duration? = nil, idle: Duration? = nil,
        warning: Duration? = nil, internet: Bool? = nil
    ) {
        self.image = image
        self.vcpus = vcpus
        self.memory = memory
        self.size = size
        self.leastReady = leastReady
        self.atOnce = atOnce
        self.grace = grace
        self.airing = airing
        self.afterSession = afterSession
        self.longest = longest
        self.idle = idle
        self.warning = warning
        self.internet = internet
    }
}

/// What a change of a lab means for its desktops.
public enum LabConsequence: Hashable, Sendable {
    /// No desktop is touched.
    case nothing
    /// So many that nobody has are thrown away and made anew.
    case madeAnew(Int)
    /// So many that somebody has change when their session ends.
    case whenTheyEnd(Int)
    /// The pool gets so many more, at most.
    case added(Int)
    /// The pool loses so many; those that somebody has go when their session ends.
    case removed(Int)
    /// One is booted and frozen first: there is no checkpoint of such a desktop yet.
    case bootedFirst
    /// All of its desktops reach the internet, or do no more, at once and as they are.
    case internetOpened
    case internetClosed
}
