/// Rows under headings, aligned on a terminal also where characters are two columns wide.
struct TextTable {
    let headings: [String]
    private(set) var rows: [[String]] = []

    init(_ headings: String...) { self.headings = headings }

    mutating func add(_ cells: String...) {
        precondition(cells.count == headings.count, "a row has a cell for each heading")
        rows.append(cells.map(\.printable))
    }

    /// The lines, without blanks at their ends. A column that is empty in every row is left out; without rows, `otherwise` is all.
    func text(otherwise: String) -> String {
        guard !rows.isEmpty else { return otherwise }
        let columns = headings.indices.filter { column in rows.contains { !$0[column].isEmpty } }
        let widths = columns.map { column in ([headings] + rows).map { $0[column].displayWidth }.max() ?? 0 }
        return ([headings] + rows).map { row in
            var line = ""
            var owed = 0
            for (column, width) in zip(columns, widths) {
                if !row[column].isEmpty {
                    line += String(repeating: " ", count: owed) + row[column]
                    owed = 0
                }
                owed += width - row[column].displayWidth + 2
            }
            return line
        }.joined(separator: "\n")
    }
}

extension String {
    /// How many columns of a terminal it takes.
    var displayWidth: Int { reduce(0) { $0 + $1.displayWidth } }

    /// The text with what could command a terminal replaced.
    var printable: String {
        String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{fffd}" : $0 }))
    }
}

extension Character {
    fileprivate var displayWidth: Int { unicodeScalars.map(\.displayWidth).max() ?? 0 }
}

extension Unicode.Scalar {
    /// Two columns for what Unicode's annex 11 calls wide or full-width, none for marks that stand on another character.
    fileprivate var displayWidth: Int {
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format, .control: return 0
        default: break
        }
        switch value {
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff, 0xa000...0xa4cf, 0xa960...0xa97c,
            0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff,
            0x1f900...0x1f9ff, 0x20000...0x3fffd:
            return 2
        default:
            return 1
        }
    }
}
