import Broker
import ControlAPI
import DesktopModel
import Identity

/// What came from outside, until a function here gives the checked value back.
enum Untrusted {
    /// A start of a seat: the kernel's boot_id, a UUID of 36 characters, in lower case.
    static func bootID(_ untrustedText: String) throws(Problem) -> String {
        let characters = Array(untrustedText.utf8)
        let hyphens: Set = [8, 13, 18, 23]
        let isUUID =
            characters.count == 36
            && characters.enumerated().allSatisfy { index, byte in hyphens.contains(index) ? byte == 0x2d : byte.isHexadecimal }
        guard isUUID else {
            throw .invalid("bootID", value: shown(untrustedText), remedy: Declined.sendBootID())
        }
        return untrustedText.lowercased()
    }

    /// A one-time word: printable ASCII, at most 128 characters. Whether it is right, the broker says.
    static func word(_ untrustedText: String) throws(BrokerError) -> String {
        guard (1...128).contains(untrustedText.utf8.count), untrustedText.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw .wordRefused
        }
        return untrustedText
    }

    /// The token of `Authorization: Bearer TOKEN`; nil where there is none that could be one.
    static func bearerToken(_ untrustedHeader: String?) -> String? {
        guard let untrustedHeader, untrustedHeader.utf8.count <= 512 else { return nil }
        let parts = untrustedHeader.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1]
        guard !token.isEmpty, token.utf8.allSatisfy({ $0.isTokenCharacter }) else { return nil }
        return String(token)
    }

    /// A name in an address or a body: 1 to 64 letters, digits, `.`, `_` and `-`. Whether it names something, the broker says.
    static func name(_ untrustedText: String, field: String) throws(Problem) -> String {
        guard (1...64).contains(untrustedText.utf8.count), untrustedText.utf8.allSatisfy({ $0.isNameCharacter }) else {
            throw .invalid(field, value: shown(untrustedText), remedy: Declined.useName())
        }
        return untrustedText
    }

    /// The same in a query, where it may be absent.
    static func name(_ untrustedText: Substring?, field: String) throws(Problem) -> String? {
        try untrustedText.map { text throws(Problem) in try name(String(text), field: field) }
    }

    /// A place in the room's plan.
    static func place(column: Int, row: Int) throws(Problem) -> TablePlace {
        guard let place = TablePlace(column: column, row: row) else { throw noPlace("\(column), \(row)") }
        return place
    }

    /// The same as it was typed into a form.
    static func place(column: String, row: String) throws(Problem) -> TablePlace {
        guard let columnNumber = Int(column), let rowNumber = Int(row) else { throw noPlace("\(column), \(row)") }
        return try place(column: columnNumber, row: rowNumber)
    }

    private static func noPlace(_ untrustedText: String) -> Problem {
        .invalid("place", value: shown(untrustedText), remedy: Declined.usePlace(TablePlace.columns.upperBound, TablePlace.rows.upperBound))
    }

    /// One of some words in a query; nil where it is absent.
    static func word(_ untrustedText: Substring?, field: String, of known: [String]) throws(Problem) -> String? {
        guard let untrustedText else { return nil }
        guard known.contains(String(untrustedText)) else {
            throw .invalid(field, value: shown(String(untrustedText)), remedy: Declined.use(known.map { "'\($0)'" }.joined(separator: ", ")))
        }
        return String(untrustedText)
    }

    /// A text to look for in a query: 1 to 200 bytes; nil where it is absent.
    static func text(_ untrustedText: Substring?, field: String) throws(Problem) -> String? {
        guard let untrustedText else { return nil }
        guard (1...200).contains(untrustedText.utf8.count), !untrustedText.utf8.contains(0) else {
            throw .invalid(field, value: shown(String(untrustedText)), remedy: Declined.useText())
        }
        return String(untrustedText)
    }

    /// The key by which a request is known again: 1 to 255 printable characters of ASCII, with or without the quotes of a structured field.
    static func idempotencyKey(_ untrustedText: String) throws(Problem) -> String {
        var key = untrustedText[...]
        if key.count > 1, key.hasPrefix("\""), key.hasSuffix("\"") { key = key.dropFirst().dropLast() }
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x20...0x7e).contains($0) }) else {
            throw .invalid("Idempotency-Key", value: shown(untrustedText), remedy: Declined.useKey())
        }
        return String(key)
    }

    static func sessionID(_ untrustedText: String) throws(Problem) -> SessionID {
        guard let number = Int64(untrustedText), number > 0 else {
            throw .invalid("session", value: shown(untrustedText), remedy: Declined.useSessionNumber())
        }
        return SessionID(rawValue: number)
    }

    /// The reasons that a seat may give; the others are found out by the appliance itself.
    static func seatReason(_ untrustedText: String) throws(Problem) -> EndReason {
        guard let reason = EndReason(rawValue: untrustedText), [.logOff, .closed, .idle].contains(reason) else {
            throw .invalid("reason", value: shown(untrustedText), remedy: Declined.useReason())
        }
        return reason
    }

    static func afterSession(_ untrustedText: String) throws(Problem) -> AfterSession {
        guard let after = AfterSession(rawValue: untrustedText) else {
            let known = AfterSession.allCases.map { Sentence.outside("'\($0.rawValue)'") }
            throw .invalid(
                "afterSession", value: shown(untrustedText), remedy: Declined.use(known.dropFirst().reduce(known[0]) { Declined.or($0, $1) }))
        }
        return after
    }

    /// What a seat is to do; a message alone has a text.
    static func order(_ untrustedWord: String, text untrustedText: String?) throws -> SeatOrder {
        switch (untrustedWord, untrustedText) {
        case ("message", .some(let text)): return try SeatOrder(message: text)
        case ("message", nil): throw Problem.invalid("text", value: "", remedy: Declined.giveText())
        case ("identify", nil): return .identify
        case ("restart", nil): return .restart
        case ("shut-down", nil): return .shutDown
        default: throw Problem.invalid("order", value: shown(untrustedWord), remedy: Declined.useOrder())
        }
    }

    /// A folder on the appliance: an absolute path without `..`. Administrators alone name one.
    static func folder(_ untrustedText: String) throws(Problem) -> String {
        let parts = untrustedText.split(separator: "/")
        guard untrustedText.hasPrefix("/"), untrustedText.utf8.count <= 4095, !parts.contains(".."), !untrustedText.utf8.contains(0) else {
            throw .invalid("folder", value: shown(untrustedText), remedy: Declined.useAbsolutePath())
        }
        return untrustedText
    }

    /// A number of an address' query, within its range; the given one where it is absent.
    static func number(_ untrustedText: Substring?, field: String, in range: ClosedRange<Int>, otherwise: Int) throws(Problem) -> Int {
        guard let untrustedText else { return otherwise }
        guard let number = Int(untrustedText), range.contains(number) else {
            throw .invalid(
                field, value: shown(String(untrustedText)), remedy: Declined.useNumber(range.lowerBound, range.upperBound))
        }
        return number
    }

    /// A certificate for browsers and its key, as PEM. The key is never repeated.
    static func certificate(chain untrustedChain: String, key untrustedKey: String) throws -> GivenCertificate {
        do throws(IdentityError) {
            return try GivenCertificate(untrustedChainPEM: untrustedChain, untrustedKeyPEM: untrustedKey)
        } catch {
            switch error {
            case .unreadable(let what, _):
                throw Problem.invalid(what == "key" ? "key" : "chain", value: "…", remedy: Declined.givePEM())
            case .mismatch: throw Problem.certificateRefused(Declined.mismatch())
            case .outOfDate: throw Problem.certificateRefused(Declined.outOfDate())
            case .nameless: throw Problem.certificateRefused(Declined.nameless())
            default: throw error
            }
        }
    }

    static func flag(_ untrustedText: Substring?, field: String) throws(Problem) -> Bool {
        switch untrustedText {
        case nil, "false", "0": return false
        case "true", "1": return true
        case .some(let other): throw .invalid(field, value: shown(String(other)), remedy: Declined.useFlag())
        }
    }

    /// The same where absent is another answer.
    static func choice(_ untrustedText: Substring?, field: String) throws(Problem) -> Bool? {
        untrustedText == nil ? nil : try flag(untrustedText, field: field)
    }

    /// A value from outside as an answer may repeat it: short, and without what a terminal would obey or what turns a line's direction.
    private static func shown(_ untrustedText: String) -> String {
        let cut = untrustedText.unicodeScalars.prefix(64).map { $0.isShown ? Character($0) : "\u{fffd}" }
        return String(cut) + (untrustedText.unicodeScalars.count > 64 ? "…" : "")
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (0x30...0x39).contains(self) }
    fileprivate var isLetter: Bool { (0x41...0x5a).contains(self) || (0x61...0x7a).contains(self) }
    fileprivate var isHexadecimal: Bool { isDigit || (0x41...0x46).contains(self) || (0x61...0x66).contains(self) }
    fileprivate var isNameCharacter: Bool { isDigit || isLetter || self == 0x2d || self == 0x2e || self == 0x5f }
    /// RFC 6750's b64token.
    fileprivate var isTokenCharacter: Bool { isNameCharacter || self == 0x7e || self == 0x2b || self == 0x2f || self == 0x3d }
}
