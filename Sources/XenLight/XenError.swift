import CXenLight

/// A call of libxl that failed.
public struct XenError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The function of libxl, as `libxl_domain_create_new`.
    public let call: String
    /// libxl's error number, negative; or the positive number of a system error for calls of our own.
    public let code: Int32
    /// The number's name, as `ERROR_NOMEM`.
    public let name: String
    /// What libxl said while the call ran, oldest first: warnings and errors, at most 12 lines.
    public let log: [String]

    package init(call: String, code: Int32, name: String? = nil, log: [String] = []) {
        self.call = call
        self.code = code
        self.name = name ?? Self.name(of: code)
        self.log = log
    }

    /// The domain is not there, or went while the call ran.
    public var domainIsGone: Bool {
        code == ERROR_DOMAIN_NOTFOUND.rawValue || code == ERROR_DOMAIN_DESTROYED.rawValue
    }

    public var description: String {
        let said = log.isEmpty ? "" : ": " + log.joined(separator: " | ")
        return "\(call) failed with \(name) (\(code))\(said)"
    }

    private static func name(of code: Int32) -> String {
        guard let text = libxl_error_to_string(libxl_error(rawValue: code)) else { return "error" }
        return "ERROR_" + String(cString: text).uppercased()
    }

    /// Turns a return code of libxl into an error, unless it is 0.
    static func check(_ code: Int32, _ call: String, _ log: LogCapture) throws(XenError) {
        guard code != 0 else { return }
        throw XenError(call: call, code: code, log: log.lines)
    }
}
