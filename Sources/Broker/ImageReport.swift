import DesktopModel

/// A version of an image with what uses it.
public struct ImageReport: Hashable, Sendable {
    public let version: ImageVersion
    /// The names of the labs that have it.
    public let labs: [String]
    /// How many desktops are made of it now.
    public let desktops: Int
    /// Those that there are for it, of any hardware.
    public let checkpoints: [Checkpoint]
    public init(version: ImageVersion, labs: [String], desktops: Int, checkpoints: [Checkpoint]) {
        self.version = version
        self.labs = labs
        self.desktops = desktops
        self.checkpoints = checkpoints
    }
}

/// What is to change in a version of an image; nil leaves it as it is. Nothing is checked yet.
public struct ImageChange: Hashable, Sendable {
    public var sharesIdentity: Bool?
    public var notes: String?
    public init(sharesIdentity: Bool? = nil, notes: String? = nil) {
        self.sharesIdentity = sharesIdentity
        self.notes = notes
    }
}
