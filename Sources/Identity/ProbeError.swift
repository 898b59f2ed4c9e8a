/// Why a desktop's RDP server did not show its certificate.
public enum ProbeError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Where a probe stood.
    public enum Step: String, Hashable, Sendable {
        case connecting
        /// The X.224 Connection Request is sent and its Confirm awaited.
        case negotiating
        /// TLS.
        case handshaking
    }

    /// It is not an IPv4 or IPv6 address; names are not looked up.
    case invalidAddress(String)
    /// Nothing listens there.
    case refused(host: String, port: UInt16)
    /// There is no way there.
    case unreachable(host: String, reason: String)
    /// The deadline passed in this step.
    case timedOut(Step, after: Duration)
    /// The other side ended the connection in this step.
    case closed(Step)
    /// What answered does not speak RDP; how its answer differs.
    case notRDP(String)
    /// An RDP server that offers no TLS: the protocol it chose, by RDP's number (0 is RDP's own security); nil where it cannot choose.
    case noTLS(chosen: UInt32?)
    /// An RDP server that refused to negotiate, with RDP's failure code.
    case negotiationRefused(code: UInt32)
    /// TLS failed; the detail is OpenSSL's reason.
    case handshakeFailed(String)
    /// The task that asked was cancelled.
    case cancelled
    /// The system gave no socket, pipe or thread.
    case system(call: String, errno: Int32, reason: String)

    public var description: String {
        switch self {
        case .invalidAddress(let text): "'\(text)' is no IPv4 or IPv6 address: give one, names are not looked up"
        case .refused(let host, let port):
            "nothing listens at \(host) port \(port): the desktop's RDP server is not up yet, or does not start"
        case .unreachable(let host, let reason): "\(host) cannot be reached (\(reason)): look at the desktops' network"
        case .timedOut(let step, let limit):
            "RDP gave no answer within \(limit) while \(step.rawValue): the desktop is still starting, or hangs"
        case .closed(let step): "the RDP server ended the connection while \(step.rawValue): see its log in the desktop"
        case .notRDP(let how): "what answered is no RDP server (\(how)): see what listens on that port in the desktop"
        case .noTLS(let chosen):
            "the RDP server offers no TLS (it chose \(chosen.map { "protocol \($0)" } ?? "nothing")): let it read its key "
                + "(xrdp: group ssl-cert)"
        case .negotiationRefused(let code): "the RDP server refused TLS with failure code \(code): set its security layer to TLS"
        case .handshakeFailed(let detail): "TLS with the RDP server failed (\(detail)): see its log in the desktop"
        case .cancelled: "the probe was cancelled"
        case .system(let call, let errno, let reason): "\(call) failed with errno \(errno): \(reason)"
        }
    }
}
