import Dispatch
import Glibc
import Synchronization

/// The desktops' end of the links: each sends at the same pace, in the bursts of a screen that changes 40 times a second; some echo instead.
///
/// A first byte tells which of the two a seat wants. Two threads of its own, and one for each echo; until it is stopped.
final class PacedDesktops: Sendable {
    private static let tick = 0.025

    private struct State {
        var pictures: [Int32] = []
        var isStopped = false
    }

    private let listener: Int32
    private let burst: Int
    private let state = Mutex(State())

    init(port: UInt16, bytesPerSecond: Double) throws {
        listener = try Socket.listener(port: port)
        burst = Int(bytesPerSecond * Self.tick)
        DispatchQueue(label: "desktops").async { self.accept() }
        DispatchQueue(label: "pictures").async { self.paint() }
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func accept() {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else { return }
            Socket.prepare(descriptor)
            // Through punnet-relay the seat's first packet comes before all else, and it waits for an answer to that.
            guard var first = Socket.read(descriptor, 1) else { close(descriptor); continue }
            if first[0] == 3 {
                guard let header = Socket.read(descriptor, 3), Socket.read(descriptor, Int(header[2]) - 4) != nil, Socket.write(descriptor, [0]),
                    let wanted = Socket.read(descriptor, 1)
                else { close(descriptor); continue }
                first = wanted
            }
            if first[0] == SeatSocket.Kind.picture.rawValue {
                state.withLock { $0.pictures.append(descriptor) }
            } else {
                DispatchQueue(label: "echo").async {
                    while let word = Socket.read(descriptor, SeatSocket.word.count), Socket.write(descriptor, word) {}
                    close(descriptor)
                }
            }
        }
    }

    /// Sends a burst to each seat, one after the other over the whole tick.
    private func paint() {
        let picture = (0..<burst).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        while true {
            let (pictures, isStopped) = state.withLock { ($0.pictures, $0.isStopped) }
            guard !isStopped else { return }
            guard !pictures.isEmpty else { usleep(1000); continue }
            let began = ContinuousClock.now
            for (index, descriptor) in pictures.enumerated() {
                let due = began + .seconds(Self.tick * Double(index) / Double(pictures.count))
                Socket.sleep(until: due)
                guard !Socket.write(descriptor, picture) else { continue }
                // Its number may be another's as soon as it is closed.
                state.withLock { $0.pictures.removeAll { $0 == descriptor } }
                close(descriptor)
            }
            Socket.sleep(until: began + .seconds(Self.tick))
        }
    }
}

/// A blocking TCP socket's few deeds.
enum Socket {
    /// The address of a port of this machine's own.
    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    static func listener(port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = loopback(port)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard descriptor >= 0, bound == 0, listen(descriptor, 512) == 0 else { throw BenchError("port \(port) cannot be opened: \(errno)") }
        return descriptor
    }

    static func prepare(_ descriptor: Int32) {
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Exactly so many bytes; nil where the other side ends before.
    static func read(_ descriptor: Int32, _ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let more = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + got, count - got, 0) }
            guard more > 0 else { return nil }
            got += more
        }
        return bytes
    }

    /// All of them; false where the other side ends before.
    static func write(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let more = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard more > 0 else { return false }
            sent += more
        }
        return true
    }

    static func sleep(until due: ContinuousClock.Instant) {
        let left = ContinuousClock.now.duration(to: due) / .microseconds(1)
        if left > 0 { usleep(UInt32(left)) }
    }
}
