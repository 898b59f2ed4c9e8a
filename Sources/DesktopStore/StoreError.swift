import DesktopModel

/// Why the store could not be opened, read or written.
public enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file system that holds the database has no room left. Nothing of the change was kept.
    case fullDisk(path: String)
    /// Another one has this name or number already.
    case taken(kind: String, name: String)
    /// It is still needed by others and stays.
    case inUse(kind: String, id: String)
    /// There is none of this kind with this name or number.
    case unknown(kind: String, id: String)
    /// The changes contradict each other or what is kept; nothing of them was kept.
    case conflict(String)
    /// A row holds a value that no version of Punnet writes.
    case damaged(table: String, row: String, column: String, value: String)
    /// The file is no sound database of Punnet.
    case corrupt(path: String, detail: String)
    /// The database was written by a later version, which made these changes to it that this one does not know.
    case newer(path: String, migrations: [String])
    /// The room in it was made on another kind of server. Nothing was touched.
    case otherServer(path: String, made: ServerKind, wanted: ServerKind)
    /// A file or folder could not be made or opened.
    case file(path: String, call: String, errno: Int32, reason: String)
    /// SQLite refused for another reason: its extended result code and message.
    case other(code: Int32, detail: String)

    public var description: String {
        switch self {
        case .fullDisk(let path): "the disk that holds '\(path)' is full: make room on it, then try again"
        case .taken(let kind, let name): "there is already a \(kind) '\(name)': choose another"
        case .inUse(let kind, let id): "\(kind) \(id) is still in use: end or remove what uses it first"
        case .unknown(let kind, let id): "there is no \(kind) \(id) in the database"
        case .conflict(let detail): "the change was not kept: \(detail)"
        case .damaged(let table, let row, let column, let value):
            "the database is damaged: table '\(table)', row \(row), column '\(column)' holds '\(value)'; bring back the copy beside it "
                + "or a backup"
        case .corrupt(let path, let detail): "'\(path)' is not a sound database (\(detail)): bring back the copy beside it or a backup"
        case .newer(let path, let migrations):
            "'\(path)' was written by a later version of Punnet (\(migrations.joined(separator: ", "))): install that version, or bring "
                + "back the copy '\(path).before-\(migrations.first ?? "")'"
        case .otherServer(let path, let made, let wanted):
            "'\(path)' holds the room of a server of the kind '\(made.rawValue)', and '\(wanted.rawValue)' was asked for; nothing was touched: "
                + "set 'hypervisor' to '\(made.rawValue)', or name another folder with 'data'"
        case .file(let path, let call, let errno, let reason): "\(call) of '\(path)' failed with errno \(errno): \(reason)"
        case .other(let code, let detail): "SQLite refused with code \(code): \(detail)"
        }
    }
}
