import COpenSSL
import Glibc

/// The appliance's own key and certificate: EC P-256, signed by itself, good for ten years.
///
/// Seats trust it by its pin, which belongs to the key: a certificate made anew for the same key keeps every seat. A value; the key's text
/// is in memory as long as the value is.
public struct SelfSignedCertificate: Sendable {
    /// The certificate as PEM.
    public let certificatePEM: String
    /// The private key as PEM (PKCS #8, not encrypted).
    public let keyPEM: String
    /// `sha256//` and the base64 SHA-256 of the public key (SubjectPublicKeyInfo), as curl's `--pinnedpubkey` takes it.
    public let pin: String
    /// SHA-256 of the certificate's DER, 32 bytes.
    public let fingerprint: [UInt8]

    static let keyFile = "key.pem"
    static let certificateFile = "certificate.pem"

    /// Makes a new key and a certificate of it for these host names and addresses; the first also becomes the common name.
    public init(names: [String]) throws(IdentityError) {
        let key = try SigningKey()
        try self.init(key: key, certificate: try X509Certificate.made(of: key, names: names))
    }

    private init(key: borrowing SigningKey, certificate: borrowing X509Certificate) throws(IdentityError) {
        keyPEM = try key.pem()
        certificatePEM = try certificate.pem()
        pin = "sha256//" + Base64.text(of: Digest.sha256(try certificate.publicKey()))
        fingerprint = try certificate.fingerprint()
    }

    /// Takes the key and certificate that lie in the folder as `key.pem` and `certificate.pem`, or makes and keeps what is missing.
    ///
    /// A certificate that is missing, has less than 30 days left or lacks one of the names is made anew for the same key. A key is never
    /// replaced. The folder must exist; the files are written whole or not at all, the key readable by its owner alone. Blocks for
    /// milliseconds; one process at a time.
    public static func load(orCreateIn folder: String, names: [String]) throws(IdentityError) -> SelfSignedCertificate {
        let keyPath = folder + "/" + keyFile
        let certificatePath = folder + "/" + certificateFile
        let keptCertificate = try KeptFile.read(certificatePath)
        guard let keptKey = try KeptFile.read(keyPath) else {
            guard keptCertificate == nil else { throw .keyMissing(path: keyPath) }
            let made = try SelfSignedCertificate(names: names)
            try KeptFile.write(made.keyPEM, to: keyPath, mode: 0o600)
            try KeptFile.write(made.certificatePEM, to: certificatePath, mode: 0o644)
            return made
        }
        try KeptFile.refuseExposed(keyPath)
        let key = try SigningKey(pem: keptKey, path: keyPath)
        if let keptCertificate {
            let certificate = try X509Certificate(pem: keptCertificate, path: certificatePath)
            guard certificate.belongs(to: key) else {
                throw .unreadable(path: certificatePath, detail: "it is not of the key beside it")
            }
            if certificate.lasts(days: 30), try certificate.names(all: names) {
                return try SelfSignedCertificate(key: key, certificate: certificate)
            }
        }
        let made = try SelfSignedCertificate(key: key, certificate: try X509Certificate.made(of: key, names: names))
        try KeptFile.write(made.certificatePEM, to: certificatePath, mode: 0o644)
        return made
    }
}
