import Glibc

/// One TCP connection of a probe, closed with the value. Every wait ends at the deadline or when the bell is rung. One thread.
struct ProbeSocket: ~Copyable {
    let descriptor: Int32
    private let bell: CancellationBell
    private let limit: Duration
    private let end: ContinuousClock.Instant

    /// Takes a connected socket that does not block; the deadline counts from here.
    init(connected descriptor: Int32, deadline: Duration, bell: CancellationBell) {
        self.descriptor = descriptor
        self.bell = bell
        limit = deadline
        end = .now + deadline
    }

    deinit { close(descriptor) }

    /// Connects to an address; the deadline counts from here for all that follows.
    static func connected(host: String, port: UInt16, deadline: Duration, bell: CancellationBell) throws(ProbeError) -> ProbeSocket {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let found else { throw .invalidAddress(host) }
        defer { freeaddrinfo(found) }
        let flags = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(found.pointee.ai_family, Int32(flags), 0)
        guard descriptor >= 0 else { throw .system("socket") }
        let link = ProbeSocket(connected: descriptor, deadline: deadline, bell: bell)
        var code: Int32 = 0
        if connect(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) != 0 {
            code = errno
            if code == EINPROGRESS {
                try link.wait(for: Int16(POLLOUT), in: .connecting)
                var length = socklen_t(MemoryLayout<Int32>.size)
                guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { throw .system("getsockopt") }
            }
        }
        switch code {
        case 0: return link
        case ECONNREFUSED: throw .refused(host: host, port: port)
        case ETIMEDOUT: throw .timedOut(.connecting, after: deadline)
        case ECONNRESET: throw .closed(.connecting)
        default: throw .unreachable(host: host, reason: String(cString: strerror(code)))
        }
    }

    /// Sends all of the bytes.
    func send(_ bytes: [UInt8], in step: ProbeError.Step) throws(ProbeError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            try wait(for: Int16(POLLOUT), in: step)
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count < 0 {
                guard errno == EAGAIN || errno == EINTR else { throw .closed(step) }
                continue
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Receives exactly so many bytes.
    func receive(_ count: Int, in step: ProbeError.Step) throws(ProbeError) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: count)
        while bytes.count < count {
            try wait(for: Int16(POLLIN), in: step)
            let got = recv(descriptor, &piece, count - bytes.count, 0)
            if got < 0, errno == EAGAIN || errno == EINTR { continue }
            guard got > 0 else { throw .closed(step) }
            bytes += piece.prefix(got)
        }
        return bytes
    }

    /// Waits until the socket is ready for this; the step is what the error names.
    func wait(for events: Int16, in step: ProbeError.Step) throws(ProbeError) {
        while true {
            var watched = [
                pollfd(fd: descriptor, events: events, revents: 0), pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero else { throw .timedOut(step, after: limit) }
            guard poll(&watched, 2, Self.milliseconds(left)) >= 0 else {
                guard errno == EINTR else { throw .system("poll") }
                continue
            }
            guard watched[1].revents == 0 else { throw .cancelled }
            if watched[0].revents != 0 { return }
        }
    }

    /// Says that nothing more comes, and reads what is on its way for at most half a second, so that the close is no reset.
    func finish() {
        shutdown(descriptor, Int32(SHUT_WR))
        let end = min(end, .now + .milliseconds(500))
        var piece = [UInt8](repeating: 0, count: 4_096)
        while true {
            var watched = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0), pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            let left = ContinuousClock.now.duration(to: end)
            guard left > .zero, poll(&watched, 2, Self.milliseconds(left)) > 0, watched[1].revents == 0 else { return }
            guard recv(descriptor, &piece, piece.count, 0) > 0 else { return }
        }
    }

    /// Rounded up, so that a wait never ends before its time only to be begun again.
    private static func milliseconds(_ duration: Duration) -> Int32 {
        let (seconds, attoseconds) = duration.components
        guard seconds < 1_000_000 else { return 1_000_000_000 }
        return Int32(seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

extension ProbeError {
    /// The call that just failed, with its errno.
    static func system(_ call: String) -> ProbeError {
        let code = errno
        return .system(call: call, errno: code, reason: String(cString: strerror(code)))
    }
}
