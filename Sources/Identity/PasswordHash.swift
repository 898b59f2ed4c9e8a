import COpenSSL

/// A person's password as it is kept: scrypt with a salt of its own, in one line that names the cost.
///
/// `$scrypt$ln=15,r=8,p=1$<salt>$<key>`. Making one and checking one take about a tenth of a second and 32 MiB, and hold their thread.
public struct PasswordHash: Hashable, Sendable {
    /// The line that is kept.
    public let encoded: String
    private let cost: Cost
    private let salt: [UInt8]
    private let key: [UInt8]

    /// Hashes a password with a new salt at today's cost (N = 2^15, r = 8, p = 1).
    public init(password: String) throws(IdentityError) {
        cost = .today
        salt = Randomness.bytes(16)
        key = try Self.derive(password, salt: salt, cost: cost, length: 32)
        encoded = "$scrypt$ln=\(cost.logN),r=\(cost.r),p=\(cost.p)$\(Base64.urlText(of: salt))$\(Base64.urlText(of: key))"
    }

    /// Reads a line that was kept; nil where it is not one, or asks for more than 256 MiB.
    public init?(encoded: String) {
        let parts = encoded.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt", let cost = Cost(parts[2]),
            let salt = Base64.bytes(ofURLText: parts[3]), let key = Base64.bytes(ofURLText: parts[4]),
            (8...64).contains(salt.count), (16...64).contains(key.count)
        else { return nil }
        self.encoded = encoded
        self.cost = cost
        self.salt = salt
        self.key = key
    }

    /// Whether this is the password, compared in constant time.
    public func verify(_ password: String) throws(IdentityError) -> Bool {
        Digest.areEqual(key, try Self.derive(password, salt: salt, cost: cost, length: key.count))
    }

    private static func derive(_ password: String, salt: [UInt8], cost: Cost, length: Int) throws(IdentityError) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: length)
        let secret = Array(password.utf8)
        LibraryErrors.clear()
        let done = secret.withUnsafeBytes { bytes in
            EVP_PBE_scrypt(
                bytes.baseAddress?.assumingMemoryBound(to: CChar.self), secret.count, salt, salt.count,
                1 << UInt64(cost.logN), UInt64(cost.r), UInt64(cost.p), UInt64(cost.memory) + 1 << 20, &key, length)
        }
        guard done == 1 else { throw .library(call: "EVP_PBE_scrypt", detail: LibraryErrors.take()) }
        return key
    }

    /// scrypt's three parameters.
    private struct Cost: Hashable, Sendable {
        let logN: Int
        let r: Int
        let p: Int
        static let today = Cost(logN: 15, r: 8, p: 1)

        private init(logN: Int, r: Int, p: Int) {
            self.logN = logN
            self.r = r
            self.p = p
        }

        init?(_ text: String) {
            let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            guard parts.count == 3, let logN = Self.value("ln", parts[0]), let r = Self.value("r", parts[1]),
                let p = Self.value("p", parts[2]), (10...20).contains(logN), (1...32).contains(r), (1...16).contains(p)
            else { return nil }
            self.init(logN: logN, r: r, p: p)
            guard memory <= 256 << 20 else { return nil }
        }

        var memory: Int { 128 * r * ((1 << logN) + p + 2) }

        private static func value(_ name: String, _ text: Substring) -> Int? {
            guard text.hasPrefix(name + "=") else { return nil }
            return Int(text.dropFirst(name.count + 1))
        }
    }
}
