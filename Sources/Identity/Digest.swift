import COpenSSL

/// SHA-256, as it is used for tokens, tickets, certificates and files.
public enum Digest {
    /// The length of a SHA-256, in bytes.
    public static let length = 32

    /// The SHA-256 of the bytes, 32 bytes. Any thread.
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        bytes.withUnsafeBytes { sha256($0) }
    }

    /// The SHA-256 of the text's UTF-8, 32 bytes. Any thread.
    public static func sha256(_ text: String) -> [UInt8] {
        sha256(Array(text.utf8))
    }

    /// The SHA-256 of memory that the caller keeps alive during the call, 32 bytes. Any thread.
    public static func sha256(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var stream = SHA256Stream()
        stream.update(bytes)
        return stream.finish()
    }

    /// Whether two hashes or secrets are the same, in a time that depends on their lengths alone. Any thread.
    public static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}

/// A SHA-256 in the making, for what is too large to be held at once.
///
/// It owns its libcrypto handle and frees it when it is finished or dropped. One task at a time.
/// - SeeAlso: openssl/evp.h, `EVP_DigestInit_ex`
public struct SHA256Stream: ~Copyable {
    private let context: OpaquePointer

    /// Begins with nothing read. libcrypto refuses only where memory has run out, which ends the process.
    public init() {
        guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
            fatalError("libcrypto has no memory for a SHA-256: \(LibraryErrors.take())")
        }
        self.context = context
    }

    deinit { EVP_MD_CTX_free(context) }

    /// Takes in the next bytes; they need live only during the call.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else {
            fatalError("libcrypto refused to go on with a SHA-256: \(LibraryErrors.take())")
        }
    }

    /// The SHA-256 of all that was taken in, 32 bytes.
    public consuming func finish() -> [UInt8] {
        var sum = [UInt8](repeating: 0, count: Digest.length)
        guard EVP_DigestFinal_ex(context, &sum, nil) == 1 else {
            fatalError("libcrypto refused to end a SHA-256: \(LibraryErrors.take())")
        }
        return sum
    }
}

/// Bytes as hexadecimal text, and back.
public enum Hex {
    /// Two lower-case digits for each byte, with the separator between bytes.
    public static func text(of bytes: [UInt8], separator: String = "") -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: separator)
    }

    /// The bytes of an even number of hexadecimal digits, in either case and without separators; nil for anything else.
    public static func bytes(of text: String) -> [UInt8]? {
        let digits = text.utf8.map(value)
        guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).compactMap { index in
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            return high << 4 | low
        }
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
