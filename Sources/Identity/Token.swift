/// A secret that stands for its bearer: a seat's token, a session's ticket. 256 random bits.
///
/// Its text goes to the bearer and nowhere else; what is kept is the hash.
public struct Token: Hashable, Sendable {
    /// 43 characters of base64 for URLs.
    public let text: String

    /// Draws a new one.
    public init() {
        text = Base64.urlText(of: Randomness.bytes(32))
    }

    /// Reads one that came from outside; nil where it cannot be a token at all.
    public init?(untrusted text: String) {
        guard text.utf8.count == 43, Base64.bytes(ofURLText: text)?.count == 32 else { return nil }
        self.text = text
    }

    /// The SHA-256 of the text's UTF-8, 32 bytes: what is kept, and what it is found by.
    public var hash: [UInt8] { Digest.sha256(text) }

    /// Whether this is the token of that hash, in a time that does not depend on where they differ.
    public func matches(hash: [UInt8]) -> Bool { Digest.areEqual(self.hash, hash) }
}

/// A one-time word by which a seat is enrolled: read from one screen, typed on another. 55 bits, so give it an hour and no more.
///
/// Three groups of four characters, without vowels and without characters that look like others: `K7MP-3QXT-9DHW`.
public struct Word: Hashable, Sendable {
    /// The word as it is shown: upper case, with hyphens.
    public let text: String

    private static let alphabet = Array("CDFGHJKMNPQRTVWXY23456789".utf8)
    private static let length = 12

    /// Draws a new one.
    public init() {
        var characters: [UInt8] = []
        let fair = 256 / Self.alphabet.count * Self.alphabet.count
        while characters.count < Self.length {
            characters += Randomness.bytes(Self.length).filter { Int($0) < fair }.map { Self.alphabet[Int($0) % Self.alphabet.count] }
        }
        text = Self.grouped(characters.prefix(Self.length))
    }

    /// Reads one as somebody typed it, in either case, with or without hyphens and spaces; nil where it cannot be a word at all.
    public init?(untrusted text: String) {
        guard text.utf8.count <= 64 else { return nil }
        let characters = text.uppercased().utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: " ") }
        guard characters.count == Self.length, characters.allSatisfy(Self.alphabet.contains) else { return nil }
        self.text = Self.grouped(characters[...])
    }

    /// The SHA-256 of the text as it is shown, 32 bytes: what is kept, and what it is found by.
    public var hash: [UInt8] { Digest.sha256(text) }

    private static func grouped(_ characters: ArraySlice<UInt8>) -> String {
        let all = Array(characters)
        return [all[0..<4], all[4..<8], all[8..<12]].map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-")
    }
}
