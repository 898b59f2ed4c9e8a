import DesktopModel

/// What a seat says of itself and how it is; checked, and otherwise believed. What it does not know is absent.
public struct SeatHealth: Hashable, Sendable {
    /// What a small board's own guard says of its power and its heat.
    public enum Warning: String, CaseIterable, Sendable {
        case underVoltage = "under-voltage"
        case throttled
        /// Since the seat was switched on, but not now.
        case underVoltageBefore = "under-voltage-before"
        case throttledBefore = "throttled-before"
    }

    /// What a seat sends; nothing is checked yet.
    public struct Draft: Hashable, Sendable {
        public var model: String?
        public var version: String?
        public var uptimeSeconds: Int?
        public var millidegrees: Int?
        public var memoryTotal: Int64?
        public var memoryAvailable: Int64?
        public var throttledFlags: Int?
        public var screenWidth: Int?
        public var screenHeight: Int?
        public init() {}
    }

    public let model: String?
    /// Of its program.
    public let version: String?
    public let uptime: Duration?
    /// Thousandths of a degree Celsius.
    public let millidegrees: Int?
    public let memoryTotal: ByteCount?
    public let memoryAvailable: ByteCount?
    public let warnings: [Warning]
    public let screen: Screen?

    /// In pixels.
    public struct Screen: Hashable, Sendable {
        public let width: Int
        public let height: Int
    }

    /// - Throws: `invalid` with the field where a number cannot be.
    public init(_ untrusted: Draft) throws(BrokerError) {
        func checked<Number: BinaryInteger>(_ number: Number?, _ field: String, _ range: ClosedRange<Number>) throws(BrokerError) -> Number? {
            guard let number else { return nil }
            guard range.contains(number) else {
                throw .invalid(field: field, value: "\(number)", remedy: Refused.sendRange(range.lowerBound, range.upperBound))
            }
            return number
        }
        func text(_ text: String?, upTo limit: Int) -> String? { text.map { $0.shown(upTo: limit) }.flatMap { $0.isEmpty ? nil : $0 } }
        model = text(untrusted.model, upTo: 64)
        version = text(untrusted.version, upTo: 32)
        uptime = try checked(untrusted.uptimeSeconds, "uptimeSeconds", 0...1_000_000_000).map { .seconds($0) }
        millidegrees = try checked(untrusted.millidegrees, "millidegrees", -100_000...200_000)
        memoryTotal = try checked(untrusted.memoryTotal, "memoryTotal", 0...1 << 44).map { ByteCount(rawValue: $0) }
        memoryAvailable = try checked(untrusted.memoryAvailable, "memoryAvailable", 0...1 << 44).map { ByteCount(rawValue: $0) }
        let flags = try checked(untrusted.throttledFlags, "throttledFlags", 0...0xf_ffff) ?? 0
        func has(_ bit: Int) -> Bool { flags & 1 << bit != 0 }
        warnings = Warning.allCases.filter { warning in
            switch warning {
            case .underVoltage: has(0)
            case .throttled: has(2)
            case .underVoltageBefore: has(16) && !has(0)
            case .throttledBefore: has(18) && !has(2)
            }
        }
        let (width, height) = (
            try checked(untrusted.screenWidth, "screenWidth", 1...32_768), try checked(untrusted.screenHeight, "screenHeight", 1...32_768)
        )
        screen = width.flatMap { width in height.map { Screen(width: width, height: $0) } }
    }
}
