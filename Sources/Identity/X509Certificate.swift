import COpenSSL
import Glibc

/// One EC P-256 key pair of libcrypto, freed with the value. One thread at a time.
struct SigningKey: ~Copyable {
    let pointer: OpaquePointer

    /// Makes a new one.
    init() throws(IdentityError) {
        LibraryErrors.clear()
        let context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil)
        defer { EVP_PKEY_CTX_free(context) }
        var made: OpaquePointer?
        guard context != nil, EVP_PKEY_keygen_init(context) == 1, EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
            EVP_PKEY_generate(context, &made) == 1, let made
        else { throw .library(call: "EVP_PKEY_generate", detail: LibraryErrors.take()) }
        pointer = made
    }

    /// Reads a private key; the path is for the error alone.
    init(pem: String, path: String) throws(IdentityError) {
        LibraryErrors.clear()
        let memory = try MemoryBIO.holding(pem)
        // With an empty pass phrase given, an encrypted key is refused; without one OpenSSL would ask for it on the terminal.
        let read = "".withCString { PEM_read_bio_PrivateKey(memory.pointer, nil, nil, UnsafeMutableRawPointer(mutating: $0)) }
        guard let read else { throw .unreadable(path: path, detail: LibraryErrors.take()) }
        pointer = read
    }

    deinit { EVP_PKEY_free(pointer) }

    func pem() throws(IdentityError) -> String {
        let memory = try MemoryBIO()
        guard PEM_write_bio_PKCS8PrivateKey(memory.pointer, pointer, nil, nil, 0, nil, nil) == 1 else {
            throw .library(call: "PEM_write_bio_PKCS8PrivateKey", detail: LibraryErrors.take())
        }
        return memory.text()
    }
}

/// One certificate of libcrypto, freed with the value. One thread at a time.
struct X509Certificate: ~Copyable {
    let pointer: OpaquePointer

    /// Makes one of the key, signed by the key, from yesterday on for ten years.
    static func made(of key: borrowing SigningKey, names: [String]) throws(IdentityError) -> X509Certificate {
        guard let first = names.first else { throw .invalidName("") }
        var alternatives: [String] = []
        for name in names { alternatives.append(try Self.alternative(name)) }
        LibraryErrors.clear()
        guard let made = X509_new() else { throw .library(call: "X509_new", detail: LibraryErrors.take()) }
        let certificate = X509Certificate(taking: made)

        var serial = Randomness.bytes(16)
        serial[0] = serial[0] & 0x7f | 0x40
        let number = BN_bin2bn(serial, Int32(serial.count), nil)
        defer { BN_free(number) }
        let subject = X509_get_subject_name(made)
        let common = String(first.prefix(64))
        guard X509_set_version(made, 2) == 1, BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made)) != nil,
            X509_time_adj_ex(X509_getm_notBefore(made), -1, 0, nil) != nil,
            X509_time_adj_ex(X509_getm_notAfter(made), 3652 - 1, 0, nil) != nil,
            X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_FLAG, common, -1, -1, 0) == 1,
            X509_set_issuer_name(made, subject) == 1, X509_set_pubkey(made, key.pointer) == 1
        else { throw .library(call: "X509_set_subject_name", detail: LibraryErrors.take()) }
        for (kind, value) in [
            (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"), (NID_ext_key_usage, "serverAuth"),
            (NID_subject_alt_name, alternatives.joined(separator: ",")),
        ] {
            let part = X509V3_EXT_conf_nid(nil, nil, kind, value)
            defer { X509_EXTENSION_free(part) }
            guard part != nil, X509_add_ext(made, part, -1) == 1 else {
                throw .library(call: "X509_add_ext(\(value))", detail: LibraryErrors.take())
            }
        }
        guard X509_sign(made, key.pointer, EVP_sha256()) > 0 else {
            throw .library(call: "X509_sign", detail: LibraryErrors.take())
        }
        return certificate
    }

    /// Reads a certificate; the path is for the error alone.
    init(pem: String, path: String) throws(IdentityError) {
        LibraryErrors.clear()
        let memory = try MemoryBIO.holding(pem)
        guard let read = PEM_read_bio_X509(memory.pointer, nil, nil, nil) else {
            throw .unreadable(path: path, detail: LibraryErrors.take())
        }
        pointer = read
    }

    /// Takes over a certificate that the caller holds a reference to.
    init(taking pointer: OpaquePointer) { self.pointer = pointer }

    deinit { X509_free(pointer) }

    func pem() throws(IdentityError) -> String {
        let memory = try MemoryBIO()
        guard PEM_write_bio_X509(memory.pointer, pointer) == 1 else {
            throw .library(call: "PEM_write_bio_X509", detail: LibraryErrors.take())
        }
        return memory.text()
    }

    /// The DER of the SubjectPublicKeyInfo.
    func publicKey() throws(IdentityError) -> [UInt8] {
        var der: UnsafeMutablePointer<UInt8>?
        let length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(pointer), &der)
        guard length > 0, let der else { throw .library(call: "i2d_X509_PUBKEY", detail: LibraryErrors.take()) }
        defer { CRYPTO_free(der, nil, 0) }
        return Array(UnsafeBufferPointer(start: der, count: Int(length)))
    }

    /// SHA-256 of the DER.
    func fingerprint() throws(IdentityError) -> [UInt8] {
        var sum = [UInt8](repeating: 0, count: Digest.length)
        guard X509_digest(pointer, EVP_sha256(), &sum, nil) == 1 else {
            throw .library(call: "X509_digest", detail: LibraryErrors.take())
        }
        return sum
    }

    func belongs(to key: borrowing SigningKey) -> Bool { X509_check_private_key(pointer, key.pointer) == 1 }

    /// Whether it is good now and in so many days.
    func lasts(days: Int) -> Bool {
        var then = time(nil) + days * 86_400
        return X509_cmp_current_time(X509_get0_notBefore(pointer)) < 0 && X509_cmp_time(X509_get0_notAfter(pointer), &then) > 0
    }

    /// Whether it names each of these hosts and addresses.
    func names(all names: [String]) throws(IdentityError) -> Bool {
        for name in names {
            let there =
                try Self.alternative(name).hasPrefix("IP:")
                ? X509_check_ip_asc(pointer, name, 0) : X509_check_host(pointer, name, name.utf8.count, 0, nil)
            guard there == 1 else { return false }
        }
        return true
    }

    /// The name in OpenSSL's notation for alternative names. Only what is plainly a host name or address passes: the notation has a syntax.
    private static func alternative(_ name: String) throws(IdentityError) -> String {
        var address = in6_addr()
        if inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1 { return "IP:" + name }
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let plain = labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
                    default: false
                    }
                }
        }
        guard plain, name.utf8.count <= 253 else { throw .invalidName(name) }
        return "DNS:" + name
    }
}

/// A piece of memory that libcrypto reads from or writes to; what it wrote is wiped when it is freed. One thread at a time.
struct MemoryBIO: ~Copyable {
    let pointer: OpaquePointer

    /// An empty one.
    init() throws(IdentityError) {
        guard let made = BIO_new(BIO_s_secmem()) else { throw .library(call: "BIO_new", detail: LibraryErrors.take()) }
        pointer = made
    }

    /// One from which the text can be read.
    static func holding(_ text: String) throws(IdentityError) -> MemoryBIO {
        let memory = try MemoryBIO()
        let bytes = Array(text.utf8)
        guard bytes.isEmpty || BIO_write(memory.pointer, bytes, Int32(bytes.count)) == bytes.count else {
            throw .library(call: "BIO_write", detail: LibraryErrors.take())
        }
        return memory
    }

    deinit { BIO_free(pointer) }

    /// Takes all that was written.
    func text() -> String {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4_096)
        while true {
            let count = BIO_read(pointer, &piece, Int32(piece.count))
            guard count > 0 else { break }
            bytes += piece.prefix(Int(count))
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
