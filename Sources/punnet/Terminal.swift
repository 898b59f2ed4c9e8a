import Glibc

/// The person at the other end, if there is one.
enum Terminal {
    /// Whether somebody can be asked.
    static var canAsk: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 }
    /// Whether somebody watches the messages.
    static var isWatched: Bool { isatty(STDERR_FILENO) == 1 }

    /// A message on standard error.
    static func complain(_ text: String) {
        write("punnet: \(text.printable)\n")
    }

    /// Replaces the line that shows how far something is.
    static func showProgress(_ text: String) {
        write("\r\u{1b}[K\(text.printable)")
    }

    static func endProgress() {
        write("\r\u{1b}[K")
    }

    /// Asks before something is done that cannot be undone.
    /// - Parameters:
    ///   - what: What would happen, as a sentence without its full stop.
    ///   - harmless: Whether it may be done without a word where nobody can be asked.
    static func confirm(_ what: String, yes: Bool, harmless: Bool) throws(CommandFailure) {
        if yes { return }
        guard canAsk else {
            if harmless { return }
            throw .unconfirmed(what: what)
        }
        write("\(what.printable). Go on? [y/N] ")
        let answer = readLine()?.lowercased() ?? ""
        guard ["y", "yes", "ㅛ", "예", "네"].contains(answer) else { throw .declined }
    }

    private static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// Times as the administrator's clock shows them.
enum Clock {
    /// `2026-03-02 08:15`, in the machine's time zone.
    static func local(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = tm()
        localtime_r(&time, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) \(two(parts.tm_hour)):\(two(parts.tm_min))"
    }

    static var now: Int64 { Int64(time(nil)) }
}
