import CXenLight
import Dispatch
import Glibc
import Synchronization

/// What happened to a watched domain.
public struct XenEvent: Hashable, Sendable {
    /// The two ways in which a domain's life ends.
    public enum Kind: Hashable, Sendable {
        /// It stopped by itself; it stays until it is destroyed.
        case shutdown(ShutdownReason)
        /// It is destroyed, by whomever.
        case death
    }

    public let domain: DomainID
    /// The UUID that the domain had when it was watched, 16 bytes.
    public let uuid: [UInt8]
    public let kind: Kind
}

/// Tells when watched domains shut down or go. A context and a thread of its own, which sleeps until something happens.
///
/// Each is told once; watching ends with a domain's death. Safe from any thread; the handler is called on the thread of the events, or on
/// the one that begins to watch. It lives until `close`.
/// - SeeAlso: libxl_event.h, `libxl_osevent_beforepoll`
public final class XenEvents: Sendable {
    private struct Watch {
        let domain: DomainID
        let uuid: [UInt8]
        nonisolated(unsafe) var generator: OpaquePointer?
        var shutdownIsTold = false
    }

    private struct State {
        var watches: [UInt64: Watch] = [:]
        var next: UInt64 = 1
        var closed = false
    }

    private let handle: ContextHandle
    private let log: LogCapture
    /// Readable when the thread is to look again: libxl does not wake a sleeping poll for what another thread begins to watch.
    private let bell: Int32
    private let handler: @Sendable (XenEvent) -> Void
    private let state = Mutex(State())
    private let finished = DispatchGroup()

    /// Starts the thread. `ended` is called once, last of all: with the error if libxl could tell no more, with nil after `close`.
    public init(
        handler: @escaping @Sendable (XenEvent) -> Void, ended: @escaping @Sendable (XenError?) -> Void
    ) throws(XenError) {
        log = LogCapture()
        handle = try ContextHandle(log: log)
        bell = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard bell >= 0 else { throw XenError(call: "eventfd", code: errno, name: String(cString: strerror(errno))) }
        self.handler = handler
        // A serial queue has a thread of its own as long as this block runs.
        DispatchQueue(label: "punnet.xen.events").async(group: finished) { [self] in
            do throws(XenError) {
                try serve()
                ended(nil)
            } catch {
                ended(error)
            }
        }
    }

    deinit { Glibc.close(bell) }

    /// Begins to tell of this domain: its shutdown and its death, also if they have already happened.
    public func watch(_ domain: DomainID, uuid: [UInt8]) throws(XenError) {
        let mark = state.withLock { state in
            let mark = state.next
            state.next += 1
            // Before it is enabled, since the first event may come at once.
            state.watches[mark] = Watch(domain: domain, uuid: uuid, generator: nil)
            return mark
        }
        var generator: OpaquePointer?
        let code = libxl_evenable_domain_death(handle.pointer, domain.rawValue, mark, &generator)
        nonisolated(unsafe) let enabled = generator
        let isOrphan = state.withLock { state in
            guard code == 0, state.watches[mark] != nil else {
                // It failed, or the domain died meanwhile and nobody waits for it any more.
                state.watches[mark] = nil
                return true
            }
            state.watches[mark]?.generator = enabled
            return false
        }
        if isOrphan, let generator { libxl_evdisable_domain_death(handle.pointer, generator) }
        try XenError.check(code, "libxl_evenable_domain_death", log)
        ring()
        tellWhatIsSo(mark, domain, uuid)
    }

    /// Ends the thread and waits for it. Not from within the handler. May be called again.
    public func close() {
        state.withLock { $0.closed = true }
        ring()
        finished.wait()
    }

    private func ring() { eventfd_write(bell, 1) }

    // MARK: - The thread

    private func serve() throws(XenError) {
        var descriptors: [pollfd] = []
        while !state.withLock({ $0.closed }) {
            let (count, timeout) = try prepare(&descriptors)
            descriptors[count] = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
            guard poll(&descriptors, nfds_t(count + 1), timeout) >= 0 || errno == EINTR else {
                throw XenError(call: "poll", code: errno, name: String(cString: strerror(errno)))
            }
            if descriptors[count].revents != 0 {
                var rings: eventfd_t = 0
                eventfd_read(bell, &rings)
            }
            libxl_osevent_afterpoll(handle.pointer, Int32(count), descriptors, Self.now)
            try deliverAll()
        }
    }

    /// Asks libxl what it wants to poll, and leaves room for the bell behind it.
    private func prepare(_ descriptors: inout [pollfd]) throws(XenError) -> (count: Int, timeout: Int32) {
        var wanted = Int32(max(0, descriptors.count - 1))
        while true {
            var timeout: Int32 = -1
            let code = libxl_osevent_beforepoll(handle.pointer, &wanted, &descriptors, &timeout, Self.now)
            if code == 0, Int(wanted) < descriptors.count { return (Int(wanted), timeout) }
            guard code == 0 || code == ERROR_BUFFERFULL.rawValue else {
                throw XenError(call: "libxl_osevent_beforepoll", code: code, log: log.lines)
            }
            descriptors = [pollfd](repeating: pollfd(), count: Int(wanted) + 8)
            wanted = Int32(descriptors.count - 1)
        }
    }

    private static var now: timeval {
        var time = timeval()
        gettimeofday(&time, nil)
        return time
    }

    private func deliverAll() throws(XenError) {
        while true {
            var event: UnsafeMutablePointer<libxl_event>?
            let code = libxl_event_check(handle.pointer, &event, ~UInt64(0), nil, nil)
            if code == ERROR_NOT_READY.rawValue { return }
            guard code == 0, let event else { throw XenError(call: "libxl_event_check", code: code, log: log.lines) }
            defer { libxl_event_free(handle.pointer, event) }
            switch event.pointee.type {
            case LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN:
                let reason = libxl_shutdown_reason(rawValue: Int32(event.pointee.u.domain_shutdown.shutdown_reason))
                tell(event.pointee.for_user, .shutdown(ShutdownReason(reason)))
            case LIBXL_EVENT_TYPE_DOMAIN_DEATH: tell(event.pointee.for_user, .death)
            default: break
            }
        }
    }

    // MARK: - Telling

    /// Tells what happened before the domain was watched: libxl looks only when a domain changes next.
    private func tellWhatIsSo(_ mark: UInt64, _ domain: DomainID, _ uuid: [UInt8]) {
        var info = libxl_dominfo()
        libxl_dominfo_init(&info)
        defer { libxl_dominfo_dispose(&info) }
        let code = libxl_domain_info(handle.pointer, &info, domain.rawValue)
        let found = XenDomain(info)
        if code != 0 || found.isDying || found.uuid != uuid {
            tell(mark, .death)
        } else if let reason = found.shutdown {
            tell(mark, .shutdown(reason))
        }
    }

    private func tell(_ mark: UInt64, _ kind: XenEvent.Kind) {
        let watch: Watch? = state.withLock { state in
            if kind == .death { return state.watches.removeValue(forKey: mark) }
            guard let watch = state.watches[mark], !watch.shutdownIsTold else { return nil }
            state.watches[mark]?.shutdownIsTold = true
            return watch
        }
        guard let watch else { return }
        if kind == .death, let generator = watch.generator { libxl_evdisable_domain_death(handle.pointer, generator) }
        handler(XenEvent(domain: watch.domain, uuid: watch.uuid, kind: kind))
    }
}
