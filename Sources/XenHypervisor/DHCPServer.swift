import Glibc

/// The dnsmasq that serves the desktops' network.
enum DHCPServer {
    /// The process that the file names, if it is a dnsmasq that lives.
    static func process(by file: String) -> pid_t? {
        guard let text = try? DiskFiles.text(of: file), let number = text.split(whereSeparator: \.isWhitespace).first.flatMap({ pid_t($0) }),
            number > 1, let name = try? DiskFiles.head(of: "/proc/\(number)/comm", count: 16), String(decoding: name, as: UTF8.self) == "dnsmasq\n"
        else { return nil }
        return number
    }

    static func runs(by file: String) -> Bool { process(by: file) != nil }
}
