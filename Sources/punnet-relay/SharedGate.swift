import NIOCore
import Relay
import Synchronization

/// The gate's books as the accepting thread and the links' thread share them. Safe from any thread.
final class SharedGate: Sendable {
    private let gate: Mutex<DoorGate>

    init(limits: DoorLimits) { gate = Mutex(DoorGate(limits: limits)) }

    func arrive(from source: SourceAddress) -> DoorGate.Verdict { gate.withLock { $0.arrive(from: source.counted, at: .now()) } }
    func admit(from source: SourceAddress) -> Bool { gate.withLock { $0.admit(from: source.counted) } }
    func refuse(_ source: SourceAddress) { gate.withLock { $0.refuse(source.counted, at: .now()) } }
    func leave(from source: SourceAddress, waiting: Bool) { gate.withLock { $0.leave(from: source.counted, waiting: waiting) } }

    var isCrowded: Bool { gate.withLock { $0.isCrowded } }

    /// Connections in all, and those among them that wait for admission.
    var load: (connections: Int, waiting: Int) { gate.withLock { ($0.connections, $0.waiting) } }
}
