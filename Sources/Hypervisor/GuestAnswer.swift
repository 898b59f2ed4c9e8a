import DesktopModel

/// What a guest says of its new identity and of its memory (Docs/Guest.md).
public enum GuestAnswer: Hashable, Sendable {
    /// It is ready to set its clock, and wants to be told the time.
    case asksForTime(call: String)
    case done(call: String)
    /// It could not take the identity over. At most 200 characters of printable ASCII.
    case failed(call: String, reason: String)
    /// It could do without so much memory now.
    case spares(call: String, memory: ByteCount)

    /// Reads what a guest wrote, who may write anything; nil where it is no answer.
    public init?(untrusted text: String) {
        let words = text.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard words.count >= 2, words[1].utf8.count == 32, words[1].utf8.allSatisfy(Self.isDigit) else { return nil }
        let call = String(words[1])
        switch (words[0], words.count) {
        case ("time", 2): self = .asksForTime(call: call)
        case ("done", 2): self = .done(call: call)
        case ("failed", 3):
            let reason = words[2].unicodeScalars.filter { (0x20...0x7e).contains($0.value) }.prefix(200)
            self = .failed(call: call, reason: String(String.UnicodeScalarView(reason)))
        case ("spare", 3):
            // Of no more digits than a number of kibibytes can have that is still one of bytes.
            guard (1...12).contains(words[2].utf8.count), words[2].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let kibibytes = Int64(words[2])
            else { return nil }
            self = .spares(call: call, memory: .kibibytes(kibibytes))
        default: return nil
        }
    }

    public var call: String {
        switch self {
        case .asksForTime(let call), .done(let call), .failed(let call, _), .spares(let call, _): call
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }
}
