import DesktopModel

/// A moment of the calendar in whole seconds since 1970. The store takes it when it writes.
public typealias StoredSeconds = Int64

/// What is meant to be, read at one moment: from this the daemon begins again after a restart.
public struct StoredRoom: Hashable, Sendable {
    /// By name.
    public let labs: [Lab]
    /// By image and version.
    public let images: [ImageVersion]
    /// By number.
    public let desktops: [Desktop]
    /// Since when each desktop is in the state that its word names.
    public let since: [DesktopID: StoredSeconds]
    /// When this was read, by the same calendar.
    public let readAt: StoredSeconds
    /// The open ones, by number.
    public let sessions: [Session]
    /// The number for the next new desktop; it was never used.
    public let nextDesktop: DesktopID
    /// The number for the next session; it was never used.
    public let nextSession: SessionID
    /// By number.
    public let checkpoints: [Checkpoint]
    /// The number for the next checkpoint; it was never used.
    public let nextCheckpoint: CheckpointID
}

/// A version of an image that is to be kept; the store gives it its number.
public struct NewImageVersion: Hashable, Sendable {
    /// The image's name: lower-case letters, digits and hyphens.
    public var image: String
    /// At least what `nextVersion(of:)` told.
    public var version: Int
    public var boot: BootMode
    public var disk: String
    public var kernel: String
    public var ramdisk: String
    public var blankOverlay: String
    public var commandLine: String
    public var account: Account
    /// SHA-256 of `disk`, in lower-case hexadecimal.
    public var checksum: String
    public var diskSize: ByteCount
    public var minimumMemory: ByteCount
    public var hasGuest: Bool

    public init(
        image: String, version: Int, boot: BootMode, disk: String, kernel: String, ramdisk: String, blankOverlay: String,
        commandLine: String, account: Account, checksum: String, diskSize: ByteCount, minimumMemory: ByteCount, hasGuest: Bool = false
    ) {
        self.image = image
        self.version = version
        self.boot = boot
        self.disk = disk
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.blankOverlay = blankOverlay
        self.commandLine = commandLine
        self.account = account
        self.checksum = checksum
        self.diskSize = diskSize
        self.minimumMemory = minimumMemory
        self.hasGuest = hasGuest
    }
}

/// A seat as it is kept. Its token and word are not here: only their hashes are kept, and they are only searched for.
public struct SeatRecord: Hashable, Sendable {
    public let id: SeatID
    public let name: String
    public let lab: LabID
    /// When it was enrolled; nil until then.
    public let enrolled: StoredSeconds?
    /// Until when its enrolment word is good; nil where none is waiting.
    public let wordExpires: StoredSeconds?
    /// Whether it is given no desktop.
    public let isBlocked: Bool
    /// Where its table stands in the plan; nil where nobody has said.
    public let place: TablePlace?
}

/// What is to be another than it was about a seat; nil stays as it is.
public struct SeatChange: Hashable, Sendable {
    public var name: String?
    public var lab: LabID?
    public var isBlocked: Bool?
    public var place: TablePlace?
    public init(name: String? = nil, lab: LabID? = nil, isBlocked: Bool? = nil, place: TablePlace? = nil) {
        self.name = name
        self.lab = lab
        self.isBlocked = isBlocked
        self.place = place
    }
}

/// A session as it is kept, for people to read; it outlives its seat and its desktop.
public struct SessionRecord: Hashable, Sendable {
    public let id: SessionID
    public let seat: SeatID
    public let seatName: String
    public let desktop: DesktopID
    public let desktopName: String
    public let began: StoredSeconds
    /// Nil while it is open.
    public let ended: StoredSeconds?
    /// Nil while it is open.
    public let reason: EndReason?
}

/// One line of the journal: who did what, and from where.
public struct JournalEntry: Hashable, Sendable {
    /// Counts up, without an end.
    public let id: Int64
    public let at: StoredSeconds
    /// The person's name, or the account on the server.
    public let who: String
    /// The address that it came from.
    public let origin: String
    /// One word, such as `lab-change`.
    public let action: String
    /// What it was done to.
    public let subject: String
    public let detail: String
}

/// A token by which programs use the interface; itself it is not kept.
public struct APITokenRecord: Hashable, Sendable {
    public let id: Int64
    public let name: String
    /// Whether it may change things, and not only read.
    public let mayChange: Bool
    public let ends: StoredSeconds
}

/// One thing that changes in the room. Changes that belong together are applied together.
public enum StoreChange: Hashable, Sendable {
    /// A desktop with a number that was never used.
    case desktopAdded(Desktop)
    /// The desktop's generation, state, making, fingerprint and failure are now these.
    case desktopChanged(Desktop)
    /// The last lines of the console of the generation that failed. A failure that is no longer there is no error: it was overcome meanwhile.
    case consoleRead(DesktopID, Generation, [String])
    /// One that is not there is no error: that it is gone is a fact.
    case desktopRemoved(DesktopID)
    /// A checkpoint with a number that was never used.
    case checkpointAdded(Checkpoint)
    /// The checkpoint's state and failures are now these. One that is not there is no error: nobody wants it any more.
    case checkpointChanged(Checkpoint)
    /// No desktop may name it any more when the changes are applied. One that is not there is no error.
    case checkpointRemoved(CheckpointID)
    /// The lease: it goes together with the change that makes its desktop `leased`. The names are kept for the history.
    case sessionBegan(Session, desktopName: String, seatName: String)
    /// The session has another ticket, or is used from another address.
    case sessionTicket(SessionID, TicketHash, address: String)
    /// It goes together with the change by which its desktop is no longer `leased`. A session that is not open is no error: its lease may
    /// never have reached the disk.
    case sessionEnded(SessionID, EndReason)
}
