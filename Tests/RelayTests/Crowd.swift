import Foundation
import Glibc
import Synchronization

/// A TCP connection of nobody in particular, without an event loop: there may be thousands.
struct BareConnection {
    let descriptor: Int32

    /// Begins to connect from the address, a number, to a port of 127.0.0.1; nil where the system gives no socket or no port.
    init?(from address: UInt32, to port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        guard Self.with(address, 0, { bind(descriptor, $0, $1) }) == 0,
            Self.with(0x7f00_0001, port, { connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS
        else {
            close(descriptor)
            return nil
        }
    }

    /// Whether the other side has ended it.
    var isOver: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK))
        return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR && errno != ENOTCONN)
    }

    /// Sends what fits.
    func say(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    func end() { close(descriptor) }

    /// Ends it with a reset.
    func reset() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close(descriptor)
    }

    private static func with(_ host: UInt32, _ port: Int, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = host.bigEndian
        address.sin_port = UInt16(port).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
    }
}

/// Strangers on a thread of their own, until they are told to go home. `count` says how many connections they began.
class Strangers: @unchecked Sendable {
    private let state = Mutex((isOver: false, hasGone: false, count: 0))

    /// One round of what they do.
    func act() {}
    /// Ends all that is open.
    func goHome() {}

    var count: Int { state.withLock { $0.count } }
    func count(_ number: Int = 1) { state.withLock { $0.count += number } }

    /// Runs the body while they are there.
    func during<Result>(_ body: () async throws -> Result) async throws -> Result {
        Thread.detachNewThread {
            while !self.state.withLock({ $0.isOver }) { self.act() }
            self.goHome()
            self.state.withLock { $0.hasGone = true }
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        state.withLock { $0.isOver = true }
        try await condition("the strangers to go") {
            state.withLock { $0.hasGone }
        } until: {
            $0
        }
        return try result.get()
    }
}

/// Connections from many addresses, each begun anew elsewhere when it is ended; they say what they are given, once, and then nothing.
final class Crowd: Strangers, @unchecked Sendable {
    private let port: Int
    private let size: Int
    private let perAddress: Int
    private let words: [UInt8]
    private let network: UInt32
    private var connections: [BareConnection] = []
    private var begun = 0

    /// The addresses are 127.NETWORK.0.1 and those that follow.
    init(at port: Int, size: Int, perAddress: Int, network: UInt8, saying words: [UInt8] = []) {
        self.port = port
        self.size = size
        self.perAddress = perAddress
        self.words = words
        self.network = 0x7f00_0000 | UInt32(network) << 16
    }

    override func act() {
        let gone = connections.filter(\.isOver)
        if !gone.isEmpty {
            for connection in gone { connection.end() }
            let ended = Set(gone.map(\.descriptor))
            connections.removeAll { ended.contains($0.descriptor) }
        }
        // In small parts, so that those that are ended meanwhile are seen.
        for _ in 0..<min(size - connections.count, 256) {
            guard let connection = BareConnection(from: network + 1 + UInt32(begun / perAddress), to: port) else { break }
            begun += 1
            count()
            if !words.isEmpty { connection.say(words) }
            connections.append(connection)
        }
        usleep(2_000)
    }

    override func goHome() {
        for connection in connections { connection.reset() }
        connections = []
    }
}

/// So many connections a second from one address: some say nothing and stay for a while, some send garbage, some reset at once.
final class Flood: Strangers, @unchecked Sendable {
    private let port: Int
    private let rate: Int
    private let address: UInt32
    private let begin = ContinuousClock.now
    private var begun = 0
    private var open: [BareConnection] = []

    init(at port: Int, from address: UInt32, rate: Int) {
        self.port = port
        self.rate = rate
        self.address = address
    }

    override func act() {
        let due = Int(begin.duration(to: .now) / .milliseconds(1)) * rate / 1_000
        while begun < due {
            begun += 1
            guard let connection = BareConnection(from: address, to: port) else { continue }
            count()
            switch begun % 3 {
            case 0: connection.reset()
            case 1:
                connection.say("GET / HTTP/1.0\r\n\r\n".utf8)
                open.append(connection)
            default: open.append(connection)
            }
        }
        if open.count > 512 {
            for connection in open.prefix(256) { connection.end() }
            open.removeFirst(256)
        }
        usleep(1_000)
    }

    override func goHome() {
        for connection in open { connection.reset() }
        open = []
    }
}

/// Connections that send one byte of their words each second.
final class SlowSenders: Strangers, @unchecked Sendable {
    private let words: [UInt8]
    private let connections: [BareConnection]
    private var said = 0
    private var next = ContinuousClock.now

    init(at port: Int, count: Int, perAddress: Int, network: UInt8, words: [UInt8]) {
        self.words = words
        connections = (0..<count).compactMap {
            BareConnection(from: 0x7f00_0001 | UInt32(network) << 16 + UInt32($0 / perAddress), to: port)
        }
    }

    /// How many the other side has not ended.
    var left: Int { connections.count { !$0.isOver } }

    override func act() {
        if next <= .now, said < words.count {
            for connection in connections where !connection.isOver { connection.say([words[said]]) }
            said += 1
            next += .seconds(1)
        }
        usleep(10_000)
    }

    override func goHome() {
        for connection in connections { connection.end() }
    }
}

/// Raises this process' own limit of open files as far as it may.
func raiseOpenFiles() {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
