import COpenSSL

/// What OpenSSL has to say about the failures on this thread.
enum LibraryErrors {
    /// Forgets what earlier calls on this thread left behind; before a call whose failure is to be told.
    static func clear() { ERR_clear_error() }

    /// Takes every reason from this thread's queue, the first first; "no reason given" where there is none.
    static func take() -> String {
        var reasons: [String] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            var text = [CChar](repeating: 0, count: 256)
            ERR_error_string_n(code, &text, text.count)
            reasons.append(String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
        }
        return reasons.isEmpty ? "no reason given" : reasons.joined(separator: "; ")
    }
}
