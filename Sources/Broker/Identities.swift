import Hypervisor
import Identity

/// Draws what makes each generation of a desktop itself.
public struct Identities: Sendable {
    /// An identity, and the password whose hash is in it.
    public struct Drawn: Sendable {
        public let identity: DesktopIdentity
        public let password: String
        public init(identity: DesktopIdentity, password: String) {
            self.identity = identity
            self.password = password
        }
    }

    let draw: @Sendable (_ hostname: String, _ user: String) throws -> Drawn

    /// Draws them in this way.
    public init(drawing draw: @escaping @Sendable (_ hostname: String, _ user: String) throws -> Drawn) { self.draw = draw }

    /// From the system's randomness.
    public static let random = Identities { hostname, user in
        let password = AccountPassword()
        let identity = DesktopIdentity(
            hostname: hostname, user: user, passwordHash: try password.hashed(), entropy: Randomness.bytes(64),
            call: Hex.text(of: Randomness.bytes(16)))
        return Drawn(identity: identity, password: password.text)
    }
}
