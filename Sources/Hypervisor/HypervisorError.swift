import DesktopModel

/// What a domain, a disk or an address could not do.
public enum HypervisorError: Telling, Hashable, Sendable {
    /// The hypervisor, or what it needs, cannot be reached at all.
    case unavailable(String)
    case alreadyExists(name: String)
    case noSuchDomain(DomainUUID)
    case outOfMemory(needed: ByteCount)
    case outOfDisk(path: String)
    case missingFile(path: String)
    /// A file of an image is not the one that was taken in.
    case changedFile(path: String)
    /// A file of a checkpoint is gone, or is not what was sealed.
    case spoiltCheckpoint(path: String)
    /// The guest says that it could not take its identity over, and why.
    case guestFailed(reason: String)
    /// The taking in of a file was cancelled.
    case stopped(String)
    /// A call failed in another way: the call, its return code, and what the log said.
    case failed(call: String, code: Int, detail: String)

    /// How each is told.
    public enum Said: String, Phrases {
        case unavailable = "the hypervisor cannot be reached: {0}"
        case alreadyExists = "'{0}' is already there"
        case noSuchDomain = "domain {0} is gone"
        case outOfMemory = "the server has no {0} of memory left"
        case outOfDisk = "the disk that holds '{0}' is full"
        case missingFile = "'{0}' is missing"
        case changedFile = "'{0}' is not what was taken in, by its SHA-256"
        case spoiltCheckpoint = "'{0}' is missing, or is not what was frozen, by its SHA-256"
        case guestFailed = "the guest could not take its identity over: {0}"
        case stopped = "the taking in of '{0}' was cancelled"
        case failed = "{0} failed with {1}"
        case failedWith = "{0} failed with {1}: {2}"
    }

    public var sentence: Sentence {
        switch self {
        case .unavailable(let detail): Said.unavailable(detail)
        case .alreadyExists(let name): Said.alreadyExists(name)
        case .noSuchDomain(let uuid): Said.noSuchDomain(uuid)
        case .outOfMemory(let needed): Said.outOfMemory(needed)
        case .outOfDisk(let path): Said.outOfDisk(path)
        case .missingFile(let path): Said.missingFile(path)
        case .changedFile(let path): Said.changedFile(path)
        case .spoiltCheckpoint(let path): Said.spoiltCheckpoint(path)
        case .guestFailed(let reason): Said.guestFailed(reason)
        case .stopped(let path): Said.stopped(path)
        case .failed(let call, let code, let detail): detail.isEmpty ? Said.failed(call, code) : Said.failedWith(call, code, detail)
        }
    }
}
