import Identity
import Logging
import NIOSSL
import Synchronization

/// The certificate that an administrator brought, if any: browsers that ask for a host that it names are shown it, and all others, seats among them, the
/// appliance's own. It can be changed while the server runs. Any thread.
final class BrowserCertificate: Sendable {
    private struct Kept {
        let given: GivenCertificate
        let shown: NIOSSLContextConfigurationOverride
    }

    private let folder: String
    private let kept: Mutex<Kept?>

    /// Takes over the one in the folder. One that cannot be used is told, and keeps nobody from starting.
    init(folder: String, logger: Logger) {
        self.folder = folder
        do {
            kept = Mutex(try GivenCertificate.load(from: folder).map(Self.kept))
        } catch {
            logger.warning("the given certificate cannot be used; browsers are shown this server's own", metadata: ["error": "\(error)"])
            kept = Mutex(nil)
        }
    }

    private static func kept(_ given: GivenCertificate) throws -> Kept {
        var shown = NIOSSLContextConfigurationOverride()
        shown.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(given.chainPEM.utf8)).map { .certificate($0) }
        shown.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(given.keyPEM.utf8), format: .pem))
        return Kept(given: given, shown: shown)
    }

    var given: GivenCertificate? { kept.withLock { $0?.given } }

    /// Keeps another one, which the next connections are shown.
    func take(_ given: GivenCertificate) throws {
        let next = try Self.kept(given)
        try given.keep(in: folder)
        kept.withLock { $0 = next }
    }

    func remove() throws {
        try GivenCertificate.remove(from: folder)
        kept.withLock { $0 = nil }
    }

    /// What a connection is shown that asks for this host.
    func shown(for untrustedHost: String?) -> NIOSSLContextConfigurationOverride {
        guard let untrustedHost, let kept = kept.withLock(\.self), kept.given.covers(untrustedHost) else { return .noChanges }
        return kept.shown
    }
}
