import DesktopModel

/// What a domain, a disk or an address could not do.
public enum HypervisorError: Error, Hashable, Sendable, CustomStringConvertible {
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

    public var description: String {
        switch self {
        case .unavailable(let detail): "the hypervisor cannot be reached: \(detail)"
        case .alreadyExists(let name): "'\(name)' is already there"
        case .noSuchDomain(let uuid): "domain \(uuid) is gone"
        case .outOfMemory(let needed): "the server has no \(needed) of memory left"
        case .outOfDisk(let path): "the disk that holds '\(path)' is full"
        case .missingFile(let path): "'\(path)' is missing"
        case .changedFile(let path): "'\(path)' is not what was taken in, by its SHA-256"
        case .spoiltCheckpoint(let path): "'\(path)' is missing, or is not what was frozen, by its SHA-256"
        case .guestFailed(let reason): "the guest could not take its identity over: \(reason)"
        case .stopped(let path): "the taking in of '\(path)' was cancelled"
        case .failed(let call, let code, let detail): "\(call) failed with \(code)\(detail.isEmpty ? "" : ": \(detail)")"
        }
    }
}
