/// How a version of an image is started by Xen.
public enum BootMode: String, Sendable, Codable, Hashable {
    case pv, pvh
}

/// The account by which a desktop of an image is entered over RDP.
public struct Account: Hashable, Sendable, Codable {
    public let user: String
    public let password: String
    public init(user: String, password: String) {
        self.user = user
        self.password = password
    }
}

/// One numbered, immutable version of a golden disk, with what it needs to boot.
public struct ImageVersion: Hashable, Sendable {
    public let id: ImageVersionID
    /// The image's name: lower-case letters, digits and hyphens.
    public let image: String
    /// Counts from 1 within the image.
    public let version: Int
    public let boot: BootMode
    /// Absolute paths in the data folder; the files never change.
    public let disk: String
    public let kernel: String
    public let ramdisk: String
    /// An empty qcow2 over `disk`; every desktop's overlay begins as a copy of it.
    public let blankOverlay: String
    public let commandLine: String
    public let account: Account
    /// SHA-256 of `disk`, in lower-case hexadecimal.
    public let checksum: String
    /// What the golden disk holds at its largest: an overlay can grow to this, and is admitted at it.
    public let diskSize: ByteCount
    public let minimumMemory: ByteCount
    /// Whether it holds the package punnet-guest, by which each of its desktops takes over an identity of its own.
    public let hasGuest: Bool
    /// Whether an administrator accepts that all of its desktops have one identity, where it does not hold that package.
    public var sharesIdentity: Bool
    /// What an administrator notes of it, for people to read.
    public var notes: String
    /// When it was taken in, in seconds since 1970; nil where it was before that was kept.
    public let added: Int64?

    /// `<image>-<version>`, as people name it.
    public var name: String { "\(image)-\(version)" }

    /// Whether its desktops may be restored from one memory, and need not be booted each.
    public var mayBeRestored: Bool { hasGuest || sharesIdentity }

    public init(
        id: ImageVersionID, image: String, version: Int, boot: BootMode, disk: String, kernel: String, ramdisk: String, blankOverlay: String,
        commandLine: String, account: Account, checksum: String, diskSize: ByteCount, minimumMemory: ByteCount, hasGuest: Bool,
        sharesIdentity: Bool = false, notes: String = "", added: Int64? = nil
    ) {
        self.id = id
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
        self.sharesIdentity = sharesIdentity
        self.notes = notes
        self.added = added
    }
}
