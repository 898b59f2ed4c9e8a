import CXenLight
import Dispatch
import Glibc
import Synchronization

/// What happened to a watched domain.
public struct XenEvent: Hashable, Sendable {
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
/// Watching ends with a domain's death. Safe from any thread; the handler is called on the thread of the events. It lives until `close`.
public final class XenEvents: Sendable {
    private struct Watch {
        let domain: DomainID
        let uuid: [UInt8]
        nonisolated(unsafe) var generator: OpaquePointer?
    }

    private struct State {
        var watches: [UInt64: Watch] = [:]
        var next: UInt64 = 1
        var closed = false
    }

    /// The mark of the event that ends the thread.
    private static let stop: UInt64 = 0
    /// Xen's DOMID_INVALID: no domain ever has this number, so its death is told at once.
    private static let nobody: UInt32 = 0x7ff4

    private let handle: ContextHandle
    private let log: LogCapture
    private let state = Mutex(State())
    private let finished = DispatchGroup()

    /// Starts the thread. `ended` is called once, last of all: with the error if libxl could tell no more, with nil after `close`.
    public init(
        handler: @escaping @Sendable (XenEvent) -> Void, ended: @escaping @Sendable (XenError?) -> Void
    ) throws(XenError) {
        log = LogCapture()
        handle = try ContextHandle(log: log)
        // A serial queue has a thread of its own as long as this block runs.
        DispatchQueue(label: "punnet.xen.events").async(group: finished) { [self] in
            ended(wait(handler))
        }
    }

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
        let orphan = state.withLock { state in
            guard code == 0, state.watches[mark] != nil else {
                // It failed, or the domain died meanwhile and nobody waits for it any more.
                state.watches[mark] = nil
                return true
            }
            state.watches[mark]?.generator = enabled
            return false
        }
        if orphan, let generator { libxl_evdisable_domain_death(handle.pointer, generator) }
        try XenError.check(code, "libxl_evenable_domain_death", log)
    }

    /// Ends the thread and waits for it. Not from within the handler. May be called again.
    public func close() {
        let first = state.withLock { state in
            defer { state.closed = true }
            return !state.closed
        }
        if first {
            var generator: OpaquePointer?
            // The one way to wake libxl_event_wait: an event of our own. The generator is freed with the context.
            libxl_evenable_domain_death(handle.pointer, Self.nobody, Self.stop, &generator)
        }
        finished.wait()
    }

    private func wait(_ handler: (XenEvent) -> Void) -> XenError? {
        while true {
            var event: UnsafeMutablePointer<libxl_event>?
            let code = libxl_event_wait(handle.pointer, &event, ~UInt64(0), nil, nil)
            guard code == 0, let event else {
                return XenError(call: "libxl_event_wait", code: code, log: log.lines)
            }
            defer { libxl_event_free(handle.pointer, event) }
            if event.pointee.for_user == Self.stop { return nil }
            deliver(event.pointee, to: handler)
        }
    }

    private func deliver(_ event: libxl_event, to handler: (XenEvent) -> Void) {
        let mark = event.for_user
        switch event.type {
        case LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN:
            guard let watch = state.withLock({ $0.watches[mark] }) else { return }
            let reason = ShutdownReason(libxl_shutdown_reason(rawValue: Int32(event.u.domain_shutdown.shutdown_reason)))
            handler(XenEvent(domain: watch.domain, uuid: watch.uuid, kind: .shutdown(reason)))
        case LIBXL_EVENT_TYPE_DOMAIN_DEATH:
            guard let watch = state.withLock({ $0.watches.removeValue(forKey: mark) }) else { return }
            if let generator = watch.generator { libxl_evdisable_domain_death(handle.pointer, generator) }
            handler(XenEvent(domain: watch.domain, uuid: watch.uuid, kind: .death))
        default: return
        }
    }
}
