/// `GET /api/v1/certificate`: the certificate that was given for browsers.
public struct CertificateMessage: Hashable, Sendable, Codable {
    /// The hosts and addresses that it names, as OpenSSL lists them.
    public let names: String
    public let ends: Moment
    /// SHA-256: 32 lower-case hexadecimal pairs with colons between.
    public let fingerprint: String
    public init(names: String, ends: Moment, fingerprint: String) {
        self.names = names
        self.ends = ends
        self.fingerprint = fingerprint
    }
}

/// `PUT /api/v1/certificate`, both as PEM.
public struct CertificateRequest: Hashable, Sendable, Codable {
    /// The certificate, and after it those above it.
    public let chain: String
    /// Its private key, not encrypted.
    public let key: String
    public init(chain: String, key: String) {
        self.chain = chain
        self.key = key
    }
}
