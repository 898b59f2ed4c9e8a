/// Why a text is not the quantity that was asked for; it says the value and the remedy.
public struct QuantityError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

/// Amounts of memory and disk as people write them.
public enum Bytes {
    /// Reads `512MiB`, `1.5GiB`, `512M`, `2 G`, `1024KiB`, `1073741824`; units count in 1024s, in either case, and a bare number is bytes.
    /// - Throws: ``QuantityError`` where it is no amount, is negative, not whole bytes or more than 2^63 - 1.
    public static func parse(_ untrustedText: String) throws(QuantityError) -> Int64 {
        let (number, unit) = try split(untrustedText, example: "512MiB or 1.5GiB")
        let shift: Int64
        switch unit.lowercased() {
        case "", "b": shift = 0
        case "k", "kib", "kb": shift = 10
        case "m", "mib", "mb": shift = 20
        case "g", "gib", "gb": shift = 30
        case "t", "tib", "tb": shift = 40
        default:
            throw QuantityError(description: "'\(untrustedText)': there is no unit '\(unit)'; write KiB, MiB, GiB or TiB, such as 512MiB")
        }
        guard let bytes = number.scaled(by: 1 << shift) else {
            throw QuantityError(description: "'\(untrustedText)' is no whole number of bytes below 8 EiB; write it like 512MiB or 1.5GiB")
        }
        return bytes
    }

    /// Writes `512 MiB`, `1.5 GiB`, `0 B`: one digit after the point at most, rounded.
    public static func format(_ bytes: Int64) -> String {
        for (unit, shift) in [("TiB", Int64(40)), ("GiB", 30), ("MiB", 20), ("KiB", 10)] where bytes >= 1 << shift {
            let rest = bytes & ((1 << shift) - 1)
            let tenths = (bytes >> shift) * 10 + ((rest * 10 + (1 << (shift - 1))) >> shift)
            return tenths % 10 == 0 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
        }
        return "\(bytes) B"
    }
}

/// Lengths of time as people write them, in whole seconds.
public enum Seconds {
    /// Reads `60s`, `5min`, `1.5h`, `90`; a bare number is seconds.
    /// - Throws: ``QuantityError`` where it is no length of time, or not whole seconds.
    public static func parse(_ untrustedText: String) throws(QuantityError) -> Int {
        let (number, unit) = try split(untrustedText, example: "60s, 5min or 1h")
        let factor: Int64
        switch unit.lowercased() {
        case "", "s", "sec": factor = 1
        case "m", "min": factor = 60
        case "h": factor = 3600
        case "d": factor = 86_400
        default:
            throw QuantityError(description: "'\(untrustedText)': there is no unit '\(unit)'; write s, min, h or d, such as 60s or 5min")
        }
        guard let seconds = number.scaled(by: factor) else {
            throw QuantityError(description: "'\(untrustedText)' is not a whole number of seconds; write it like 60s, 5min or 1h")
        }
        return Int(seconds)
    }

    /// Writes `90s`, `5min`, `1h`: the largest unit of which it is a whole number, as `parse` reads it.
    public static func exact(_ seconds: Int) -> String {
        for (unit, length) in [("h", 3600), ("min", 60)] where seconds != 0 && seconds % length == 0 { return "\(seconds / length)\(unit)" }
        return "\(seconds)s"
    }

    /// Writes `60s`, `5min`, `1h 30min`, `2d 3h`: the two largest units.
    public static func format(_ seconds: Int) -> String {
        guard seconds >= 120 else { return "\(seconds)s" }
        let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")]
        let from = parts.firstIndex { $0.0 > 0 } ?? 3
        return parts[from..<min(from + 2, 4)].filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined(separator: " ")
    }
}

/// A number with up to six digits after the point, as whole millionths: exact, where a Double would not be.
private struct Decimal6 {
    let whole: Int64
    let millionths: Int64

    init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, !first.isEmpty, first.allSatisfy(\.isASCIIDigit), let whole = Int64(first) else { return nil }
        self.whole = whole
        guard parts.count == 2 else {
            millionths = 0
            return
        }
        guard (1...6).contains(parts[1].count), parts[1].allSatisfy(\.isASCIIDigit),
            let millionths = Int64(parts[1] + String(repeating: "0", count: 6 - parts[1].count))
        else { return nil }
        self.millionths = millionths
    }

    /// The number times the factor; nil where that is not whole or does not fit.
    func scaled(by factor: Int64) -> Int64? {
        let (large, overflow) = whole.multipliedReportingOverflow(by: factor)
        let fraction = millionths.multipliedFullWidth(by: factor)
        let (quotient, remainder) = Int64(1_000_000).dividingFullWidth(fraction)
        guard !overflow, remainder == 0 else { return nil }
        let (sum, tooLarge) = large.addingReportingOverflow(quotient)
        return tooLarge ? nil : sum
    }
}

extension Character {
    fileprivate var isASCIIDigit: Bool { isASCII && isWholeNumber }
}

private func split(_ untrustedText: String, example: String) throws(QuantityError) -> (Decimal6, String) {
    let digits = untrustedText.prefix { $0.isASCIIDigit || $0 == "." }
    let unit = untrustedText.dropFirst(digits.count).drop { $0 == " " }
    guard let number = Decimal6(digits) else {
        throw QuantityError(description: "'\(untrustedText)' is not a number with a unit; write it like \(example)")
    }
    return (number, String(unit))
}
