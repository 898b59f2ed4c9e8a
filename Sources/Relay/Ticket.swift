import Identity

/// The secret word that lets one session, from one address, through the relay. It is never shown: only its hash leaves the process.
package struct Ticket: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    /// What stands before the ticket in the routing token of an RDP connection.
    package static let prefix = Array("punnet=".utf8)
    /// How many characters a ticket may have.
    package static let lengths = 20...86

    private let characters: [UInt8]

    /// A ticket of 20 to 86 base64url characters; nil for anything else.
    package init?(_ characters: some Collection<UInt8>) {
        guard Self.lengths.contains(characters.count), characters.allSatisfy(Self.isAllowed) else { return nil }
        self.characters = Array(characters)
    }

    /// The SHA-256 of its characters, 32 bytes.
    package var hash: [UInt8] { Digest.sha256(characters) }

    package var description: String { "a ticket of \(characters.count) characters" }
    package var debugDescription: String { description }

    private static func isAllowed(_ character: UInt8) -> Bool {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
