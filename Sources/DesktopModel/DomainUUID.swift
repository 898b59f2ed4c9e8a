/// The UUID of a desktop's domain in Xen. It says by itself whose domain it is: the installation's mark, the desktop, the generation.
///
/// So ownership needs no look into the database: a domain whose upper half is not this installation's mark is foreign and is never touched.
public struct DomainUUID: Hashable, Sendable, CustomStringConvertible {
    /// Drawn at random once, when the appliance first starts, and kept in the database.
    public let installation: UInt64
    public let desktop: DesktopID
    public let generation: Generation

    public init(installation: UInt64, desktop: DesktopID, generation: Generation) {
        self.installation = installation
        self.desktop = desktop
        self.generation = generation
    }

    /// Reads the 16 bytes of a UUID in the order in which it is written.
    ///
    /// Every UUID reads as something: compare `installation` before believing it.
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 16, "a UUID has 16 bytes")
        let halves = bytes.map(UInt64.init)
        installation = halves[0..<8].reduce(0) { $0 << 8 | $1 }
        desktop = DesktopID(rawValue: UInt32(truncatingIfNeeded: halves[8..<12].reduce(0) { $0 << 8 | $1 }))
        generation = Generation(rawValue: UInt32(truncatingIfNeeded: halves[12..<16].reduce(0) { $0 << 8 | $1 }))
    }

    /// The 16 bytes, in the order in which a UUID is written.
    public var bytes: [UInt8] {
        let low = UInt64(desktop.rawValue) << 32 | UInt64(generation.rawValue)
        return [installation, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) } }
    }

    public var description: String {
        let digits = bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
    }
}
