import Synchronization

/// Sends pieces one after the other, each when the one before has left.
final class PieceSender: Sendable {
    private let wire: Wire
    private let pieces: Int
    private let piece: [UInt8]
    private let left = Mutex(0)

    init(wire: Wire, pieces: Int, pieceSize: Int) {
        self.wire = wire
        self.pieces = pieces
        piece = [UInt8](repeating: 0x5a, count: pieceSize)
    }

    /// How many pieces have left.
    var sent: Int { left.withLock { $0 } }

    func run() async throws {
        for _ in 0..<pieces {
            try await wire.send(piece)
            left.withLock { $0 += 1 }
        }
    }
}
