import CCrypt

/// The password of a desktop's account for one generation: drawn anew for each, so that what one pupil learns opens nothing later.
public struct AccountPassword: Hashable, Sendable {
    /// 20 characters of base64 for URLs, 120 random bits.
    public let text: String

    /// Draws a new one.
    public init() { text = Base64.urlText(of: Randomness.bytes(15)) }

    /// The line that crypt(3) makes of it, as /etc/shadow keeps it: SHA-512, with a salt of its own.
    public func hashed() throws(IdentityError) -> String {
        let salt = "$6$" + Base64.urlText(of: Randomness.bytes(12)).map { $0 == "-" || $0 == "_" ? "." : String($0) }.joined()
        let data = UnsafeMutablePointer<crypt_data>.allocate(capacity: 1)
        defer { data.deallocate() }
        data.initialize(to: crypt_data())
        guard let line = crypt_r(text, salt, data), line[0] == UInt8(ascii: "$") else {
            throw .library(call: "crypt_r", detail: "this libcrypt makes no SHA-512 hashes")
        }
        return String(cString: line)
    }
}
