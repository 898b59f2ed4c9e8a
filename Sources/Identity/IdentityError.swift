/// Why a key, a certificate or a hash could not be made or read.
public enum IdentityError: Error, Hashable, Sendable, CustomStringConvertible {
    /// OpenSSL refused a call; the detail is its own reason.
    case library(call: String, detail: String)
    /// A file or folder could not be read or written: the call and its errno.
    case file(path: String, call: String, errno: Int32, reason: String)
    /// A host name or address that cannot stand in a certificate.
    case invalidName(String)
    /// A certificate lies there without its key, so nobody can prove to be who it names.
    case keyMissing(path: String)
    /// The file is not what its name says.
    case unreadable(path: String, detail: String)
    /// The key can be read by others than its owner.
    case keyExposed(path: String, mode: UInt32)
    /// A certificate that was given and a key that is another's.
    case mismatch
    /// A certificate that was given and is good no longer, or not yet.
    case outOfDate
    /// A certificate that was given and names no host.
    case nameless

    public var description: String {
        switch self {
        case .library(let call, let detail): "OpenSSL refused \(call): \(detail)"
        case .file(let path, let call, let errno, let reason): "\(call) of '\(path)' failed with errno \(errno): \(reason)"
        case .invalidName(let name):
            "'\(name)' cannot stand in a certificate: give a host name of letters, digits, hyphens and dots, or an address"
        case .keyMissing(let path):
            "the key '\(path)' is missing beside its certificate: bring it back from a backup, or remove the certificate and enrol the "
                + "seats anew"
        case .unreadable(let path, let detail): "'\(path)' cannot be read as what it should be (\(detail)): bring it back from a backup"
        case .keyExposed(let path, let mode):
            "the key '\(path)' has mode \(String(mode, radix: 8)) and others can read it: 'chmod 600 \(path)'"
        case .mismatch: "the certificate and the key do not belong together: give the two that were made for each other"
        case .outOfDate: "the certificate is good no longer, or not yet: give one that is, and look at the server's clock"
        case .nameless: "the certificate names no host, so that no browser takes it: give one with a subject alternative name"
        }
    }
}
