import CLibvirt

/// A call of libvirt that failed.
public struct LibvirtError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What the caller can act on.
    public enum Cause: Hashable, Sendable {
        /// libvirtd does not answer, or the connection broke. Connect anew.
        case unreachable
        /// The network, pool or volume is not there.
        case notFound
        case alreadyExists
        /// What was asked is not possible in this state, as stopping what is stopped.
        case invalidOperation
        case other
    }

    /// The function of libvirt, as `virNetworkCreate`.
    public let call: String
    public let cause: Cause
    /// libvirt's error number (`virErrorNumber`).
    public let code: Int32
    /// libvirt's own words.
    public let message: String

    public var description: String { "\(call) failed with \(code): \(message)" }

    /// The error of the call that just failed on this thread.
    static func last(_ call: String) -> LibvirtError {
        guard let error = virGetLastError() else {
            return LibvirtError(call: call, cause: .other, code: 0, message: "libvirt gives no reason")
        }
        let code = error.pointee.code
        let cause: Cause =
            switch virErrorNumber(rawValue: UInt32(bitPattern: code)) {
            case VIR_ERR_NO_CONNECT, VIR_ERR_RPC, VIR_ERR_SYSTEM_ERROR, VIR_ERR_INVALID_CONN: .unreachable
            case VIR_ERR_NO_NETWORK, VIR_ERR_NO_STORAGE_POOL, VIR_ERR_NO_STORAGE_VOL: .notFound
            case VIR_ERR_NETWORK_EXIST, VIR_ERR_STORAGE_VOL_EXIST: .alreadyExists
            case VIR_ERR_OPERATION_INVALID: .invalidOperation
            default: .other
            }
        let message = error.pointee.message.map { String(cString: $0) } ?? "libvirt gives no reason"
        return LibvirtError(call: call, cause: cause, code: code, message: message)
    }

    static func check(_ code: Int32, _ call: String) throws(LibvirtError) {
        guard code < 0 else { return }
        throw last(call)
    }
}
