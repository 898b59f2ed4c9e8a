import CXenLight

/// The number by which the hypervisor knows a running domain; 0 is dom0. Used again by later domains after about 32,000 others.
public struct DomainID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let control = DomainID(rawValue: 0)
    public var description: String { String(rawValue) }
}

/// Why a domain stopped by itself.
public enum ShutdownReason: Hashable, Sendable {
    case powerOff, reboot, suspend, crash, watchdog, softReset, unknown

    init(_ reason: libxl_shutdown_reason) {
        self =
            switch reason {
            case LIBXL_SHUTDOWN_REASON_POWEROFF: .powerOff
            case LIBXL_SHUTDOWN_REASON_REBOOT: .reboot
            case LIBXL_SHUTDOWN_REASON_SUSPEND: .suspend
            case LIBXL_SHUTDOWN_REASON_CRASH: .crash
            case LIBXL_SHUTDOWN_REASON_WATCHDOG: .watchdog
            case LIBXL_SHUTDOWN_REASON_SOFT_RESET: .softReset
            default: .unknown
            }
    }
}

/// A domain as the hypervisor describes it at one moment.
public struct XenDomain: Hashable, Sendable {
    public let id: DomainID
    /// 16 bytes, in the order in which a UUID is written.
    public let uuid: [UInt8]
    public let isPaused: Bool
    /// It is being taken apart; its memory may still be held.
    public let isDying: Bool
    /// Set once it has stopped by itself; it stays until it is destroyed.
    public let shutdown: ShutdownReason?
    /// What it holds now.
    public let memoryKiB: UInt64
    /// What it may grow to.
    public let maximumMemoryKiB: UInt64
    public let virtualProcessors: Int
    /// How long these have worked, in all.
    public let workedNanoseconds: UInt64

    init(_ info: libxl_dominfo) {
        id = DomainID(rawValue: info.domid)
        uuid = withUnsafeBytes(of: info.uuid.uuid) { Array($0) }
        isPaused = info.paused
        isDying = info.dying
        shutdown = info.shutdown ? ShutdownReason(info.shutdown_reason) : nil
        memoryKiB = info.current_memkb
        maximumMemoryKiB = info.max_memkb
        virtualProcessors = Int(info.vcpu_online)
        workedNanoseconds = info.cpu_time
    }
}

/// The host's memory and processors, as the hypervisor counts them.
public struct XenCapacity: Hashable, Sendable {
    public let totalMemoryKiB: UInt64
    /// Free, being scrubbed included, less what is claimed by domains being built.
    public let freeMemoryKiB: UInt64
    public let processors: Int
    /// Xen's version, and the features of the processors as it sees them.
    public let version: String
}
