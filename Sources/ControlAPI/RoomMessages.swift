/// `GET /api/v1/room`: the room at a glance.
public struct RoomMessage: Hashable, Sendable, Codable {
    /// Memory in bytes.
    public struct Memory: Hashable, Sendable, Codable {
        public let total: Int64
        /// What desktops may have in all.
        public let forDesktops: Int64
        public let promised: Int64
        public init(total: Int64, forDesktops: Int64, promised: Int64) {
            self.total = total
            self.forDesktops = forDesktops
            self.promised = promised
        }
    }

    /// Disk in bytes; absent where the disk could not be asked.
    public struct Disk: Hashable, Sendable, Codable {
        public let free: Int64?
        public let total: Int64?
        public init(free: Int64?, total: Int64?) {
            self.free = free
            self.total = total
        }
    }

    public let labs: [LabMessage]
    public let memory: Memory?
    public let disk: Disk
    public let seatsPresent: Int
    public let seats: Int
    /// What is wrong with the whole server now, in plain words; empty when nothing is.
    public let troubles: [String]

    public init(labs: [LabMessage], memory: Memory?, disk: Disk, seatsPresent: Int, seats: Int, troubles: [String]) {
        self.labs = labs
        self.memory = memory
        self.disk = disk
        self.seatsPresent = seatsPresent
        self.seats = seats
        self.troubles = troubles
    }
}

/// A lab with the state of its pool.
public struct LabMessage: Hashable, Sendable, Codable {
    public let name: String
    /// `<image>-<version>`.
    public let image: String
    public let vcpus: Int
    /// Bytes a desktop.
    public let memory: Int64
    /// How many desktops the pool keeps at most.
    public let size: Int
    /// How many of them stand ready beside those in use; 0: as many as the size allows.
    public let leastReady: Int
    /// How many of them are made or removed at once; 0: as many as the server allows.
    public let atOnce: Int
    public let graceSeconds: Int
    /// How long a desktop stays parked before it is let run for a moment; 0: until it is handed out.
    public let airingSeconds: Int
    /// `claim-again` or `shut-down`.
    public let afterSession: String
    /// How long a session may last, and how long nobody may touch its seat, before it is ended; 0: for ever.
    public let longestSeconds: Int
    public let idleSeconds: Int
    /// How long before such an end its seat is told.
    public let warningSeconds: Int
    /// Whether its desktops may reach the internet, where the server leads there.
    public let internet: Bool
    /// How many desktops are in each state, by the state's word.
    public let desktops: [String: Int]
    /// How many seats wait for a desktop.
    public let waiting: Int

    public init(
        name: String, image: String, vcpus: Int, memory: Int64, size: Int, leastReady: Int, atOnce: Int, graceSeconds: Int, airingSeconds: Int,
        afterSession: String, longestSeconds: Int, idleSeconds: Int, warningSeconds: Int, internet: Bool, desktops: [String: Int], waiting: Int
    ) {
        self.name = name
        self.image = image
        self.vcpus = vcpus
        self.memory = memory
        self.size = size
        self.leastReady = leastReady
        self.atOnce = atOnce
        self.graceSeconds = graceSeconds
        self.airingSeconds = airingSeconds
        self.afterSession = afterSession
        self.longestSeconds = longestSeconds
        self.idleSeconds = idleSeconds
        self.warningSeconds = warningSeconds
        self.internet = internet
        self.desktops = desktops
        self.waiting = waiting
    }
}

/// `POST /api/v1/labs`
public struct LabDraftMessage: Hashable, Sendable, Codable {
    public let name: String
    /// `<image>` for its newest version, or `<image>-<version>`.
    public let image: String
    public let vcpus: Int
    /// Bytes a desktop.
    public let memory: Int64
    public let size: Int
    /// As in `LabMessage`; absent: 0.
    public let leastReady: Int?
    /// As in `LabMessage`; absent: 0.
    public let atOnce: Int?
    public let graceSeconds: Int
    /// As in `LabMessage`; absent: 600.
    public let airingSeconds: Int?
    /// `claim-again` or `shut-down`.
    public let afterSession: String
    /// As in `LabMessage`; absent: 0.
    public let longestSeconds: Int?
    /// As in `LabMessage`; absent: 0.
    public let idleSeconds: Int?
    /// As in `LabMessage`; absent: 300.
    public let warningSeconds: Int?
    /// As in `LabMessage`; absent: false.
    public let internet: Bool?

    public init(
        name: String, image: String, vcpus: Int, memory: Int64, size: Int, leastReady: Int? = nil, atOnce: Int? = nil, graceSeconds: Int,
        airingSeconds: Int? = nil, afterSession: String, longestSeconds: Int? = nil, idleSeconds: Int? = nil, warningSeconds: Int? = nil,
        internet: Bool? = nil
    ) {
        self.name = name
        self.image = image
        self.vcpus = vcpus
        self.memory = memory
        self.size = size
        self.leastReady = leastReady
        self.atOnce = atOnce
        self.graceSeconds = graceSeconds
        self.airingSeconds = airingSeconds
        self.afterSession = afterSession
        self.longestSeconds = longestSeconds
        self.idleSeconds = idleSeconds
        self.warningSeconds = warningSeconds
        self.internet = internet
    }
}

/// `PATCH /api/v1/labs/{name}`: what is absent stays as it is.
public struct LabChangeMessage: Hashable, Sendable, Codable {
    public let image: String?
    public let vcpus: Int?
    public let memory: Int64?
    public let size: Int?
    public let leastReady: Int?
    public let atOnce: Int?
    public let graceSeconds: Int?
    public let airingSeconds: Int?
    public let afterSession: String?
    public let longestSeconds: Int?
    public let idleSeconds: Int?
    public let warningSeconds: Int?
    public let internet: Bool?

    public init(
        image: String? = nil, vcpus: Int? = nil, memory: Int64? = nil, size: Int? = nil, leastReady: Int? = nil, atOnce: Int? = nil,
        graceSeconds: Int? = nil, airingSeconds: Int? = nil, afterSession: String? = nil, longestSeconds: Int? = nil,
        idleSeconds: Int? = nil, warningSeconds: Int? = nil, internet: Bool? = nil
    ) {
        self.image = image
        self.vcpus = vcpus
        self.memory = memory
        self.size = size
        self.leastReady = leastReady
        self.atOnce = atOnce
        self.graceSeconds = graceSeconds
        self.airingSeconds = airingSeconds
        self.afterSession = afterSession
        self.longestSeconds = longestSeconds
        self.idleSeconds = idleSeconds
        self.warningSeconds = warningSeconds
        self.internet = internet
    }
}

/// A desktop as a list shows it.
public struct DesktopMessage: Hashable, Sendable, Codable {
    public let name: String
    public let lab: String
    /// `empty`, `preparing`, `ready`, `leased`, `retiring` or `quarantined`.
    public let state: String
    /// Where the making stands, while it is preparing.
    public let step: String?
    /// Whose it is, while it is leased.
    public let session: Int64?
    public let generation: UInt32
    /// The hardware that it is to have: vCPUs, and memory in bytes.
    public let vcpus: Int
    public let memory: Int64
    /// Whether that is its own and not its lab's.
    public let hasOwnHardware: Bool
    /// Whether an administrator has put it in quarantine, or has it go there when its session ends.
    public let isSetAside: Bool
    public let address: String
    public let since: Moment?
    /// Why it is not ready and what happens next, where the state does not say it.
    public let explanation: String?

    public init(
        name: String, lab: String, state: String, step: String?, session: Int64?, generation: UInt32, vcpus: Int, memory: Int64,
        hasOwnHardware: Bool, isSetAside: Bool, address: String, since: Moment?, explanation: String?
    ) {
        self.name = name
        self.lab = lab
        self.state = state
        self.step = step
        self.session = session
        self.generation = generation
        self.vcpus = vcpus
        self.memory = memory
        self.hasOwnHardware = hasOwnHardware
        self.isSetAside = isSetAside
        self.address = address
        self.since = since
        self.explanation = explanation
    }
}

/// `PATCH /api/v1/desktops/{name}`: what hardware the desktop is to have; what is absent stays as it is.
public struct DesktopChangeMessage: Hashable, Sendable, Codable {
    public let vcpus: Int?
    /// Bytes.
    public let memory: Int64?
    /// True: its lab's hardware again; then neither of the others is given.
    public let asLab: Bool?
    /// True: only tell what it would mean.
    public let preview: Bool?

    public init(vcpus: Int? = nil, memory: Int64? = nil, asLab: Bool? = nil, preview: Bool? = nil) {
        self.vcpus = vcpus
        self.memory = memory
        self.asLab = asLab
        self.preview = preview
    }
}

/// What a change means, or would mean, one sentence each.
public struct ConsequencesMessage: Hashable, Sendable, Codable {
    public let consequences: [String]
    public init(consequences: [String]) { self.consequences = consequences }
}

/// A session as a list shows it.
public struct SessionMessage: Hashable, Sendable, Codable {
    public let id: Int64
    public let seat: String
    public let desktop: String
    public let began: Moment
    public let ended: Moment?
    public let reason: String?
    /// Whether a link through the relay is open now.
    public let connected: Bool

    public init(id: Int64, seat: String, desktop: String, began: Moment, ended: Moment?, reason: String?, connected: Bool) {
        self.id = id
        self.seat = seat
        self.desktop = desktop
        self.began = began
        self.ended = ended
        self.reason = reason
        self.connected = connected
    }
}

/// One numbered version of an image.
public struct ImageMessage: Hashable, Sendable, Codable {
    /// A frozen desktop of it, which others are restored from.
    public struct Checkpoint: Hashable, Sendable, Codable {
        public let vcpus: Int
        /// Bytes.
        public let memory: Int64
        /// `making`, `unproven`, `proven` or `failed`.
        public let state: String
        /// Why it failed.
        public let cause: String?
        /// What of the memory is kept, in bytes.
        public let keptMemory: Int64
        public init(vcpus: Int, memory: Int64, state: String, cause: String?, keptMemory: Int64) {
            self.vcpus = vcpus
            self.memory = memory
            self.state = state
            self.cause = cause
            self.keptMemory = keptMemory
        }
    }

    /// `<image>-<version>`.
    public let name: String
    public let image: String
    public let version: Int
    /// `pv` or `pvh`.
    public let boot: String
    /// The user whose account the desktops are entered by; the password is not told.
    public let user: String
    /// SHA-256 of the disk, in lower-case hexadecimal.
    public let checksum: String
    /// Bytes that a desktop's disk holds at its largest.
    public let diskSize: Int64
    public let minimumMemory: Int64
    /// Whether each of its desktops takes over an identity of its own.
    public let hasGuest: Bool
    /// Whether it is accepted that all of its desktops have one.
    public let sharesIdentity: Bool
    /// What an administrator notes of it.
    public let notes: String
    public let added: Moment?
    /// The labs that have it.
    public let labs: [String]
    /// How many desktops are made of it now.
    public let desktops: Int
    public let checkpoints: [Checkpoint]

    public init(
        name: String, image: String, version: Int, boot: String, user: String, checksum: String, diskSize: Int64, minimumMemory: Int64,
        hasGuest: Bool, sharesIdentity: Bool, notes: String, added: Moment?, labs: [String], desktops: Int, checkpoints: [Checkpoint]
    ) {
        self.name = name
        self.image = image
        self.version = version
        self.boot = boot
        self.user = user
        self.checksum = checksum
        self.diskSize = diskSize
        self.minimumMemory = minimumMemory
        self.hasGuest = hasGuest
        self.sharesIdentity = sharesIdentity
        self.notes = notes
        self.added = added
        self.labs = labs
        self.desktops = desktops
        self.checkpoints = checkpoints
    }
}

/// `PATCH /api/v1/images/{name}`; what is absent stays as it is.
public struct ImageChangeMessage: Hashable, Sendable, Codable {
    public let sharesIdentity: Bool?
    public let notes: String?
    public init(sharesIdentity: Bool? = nil, notes: String? = nil) {
        self.sharesIdentity = sharesIdentity
        self.notes = notes
    }
}

/// `POST /api/v1/images`: the folder on the appliance that holds the image, an absolute path.
public struct ImageAddRequest: Hashable, Sendable, Codable {
    public let folder: String
    public init(folder: String) { self.folder = folder }
}
