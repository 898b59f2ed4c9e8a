import DesktopModel

/// Why the store could not be opened, read or written.
public enum StoreError: Telling, Hashable, Sendable {
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

    /// How each is told.
    public enum Said: String, Phrases {
        case fullDisk = "the disk that holds '{0}' is full: make room on it, then try again"
        case taken = "there is already a {0} '{1}': choose another"
        case inUse = "{0} {1} is still in use: end or remove what uses it first"
        case unknown = "there is no {0} {1} in the database"
        case conflict = "the change was not kept: {0}"
        case damaged = """
            the database is damaged: table '{0}', row {1}, column '{2}' holds '{3}'; bring back the copy beside it or a backup
            """
        case corrupt = "'{0}' is not a sound database ({1}): bring back the copy beside it or a backup"
        case newer = """
            '{0}' was written by a later version of Punnet ({1}): install that version, or bring back the copy '{0}.before-{2}'
            """
        case otherServer = """
            '{0}' holds the room of a server of the kind '{1}', and '{2}' was asked for; nothing was touched: set 'hypervisor' to '{1}', or name \
            another folder with 'data'
            """
        case file = "{0} of '{1}' failed with errno {2}: {3}"
        case other = "SQLite refused with code {0}: {1}"
    }

    public var sentence: Sentence {
        switch self {
        case .fullDisk(let path): Said.fullDisk(path)
        case .taken(let kind, let name): Said.taken(kind, name)
        case .inUse(let kind, let id): Said.inUse(kind, id)
        case .unknown(let kind, let id): Said.unknown(kind, id)
        case .conflict(let detail): Said.conflict(detail)
        case .damaged(let table, let row, let column, let value): Said.damaged(table, row, column, value)
        case .corrupt(let path, let detail): Said.corrupt(path, detail)
        case .newer(let path, let migrations): Said.newer(path, migrations.joined(separator: ", "), migrations.first ?? "")
        case .otherServer(let path, let made, let wanted): Said.otherServer(path, made.rawValue, wanted.rawValue)
        case .file(let path, let call, let errno, let reason): Said.file(call, path, errno, reason)
        case .other(let code, let detail): Said.other(code, detail)
        }
    }
}
