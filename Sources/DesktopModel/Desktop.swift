/// One place in a lab's pool. Domains come and go in it.
public struct Desktop: Hashable, Sendable {
    public let id: DesktopID
    public let lab: LabID
    /// Counts from 1 within the lab.
    public let number: Int
    /// `<lab>-<number>`, as people see it.
    public let name: String
    /// The address it has on the desktops' network.
    public let place: Place
    public var generation: Generation
    public var state: DesktopState
    /// What this generation was made from; nil before the first making.
    public var image: ImageVersionID?
    public var profile: Profile?
    /// The hardware that it is to have instead of its lab's, from its next making on; nil where it is to have its lab's.
    public var ownProfile: Profile?
    /// Whether an administrator has put it in quarantine: nobody is given it, and it is not made until it is released.
    public var isSetAside: Bool
    /// The checkpoint that this generation was restored from; nil where it was booted.
    public var checkpoint: CheckpointID?
    /// SHA-256 of the certificate that its RDP server showed in this generation, 32 bytes; nil until then.
    public var fingerprint: [UInt8]?
    /// The password of the image's account in this generation, where its guest has taken one over; nil where the image's own is in force.
    public var password: String?
    /// What went wrong last; nil once a making has succeeded.
    public var failure: Failure?

    public init(
        id: DesktopID, lab: LabID, number: Int, name: String, place: Place, generation: Generation = .none, state: DesktopState = .empty,
        image: ImageVersionID? = nil, profile: Profile? = nil, ownProfile: Profile? = nil, isSetAside: Bool = false,
        checkpoint: CheckpointID? = nil,
        fingerprint: [UInt8]? = nil, password: String? = nil, failure: Failure? = nil
    ) {
        self.id = id
        self.lab = lab
        self.number = number
        self.name = name
        self.place = place
        self.generation = generation
        self.state = state
        self.image = image
        self.profile = profile
        self.ownProfile = ownProfile
        self.isSetAside = isSetAside
        self.checkpoint = checkpoint
        self.fingerprint = fingerprint
        self.password = password
        self.failure = failure
    }
}

/// A reserved address on the desktops' network: the MAC and IPv4 address are counted from it. From 1.
///
/// At most one desktop has a place at a time; the network's reservations are made for all places at once.
public struct Place: RawRepresentable, Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public var description: String { String(rawValue) }
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
