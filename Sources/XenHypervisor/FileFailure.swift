import Glibc
import Hypervisor

/// Turns a failed system call into the error that its caller can act on.
enum FileFailure {
    /// The error of the call that just failed on this thread, read from `errno`.
    static func error(_ call: String, _ path: String) -> HypervisorError {
        error(call, path, errno)
    }

    static func error(_ call: String, _ path: String, _ number: Int32) -> HypervisorError {
        switch number {
        case ENOENT: return .missingFile(path: path)
        case EEXIST: return .alreadyExists(name: path)
        case ENOSPC, EDQUOT: return .outOfDisk(path: path)
        default:
            let reason = strerror(number).map { String(cString: $0) } ?? "unknown error"
            return .failed(call: "\(call)(\(path))", code: Int(number), detail: reason)
        }
    }
}
