/// Where a seat's table stands in the room's plan: column and row, from 1.
public struct TablePlace: Hashable, Sendable {
    public static let columns = 1...16
    public static let rows = 1...12

    public let column: Int
    public let row: Int

    /// Nil where the plan has no such place.
    public init?(column: Int, row: Int) {
        guard Self.columns.contains(column), Self.rows.contains(row) else { return nil }
        self.column = column
        self.row = row
    }

    /// As people read it, column first.
    public var inShort: String { "\(column), \(row)" }
}
