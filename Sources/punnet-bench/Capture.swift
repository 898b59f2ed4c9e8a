import Dispatch
import Glibc
import Hypervisor
import Synchronization

/// One frame, as far as the trial asks.
struct Frame: Sendable {
    let source: [UInt8]
    let kind: Int
    /// The IPv4 source, or ARP's sender.
    let sender: IPv4Address?
    /// It was sent by dom0.
    let isOwn: Bool

    func hasSender(_ allowed: [IPv4Address]) -> Bool { sender.map { allowed.contains($0) } ?? false }
}

/// Sees every frame that dom0 gets and sends on an interface, until it is stopped. A thread of its own.
final class Capture: Sendable {
    private struct State {
        var frames: [Frame] = []
        var stopped = false
    }

    private let state = Mutex(State())
    private let finished = DispatchGroup()

    init(interface: String) throws {
        let everything = UInt16(0x0003).bigEndian
        let descriptor = socket(AF_PACKET, Int32(SOCK_RAW.rawValue), Int32(everything))
        guard descriptor >= 0 else { throw BenchError("no packet socket: \(errno)") }
        // A sockaddr_ll: family, protocol, interface.
        var address = sockaddr_storage()
        withUnsafeMutableBytes(of: &address) { bytes in
            bytes.storeBytes(of: UInt16(AF_PACKET), toByteOffset: 0, as: UInt16.self)
            bytes.storeBytes(of: everything, toByteOffset: 2, as: UInt16.self)
            bytes.storeBytes(of: Int32(if_nametoindex(interface)), toByteOffset: 4, as: Int32.self)
        }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, 20) }
        }
        guard bound == 0 else { throw BenchError("cannot listen on '\(interface)': \(errno)") }
        var limit = timeval(tv_sec: 0, tv_usec: 200_000)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        DispatchQueue(label: "capture").async(group: finished) { [self] in
            while !state.withLock({ $0.stopped }) {
                if let frame = Self.next(descriptor) { state.withLock { $0.frames.append(frame) } }
            }
            close(descriptor)
        }
    }

    /// Ends it, and tells what was seen.
    func stop() -> [Frame] {
        state.withLock { $0.stopped = true }
        finished.wait()
        return state.withLock { $0.frames }
    }

    /// A TCP port that is open on all addresses of dom0; nobody serves it.
    static func listener(port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard descriptor >= 0, bound == 0, listen(descriptor, 64) == 0 else { throw BenchError("port \(port) cannot be opened: \(errno)") }
        return descriptor
    }

    private static func next(_ descriptor: Int32) -> Frame? {
        var bytes = [UInt8](repeating: 0, count: 2048)
        var from = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let got = withUnsafeMutablePointer(to: &from) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length) }
        }
        guard got >= 14 else { return nil }
        // The packet type of a sockaddr_ll; 4: sent by this host.
        let isOwn = withUnsafeBytes(of: &from) { $0[10] == 4 }
        let kind = Int(bytes[12]) << 8 | Int(bytes[13])
        let offset = kind == 0x0800 ? 26 : kind == 0x0806 ? 28 : nil
        let sender = offset.flatMap { offset in
            got < offset + 4 ? nil : IPv4Address(rawValue: bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) })
        }
        return Frame(source: Array(bytes[6..<12]), kind: kind, sender: sender, isOwn: isOwn)
    }
}
