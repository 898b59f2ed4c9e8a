/// The hardware of a desktop.
public struct Profile: Hashable, Sendable, Codable {
    public var vcpus: Int
    public var memory: ByteCount
    public init(vcpus: Int, memory: ByteCount) {
        self.vcpus = vcpus
        self.memory = memory
    }
}

/// What a seat does when its session has ended.
public enum AfterSession: String, Sendable, Codable, Hashable, CaseIterable {
    /// Ask for a fresh desktop for the next pupil.
    case claimAgain = "claim-again"
    /// Switch the Raspberry Pi off.
    case shutDown = "shut-down"
}

/// A room: its image, its desktops' hardware, how many of them, and how sessions are treated.
public struct Lab: Hashable, Sendable {
    public let id: LabID
    /// Lower-case letters, digits and hyphens; desktops are named after it.
    public var name: String
    public var image: ImageVersionID
    public var profile: Profile
    /// How many desktops the pool keeps at most, leased ones included; so many are promised memory and disk.
    public var size: Int
    /// How many of them stand ready beside those in use, while the size allows it; zero: as many as the size allows.
    public var leastReady: Int
    /// How many of them are made or removed at once; zero: as many as the server allows over all labs.
    public var atOnce: Int
    /// How long a session whose link is lost is kept for its seat.
    public var grace: Duration
    /// How long a desktop stays parked before it is let run for a moment, so that it answers as at first; zero: until it is handed out.
    public var airing: Duration
    /// What a lab's airing is where nobody says otherwise.
    public static let usualAiring = Duration.seconds(600)
    public var afterSession: AfterSession
    /// How long a session may last, and how long nobody may touch its seat, before it is ended; zero: for ever.
    public var longest: Duration
    public var idle: Duration
    /// How long before such an end its seat is told; at most half of the time that the seat may be idle.
    public var warning: Duration
    /// What a lab's warning is where nobody says otherwise.
    public static let usualWarning = Duration.seconds(300)
    /// Whether its desktops may reach the internet, those in use included.
    public var internet: Bool

    public init(
        id: LabID, name: String, image: ImageVersionID, profile: Profile, size: Int, leastReady: Int = 0, atOnce: Int = 0, grace: Duration,
        airing: Duration = Self.usualAiring, afterSession: AfterSession, longest: Duration = .zero, idle: Duration = .zero,
        warning: Duration = Self.usualWarning, internet: Bool = false
    ) {
        self.id = id
        self.name = name
        self.image = image
        self.profile = profile
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
