/// Reads a stream of server-sent events, as it comes in pieces.
struct EventReader {
    private var line: [UInt8] = []
    private var event = ""
    private var data = ""

    init() {}

    /// Takes a piece, and tells each event that it completes.
    mutating func read(_ piece: some Sequence<UInt8>, _ take: (_ event: String, _ data: String) throws -> Void) rethrows {
        for byte in piece {
            guard byte == UInt8(ascii: "\n") else {
                line.append(byte)
                continue
            }
            let text = String(decoding: line, as: UTF8.self)
            line = []
            if text.isEmpty {
                if !event.isEmpty { try take(event, data) }
                (event, data) = ("", "")
            } else if text.hasPrefix("event: ") {
                event = String(text.dropFirst(7))
            } else if text.hasPrefix("data: ") {
                data += text.dropFirst(6)
            }
        }
    }
}
