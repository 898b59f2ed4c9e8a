import Dispatch
import Glibc
import Identity
import Synchronization

/// The seat's end of one link.
struct SeatSocket: Sendable {
    /// What a seat wants of its desktop.
    enum Kind: UInt8 { case picture = 80, echo = 69 }

    /// What is echoed: as long as what RDP says of a key.
    static let word = [UInt8](repeating: 7, count: 64)

    let descriptor: Int32

    init(through carrier: Carrier, as kind: Kind) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = Socket.loopback(carrier.port)
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard descriptor >= 0, connected == 0 else { throw BenchError("nobody listens for \(carrier.name) at port \(carrier.port)") }
        Socket.prepare(descriptor)
        if carrier.isRelay {
            guard Socket.write(descriptor, DesktopLink.request(ticket: Token().text)), Socket.read(descriptor, 1) != nil else {
                throw BenchError("punnet-relay let no link through")
            }
        }
        guard Socket.write(descriptor, [kind.rawValue]) else { throw BenchError("\(carrier.name) has ended a link") }
    }

    func close() { Glibc.close(descriptor) }

    /// Has a word echoed again and again, and tells how long each took. Blocks a thread of its own.
    func echoes(for time: Duration) async throws -> [Duration] {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "seat").async {
                let end = ContinuousClock.now + time
                var took: [Duration] = []
                while ContinuousClock.now < end {
                    let began = ContinuousClock.now
                    guard Socket.write(descriptor, Self.word), Socket.read(descriptor, Self.word.count) != nil else {
                        return continuation.resume(throwing: BenchError("the link that echoes has ended"))
                    }
                    took.append(ContinuousClock.now - began)
                    usleep(2000)
                }
                continuation.resume(returning: took)
            }
        }
    }
}

/// Reads what seats are sent and drops it, on a thread of its own.
final class SeatReader: Sendable {
    private struct State {
        var seats: [SeatSocket] = []
        var bytes = 0
        var isOver = false
    }

    private let state = Mutex(State())
    private let finished = DispatchGroup()

    /// How many bytes have come so far.
    var bytes: Int { state.withLock { $0.bytes } }

    /// Before it is started.
    func add(_ seat: SeatSocket) { state.withLock { $0.seats.append(seat) } }

    func start() { DispatchQueue(label: "seats").async(group: finished) { self.read() } }

    /// Ends the links.
    func close() {
        state.withLock { $0.isOver = true }
        finished.wait()
        for seat in state.withLock({ $0.seats }) { seat.close() }
    }

    private func read() {
        var waiting = state.withLock { $0.seats }.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while !state.withLock({ $0.isOver }) {
            guard poll(&waiting, nfds_t(waiting.count), 100) > 0 else { continue }
            var count = 0
            for index in waiting.indices where waiting[index].revents != 0 {
                let got = recv(waiting[index].fd, &buffer, buffer.count, 0)
                // A link that has ended is not asked again.
                if got > 0 { count += got } else { waiting[index].fd = -1 }
            }
            state.withLock { $0.bytes += count }
        }
    }
}
