/// One place where bytes of strangers arrive, and what must hold for all of them.
///
/// The fuzzer makes the bytes up, in a build of its own (Scripts/fuzz); the unit tests try the kept ones.
enum FuzzTarget: String, CaseIterable {
    /// A seat's first packet at the relay's door, in pieces.
    case request
    /// What stands in a connection request where the ticket should be.
    case token
    /// A stream of words between the relay and punnetd, in pieces.
    case words
    /// A guest's answer to the request for TLS.
    case confirm
    /// A guest's certificate.
    case certificate
    /// All that a guest says to the probe.
    case probe
    /// Texts in what seats and administrators send to the control server.
    case texts

    /// More bytes show nothing new.
    var maximumLength: Int {
        switch self {
        case .request, .token: 320
        case .words: 1_024
        case .confirm: 32
        case .certificate: 4_096
        case .probe: 4_096
        case .texts: 256
        }
    }

    /// Where what it tries stands: the coverage of these files is told.
    var sources: [String] {
        switch self {
        case .request, .token: ["ConnectionRequest.swift", "Ticket.swift", "RequestReader.swift"]
        case .words: ["DeskWord+Coding.swift"]
        case .confirm: ["ConnectionConfirm.swift"]
        case .certificate: ["X509Certificate.swift"]
        case .probe: ["RDPProbe.swift", "ProbeSocket.swift", "ConnectionConfirm.swift"]
        case .texts: ["Untrusted.swift"]
        }
    }

    /// Throws `Violation` where the bytes break what must hold; ends the process where they break more.
    func check(_ bytes: [UInt8]) throws {
        switch self {
        case .request: try checkRequest(bytes)
        case .token: try checkToken(bytes)
        case .words: try checkWords(bytes)
        case .confirm: try checkConfirm(bytes)
        case .certificate: try checkCertificate(bytes)
        case .probe: try checkProbe(bytes)
        case .texts: try checkTexts(bytes)
        }
    }
}

/// What did not hold.
struct Violation: Error, CustomStringConvertible {
    let description: String

    /// Throws where it does not hold.
    static func unless(_ holds: Bool, _ description: @autoclosure () -> String) throws {
        guard holds else { throw Violation(description: description()) }
    }
}

/// The bytes in pieces of sizes that they themselves decide.
func cut(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    var pieces: [ArraySlice<UInt8>] = []
    var rest = bytes[...]
    // FNV-1a: any other numbers would do, as long as the same bytes are cut the same way again.
    var number = bytes.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    while !rest.isEmpty {
        number = number &* 1_664_525 &+ 1_013_904_223
        let size = 1 + Int(number >> 24) % 24
        pieces.append(rest.prefix(size))
        rest = rest.dropFirst(size)
    }
    return pieces
}
