/// What makes a desktop itself, where many are made of one memory: told to its guest, which takes it over (Docs/Guest.md).
public struct DesktopIdentity: Hashable, Sendable {
    /// Lower-case letters, digits and hyphens.
    public let hostname: String
    /// The user by whose account the desktop is entered, and that user's new password as crypt(3) keeps it.
    public let user: String
    public let passwordHash: String
    /// 64 random bytes for the guest's own generator.
    public let entropy: [UInt8]
    /// Which announcement it is: 32 random hexadecimal digits, another each time.
    public let call: String

    public init(hostname: String, user: String, passwordHash: String, entropy: [UInt8], call: String) {
        precondition(entropy.count == 64, "a guest is given 64 bytes")
        self.hostname = hostname
        self.user = user
        self.passwordHash = passwordHash
        self.entropy = entropy
        self.call = call
    }
}
