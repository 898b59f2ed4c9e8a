import ControlAPI

@testable import ControlServer

func checkTexts(_ bytes: [UInt8]) throws {
    let text = String(decoding: bytes, as: UTF8.self)
    try check("a boot ID", try? Untrusted.bootID(text), longest: 36, allowed: "0123456789abcdef-")
    try check("a name", try? Untrusted.name(text, field: "name"), longest: 64, allowed: letters + ".-_")
    try check("a word", try? Untrusted.word(text), longest: 128, allowed: nil)
    try check("a token", Untrusted.bearerToken(text), longest: 512, allowed: letters + "-._~+/=")
    try check("a token", Untrusted.bearerToken("Bearer " + text), longest: 512, allowed: letters + "-._~+/=")
    if let folder = try? Untrusted.folder(text) {
        try Violation.unless(folder.hasPrefix("/") && folder.utf8.count <= 4_095 && !folder.utf8.contains(0), "no absolute path is taken")
        try Violation.unless(!folder.split(separator: "/").contains(".."), "a path that leads up is taken")
    }
    if let session = try? Untrusted.sessionID(text) { try Violation.unless(session.rawValue > 0, "a session below 1 is taken") }
    if let number = try? Untrusted.number(text[...], field: "number", in: 1...500, otherwise: 7) {
        try Violation.unless((1...500).contains(number), "a number out of its range is taken")
    }
    try checkShown { _ = try Untrusted.bootID(text) }
    try checkShown { _ = try Untrusted.name(text, field: "name") }
    try checkShown { _ = try Untrusted.sessionID(text) }
    try checkShown { _ = try Untrusted.seatReason(text) }
    try checkShown { _ = try Untrusted.afterSession(text) }
    try checkShown { _ = try Untrusted.folder(text) }
    try checkShown { _ = try Untrusted.flag(text[...], field: "flag") }
}

private let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

private let obeyed: [Unicode.GeneralCategory] = [.control, .format, .lineSeparator, .paragraphSeparator]

/// A text that was taken is not empty, not too long, printable ASCII, and of the allowed characters where those are given.
private func check(_ what: String, _ taken: String?, longest: Int, allowed: String?) throws {
    guard let taken else { return }
    try Violation.unless((1...longest).contains(taken.utf8.count), "\(what) of \(taken.utf8.count) bytes is taken")
    try Violation.unless(taken.utf8.allSatisfy { (0x20...0x7e).contains($0) }, "\(what) that is no printable ASCII is taken")
    if let allowed { try Violation.unless(taken.allSatisfy(allowed.contains), "\(what) of other characters is taken") }
}

/// A text that was refused is shown short, and without what a terminal would obey.
private func checkShown(_ reading: () throws -> Void) throws {
    do {
        try reading()
    } catch let problem as Problem {
        let shown = problem.value ?? ""
        try Violation.unless(shown.unicodeScalars.count <= 65, "\(shown.unicodeScalars.count) characters of a refused text are shown")
        try Violation.unless(
            shown.unicodeScalars.allSatisfy { !obeyed.contains($0.properties.generalCategory) },
            "a control character of a refused text is shown")
    }
}
