import DesktopModel

/// Where the twin keeps a checkpoint.
public struct SimulatedCheckpoint: Hashable, Sendable {
    public let id: CheckpointID
    public init(_ id: CheckpointID) { self.id = id }

    /// The checkpoint that a file belongs to; nil for any other.
    public init?(file path: String) {
        guard path.hasPrefix(Self.folder) else { return nil }
        let parts = path.dropFirst(Self.folder.count).split(separator: "/")
        guard parts.count == 2, let number = UInt32(parts[0]) else { return nil }
        id = CheckpointID(rawValue: number)
    }

    /// The checkpoint whose memory it is; nil for any other file.
    init?(save path: String) {
        self.init(file: path)
        guard path == memory else { return nil }
    }

    private static let folder = SimulatedServer.folder + "checkpoints/"
    private func path(_ name: String) -> String { "\(Self.folder)\(id)/\(name)" }

    public var disk: String { path("disk") }
    public var memory: String { path("memory") }
    public var blank: String { path("blank") }
    var all: [String] { [disk, memory, blank] }
    /// What every disk over this checkpoint's begins with.
    public var mark: String { "blank over checkpoint \(id)" }
}
