import FoundationEssentials
import Hummingbird
import NIOCore

/// What a browser's form sent, `application/x-www-form-urlencoded`: untrusted texts by their fields' names.
struct Form: Sendable {
    /// The most bytes and fields that a form may have.
    static let bodyLimit = 64 * 1024
    static let fieldLimit = 1000

    private var untrusted: [String: [String]] = [:]

    init() {}

    /// Reads a body or a query. What is no UTF-8 becomes U+FFFD.
    init(untrustedText: some StringProtocol) {
        for pair in untrustedText.split(separator: "&").prefix(Self.fieldLimit) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            untrusted[Self.decoded(parts[0]), default: []].append(parts.count == 2 ? Self.decoded(parts[1]) : "")
        }
    }

    /// The first value of a field, without white space at its ends; empty where there is none.
    subscript(name: String) -> String {
        String(raw(name).drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }

    /// The first value of a field as it was sent: a password may begin with a space.
    func raw(_ name: String) -> String { untrusted[name]?.first ?? "" }

    /// All values of a field: of boxes that were ticked.
    func all(_ name: String) -> [String] { untrusted[name] ?? [] }

    func has(_ name: String) -> Bool { untrusted[name] != nil }

    private static func decoded(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
