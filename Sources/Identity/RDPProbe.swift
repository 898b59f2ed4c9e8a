import COpenSSL
import Glibc

/// Asks a desktop's RDP server whether it really answers, and which certificate it shows.
public enum RDPProbe {
    /// Connects, agrees on TLS as an RDP client does, completes the handshake, says goodbye, and returns the SHA-256 of the server's
    /// certificate (DER), 32 bytes.
    ///
    /// The certificate is not verified: it is what is being learnt. The probe runs on a thread of its own, ends at the deadline or when
    /// the task is cancelled, and leaves nothing behind.
    public static func fingerprint(host: String, port: UInt16, deadline: Duration) async throws(ProbeError) -> [UInt8] {
        let bell = try CancellationBell()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<[UInt8], ProbeError>, Never>) in
                let work = ProbeThread {
                    continuation.resume(returning: Self.run(host: host, port: port, deadline: deadline, bell: bell))
                }
                if let error = work.start() { continuation.resume(returning: .failure(error)) }
            }
        } onCancel: {
            bell.ring()
        }
        return try result.get()
    }

    private static func run(host: String, port: UInt16, deadline: Duration, bell: CancellationBell) -> Result<[UInt8], ProbeError> {
        do throws(ProbeError) {
            let link = try ProbeSocket.connected(host: host, port: port, deadline: deadline, bell: bell)
            return .success(try converse(over: link))
        } catch {
            return .failure(error)
        }
    }

    /// Says all that is to be said over a new connection.
    static func converse(over link: borrowing ProbeSocket) throws(ProbeError) -> [UInt8] {
        try link.send(ConnectionConfirm.request, in: .negotiating)
        let header = try link.receive(ConnectionConfirm.headerLength, in: .negotiating)
        let rest = try ConnectionConfirm.length(header: header) - header.count
        try ConnectionConfirm.check(header + link.receive(rest, in: .negotiating))
        return try handshake(over: link)
    }

    private static func handshake(over link: borrowing ProbeSocket) throws(ProbeError) -> [UInt8] {
        LibraryErrors.clear()
        defer { LibraryErrors.clear() }
        guard let settings = SSL_CTX_new(TLS_client_method()) else { throw .handshakeFailed(LibraryErrors.take()) }
        defer { SSL_CTX_free(settings) }
        guard let tls = SSL_new(settings), SSL_set_fd(tls, link.descriptor) == 1 else { throw .handshakeFailed(LibraryErrors.take()) }
        defer { SSL_free(tls) }
        while true {
            LibraryErrors.clear()
            errno = 0
            let done = SSL_connect(tls)
            if done == 1 { break }
            switch SSL_get_error(tls, done) {
            case SSL_ERROR_WANT_READ: try link.wait(for: Int16(POLLIN), in: .handshaking)
            case SSL_ERROR_WANT_WRITE: try link.wait(for: Int16(POLLOUT), in: .handshaking)
            case SSL_ERROR_SYSCALL where errno == 0 || errno == ECONNRESET || errno == EPIPE: throw .closed(.handshaking)
            case SSL_ERROR_ZERO_RETURN: throw .closed(.handshaking)
            case SSL_ERROR_SSL where ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING: throw .closed(.handshaking)
            default: throw .handshakeFailed(LibraryErrors.take())
            }
        }
        guard let shown = SSL_get1_peer_certificate(tls) else { throw .handshakeFailed("the server showed no certificate") }
        let fingerprint: [UInt8]
        do throws(IdentityError) {
            fingerprint = try X509Certificate(taking: shown).fingerprint()
        } catch {
            throw .handshakeFailed(error.description)
        }
        LibraryErrors.clear()
        SSL_shutdown(tls)
        link.finish()
        return fingerprint
    }
}

/// What a cancelled task rings, so that a probe that waits in `poll` wakes. Closed when nobody holds it any more.
final class CancellationBell: Sendable {
    /// Readable once it was rung.
    let descriptor: Int32
    private let button: Int32

    init() throws(ProbeError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw .system("pipe") }
        descriptor = ends[0]
        button = ends[1]
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(descriptor)
        close(button)
    }

    func ring() {
        var one: UInt8 = 1
        _ = write(button, &one, 1)
    }
}

/// One detached thread that runs one piece of work. All signals are blocked on it, so that a broken connection is an error and no signal.
struct ProbeThread {
    private final class Work {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    private let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts it; an error where the system gives no thread, and then the work is not run.
    func start() -> ProbeError? {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 256 << 10)
        var all = sigset_t()
        sigfillset(&all)
        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        var before = sigset_t()
        // A new thread inherits the mask, so no signal can reach it before its first instruction.
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                // The argument is what `start` passed, which is never nil.
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            work.release()
            return .system(call: "pthread_create", errno: code, reason: String(cString: strerror(code)))
        }
        return nil
    }
}
