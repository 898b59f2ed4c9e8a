import COpenSSL
import Glibc

/// A certificate that an administrator brought along for the appliance, with its key and the certificates above it.
///
/// Seats go on trusting the appliance's own one by its pin: this one is for browsers, which know who signed it. A value; the key's text is in memory as
/// long as the value is. Any thread.
public struct GivenCertificate: Sendable {
    /// The certificate, and after it those above it, as PEM.
    public let chainPEM: String
    /// The private key as PEM (not encrypted).
    public let keyPEM: String
    /// What it is good for, as OpenSSL lists it: `DNS:lab.school.example, IP Address:10.0.0.2`.
    public let names: String
    /// When it ends, in seconds since 1970.
    public let ends: Int64
    /// SHA-256 of the certificate's DER, 32 bytes.
    public let fingerprint: [UInt8]

    /// The name of its file in the folder of the appliance's identity. Key and chain are one file, so that they are never of two.
    private static let fileName = "given.pem"

    /// Takes a certificate with those above it, and its key, as PEM, from whoever may bring them.
    /// - Throws: `unreadable` where one of them is none or the key is encrypted, `mismatch` where they do not belong together, `outOfDate` where it
    ///   is good no longer or not yet, `nameless` where it names no host.
    public init(untrustedChainPEM: String, untrustedKeyPEM: String) throws(IdentityError) {
        try self.init(untrustedChainPEM, untrustedKeyPEM, mustBeGoodNow: true)
    }

    private init(_ untrustedChainPEM: String, _ untrustedKeyPEM: String, mustBeGoodNow: Bool) throws(IdentityError) {
        let certificate = try X509Certificate(pem: untrustedChainPEM, path: "certificate")
        let key = try SigningKey(pem: untrustedKeyPEM, path: "key")
        guard certificate.belongs(to: key) else { throw .mismatch }
        guard !mustBeGoodNow || certificate.lasts(days: 0) else { throw .outOfDate }
        names = try certificate.alternativeNames()
        guard !names.isEmpty else { throw .nameless }
        ends = certificate.end
        fingerprint = try certificate.fingerprint()
        // Written anew, so that nothing else that was in the texts is kept.
        chainPEM = try X509Certificate.chain(in: untrustedChainPEM)
        keyPEM = try key.pem()
    }

    /// Whether a browser that asks for this host finds it named.
    public func covers(_ untrustedHost: String) -> Bool {
        guard (1...253).contains(untrustedHost.utf8.count), untrustedHost.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
            let certificate = try? X509Certificate(pem: chainPEM, path: "certificate")
        else { return false }
        return X509_check_host(certificate.pointer, untrustedHost, untrustedHost.utf8.count, 0, nil) == 1
    }

    // MARK: On the disk

    /// The one that lies in the folder, also where its time is over; nil where none does.
    public static func load(from folder: String) throws(IdentityError) -> GivenCertificate? {
        guard let text = try KeptFile.read(folder + "/" + fileName) else { return nil }
        return try GivenCertificate(text, text, mustBeGoodNow: false)
    }

    /// Keeps it in the folder, readable by its owner alone, in the place of any before.
    public func keep(in folder: String) throws(IdentityError) {
        try KeptFile.write(keyPEM + chainPEM, to: folder + "/" + Self.fileName, mode: 0o600)
    }

    /// Removes the one in the folder; that there is none is no error.
    public static func remove(from folder: String) throws(IdentityError) {
        try KeptFile.remove(folder + "/" + fileName)
    }
}

extension X509Certificate {
    /// The hosts and addresses that it names, as OpenSSL lists them; empty where it names none.
    fileprivate func alternativeNames() throws(IdentityError) -> String {
        let place = X509_get_ext_by_NID(pointer, NID_subject_alt_name, -1)
        guard place >= 0, let names = X509_get_ext(pointer, place) else { return "" }
        let memory = try MemoryBIO()
        guard X509V3_EXT_print(memory.pointer, names, 0, 0) == 1 else {
            throw .library(call: "X509V3_EXT_print", detail: LibraryErrors.take())
        }
        return memory.text()
    }

    /// When it ends, in seconds since 1970.
    fileprivate var end: Int64 {
        var parts = tm()
        guard ASN1_TIME_to_tm(X509_get0_notAfter(pointer), &parts) == 1 else { return 0 }
        return Int64(timegm(&parts))
    }

    /// All certificates in a text, one after the other as PEM, at most eight.
    fileprivate static func chain(in untrustedText: String) throws(IdentityError) -> String {
        LibraryErrors.clear()
        let memory = try MemoryBIO.holding(untrustedText)
        var text = ""
        for _ in 0..<8 {
            guard let read = PEM_read_bio_X509(memory.pointer, nil, nil, nil) else { break }
            text += try X509Certificate(taking: read).pem()
        }
        LibraryErrors.clear()
        return text
    }
}
