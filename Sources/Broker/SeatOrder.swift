import DesktopModel

/// What an administrator or teacher has a seat do. A seat carries it out while its event stream is open; one that is off is never told later.
public enum SeatOrder: Hashable, Sendable {
    /// Shows a text over whatever is on the screen, for a while.
    case message(String)
    /// Shows the seat's name, large, for a moment.
    case identify
    /// Starts the thin client anew; its session ends as if it had been switched off.
    case restart
    case shutDown

    /// The most characters of a message.
    public static let longestMessage = 200

    /// A message of one line, as a screen can show it.
    /// - Throws: `invalid` where nothing is left to show, or too much.
    public init(message untrusted: String) throws(BrokerError) {
        let words = untrusted.split { $0.isWhitespace || $0.isNewline }.map { word in
            String(String.UnicodeScalarView(word.unicodeScalars.filter(\.isShown)))
        }
        let text = words.filter { !$0.isEmpty }.joined(separator: " ")
        guard (1...Self.longestMessage).contains(text.count), text.utf8.count <= 4 * Self.longestMessage else {
            throw .invalid(
                field: "message", value: String(text.prefix(40)), remedy: Refused.writeCharacters(1, Self.longestMessage))
        }
        self = .message(text)
    }
}
