import DesktopModel

/// What a guest wrote to its console, made fit to be shown and kept. A guest may write anything.
public enum ConsoleText {
    /// The last lines, oldest first, without what commands a terminal and without empty ones; what is no UTF-8 is replaced.
    ///
    /// - Parameters:
    ///   - isCut: Whether the bytes begin within a line, which is then left out.
    ///   - count: How many lines at most.
    ///   - width: How many Unicode scalars a line has at most; a longer one ends with `…`.
    public static func lines(of untrustedBytes: some Collection<UInt8>, isCut: Bool = false, last count: Int = 20, width: Int = 200) -> [String] {
        var reader = Reader()
        for scalar in String(decoding: untrustedBytes, as: UTF8.self).unicodeScalars { reader.read(scalar) }
        var lines = reader.finish()
        if isCut, !lines.isEmpty { lines.removeFirst() }
        return lines.map { line in
            let scalars = line.unicodeScalars
            return scalars.count <= width ? line : String(String.UnicodeScalarView(scalars.prefix(width - 1))) + "…"
        }.filter { !$0.allSatisfy(\.isWhitespace) }.suffix(count)
    }

    /// Reads scalar by scalar and leaves terminal sequences out (ECMA-48). A line's end ends a sequence too: one that is never finished
    /// swallows no more than its line.
    private struct Reader {
        private enum Mode {
            case text
            /// ESC was read.
            case escape
            /// A control sequence: parameters until a final character.
            case sequence
            /// A string for the terminal, until its terminator.
            case string
        }

        private var mode = Mode.text
        private var line = String.UnicodeScalarView()
        private var lines: [String] = []

        mutating func read(_ scalar: Unicode.Scalar) {
            switch scalar.value {
            case 0x0a...0x0d, 0x85, 0x2028, 0x2029:
                lines.append(String(line))
                line = String.UnicodeScalarView()
                mode = .text
            case 0x1b: mode = .escape
            case 0x9b: mode = .sequence
            case 0x90, 0x98, 0x9d...0x9f: mode = .string
            default: read(scalar, in: mode)
            }
        }

        private mutating func read(_ scalar: Unicode.Scalar, in before: Mode) {
            switch before {
            case .text:
                if scalar == "\t" { line.append(" ") } else if scalar.isShown { line.append(scalar) }
            case .escape:
                switch scalar {
                case "[": mode = .sequence
                case "]", "P", "X", "^", "_": mode = .string
                case "\u{20}"..."\u{2f}": break
                default: mode = .text
                }
            case .sequence:
                if !("\u{20}"..."\u{3f}").contains(scalar) { mode = .text }
            case .string:
                if scalar == "\u{07}" || scalar == "\u{9c}" { mode = .text }
            }
        }

        mutating func finish() -> [String] {
            if !line.isEmpty { lines.append(String(line)) }
            return lines
        }
    }
}
