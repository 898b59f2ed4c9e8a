import CXenStore
import Dispatch
import Glibc
import Synchronization

/// A connection of dom0's to xenstore: a tree of small texts by which dom0 and guests tell each other things.
///
/// Calls take a round trip to xenstored, and block as long as it does not answer. Safe from any thread.
/// - SeeAlso: xenstore.h
public final class XenStore: Sendable {
    /// Who may do what with a node.
    public struct Permissions: Hashable, Sendable {
        /// Who owns the node, and may do everything with it; dom0 may so with every node.
        public let owner: DomainID
        /// Who else may read it, and what is made beneath it later; nobody else may.
        public let reader: DomainID
        public init(owner: DomainID, reader: DomainID) {
            self.owner = owner
            self.reader = reader
        }
    }

    private struct State {
        var watchers: [String: @Sendable () -> Void] = [:]
        var nextToken: UInt64 = 1
    }

    /// libxenstore has locks of its own.
    private nonisolated(unsafe) let handle: OpaquePointer
    private let state = Mutex(State())
    /// Touched when it is made and when all is over.
    private nonisolated(unsafe) let source: any DispatchSourceRead

    /// Connects to xenstored by its socket, or by the kernel. Where neither answers: the system's error.
    public init() throws(XenError) {
        guard let handle = xs_open(0) else { throw Self.failure("xs_open") }
        self.handle = handle
        source = DispatchSource.makeReadSource(fileDescriptor: xs_fileno(handle), queue: DispatchQueue(label: "punnet.xenstore"))
        source.setEventHandler { [weak self] in self?.deliver() }
        // Not before the source has let go of the descriptor.
        nonisolated(unsafe) let closing = handle
        source.setCancelHandler { xs_close(closing) }
        source.activate()
    }

    deinit { source.cancel() }

    /// A domain's own folder, which its guest names by relative paths.
    public static func folder(of domain: DomainID) -> String { "/local/domain/\(domain.rawValue)" }

    /// What stands at a node; nil where there is none.
    public func read(_ path: String) throws(XenError) -> String? {
        var length: UInt32 = 0
        guard let bytes = xs_read(handle, 0, path, &length) else {
            if errno == ENOENT { return nil }
            throw Self.failure("xs_read(\(path))")
        }
        defer { free(bytes) }
        return String(decoding: UnsafeRawBufferPointer(start: bytes, count: Int(length)), as: UTF8.self)
    }

    public func write(_ path: String, _ text: String) throws(XenError) {
        try Self.write(handle, 0, path, text)
    }

    /// Removes a node and all beneath it. Nothing there is no error.
    public func remove(_ path: String) throws(XenError) {
        guard xs_rm(handle, 0, path) || errno == ENOENT else { throw Self.failure("xs_rm(\(path))") }
    }

    /// Does all that the body does in one, or nothing of it. The body is run again where somebody else changed meanwhile what it used.
    public func transaction(_ body: (borrowing Transaction) throws(XenError) -> Void) throws(XenError) {
        while true {
            let number = xs_transaction_start(handle)
            guard number != 0 else { throw Self.failure("xs_transaction_start") }
            do throws(XenError) {
                try body(Transaction(handle: handle, number: number))
            } catch {
                _ = xs_transaction_end(handle, number, true)
                throw error
            }
            if xs_transaction_end(handle, number, false) { return }
            guard errno == EAGAIN else { throw Self.failure("xs_transaction_end") }
        }
    }

    /// What a transaction does.
    public struct Transaction: ~Copyable {
        fileprivate let handle: OpaquePointer
        fileprivate let number: xs_transaction_t

        public func write(_ path: String, _ text: String) throws(XenError) { try XenStore.write(handle, number, path, text) }

        public func remove(_ path: String) throws(XenError) {
            guard xs_rm(handle, number, path) || errno == ENOENT else { throw XenStore.failure("xs_rm(\(path))") }
        }

        /// Says who may do what with a node, for this one alone.
        public func allow(_ path: String, _ permissions: Permissions) throws(XenError) {
            var list = [
                xs_permissions(id: permissions.owner.rawValue, perms: UInt32(XS_PERM_NONE)),
                xs_permissions(id: permissions.reader.rawValue, perms: UInt32(XS_PERM_READ)),
            ]
            guard xs_set_permissions(handle, number, path, &list, UInt32(list.count)) else {
                throw XenStore.failure("xs_set_permissions(\(path))")
            }
        }
    }

    /// Calls back at once, and whenever a node or one beneath it is written or removed; gives what ends that.
    ///
    /// It is called on a queue of this connection's own, one call at a time, and may be called once more while it is being ended.
    public func watch(_ path: String, _ changed: @escaping @Sendable () -> Void) throws(XenError) -> Watch {
        let token = state.withLock { state in
            let token = "\(state.nextToken)"
            state.nextToken += 1
            // Before xenstored is asked, since it calls back at once.
            state.watchers[token] = changed
            return token
        }
        guard xs_watch(handle, path, token) else {
            let error = Self.failure("xs_watch(\(path))")
            state.withLock { _ = $0.watchers.removeValue(forKey: token) }
            throw error
        }
        return Watch(store: self, path: path, token: token)
    }

    /// A watch that goes on until it is ended or nobody holds it any more.
    public final class Watch: Sendable {
        private let store: XenStore
        private let path: String
        private let token: String

        fileprivate init(store: XenStore, path: String, token: String) {
            self.store = store
            self.path = path
            self.token = token
        }

        /// May be called again.
        public func end() {
            guard store.state.withLock({ $0.watchers.removeValue(forKey: token) }) != nil else { return }
            _ = xs_unwatch(store.handle, path, token)
        }

        deinit { end() }
    }

    private func deliver() {
        // One event answers one readiness of the descriptor, or several.
        while let event = xs_check_watch(handle) {
            let token = event[Int(XS_WATCH_TOKEN.rawValue)].map { String(cString: $0) } ?? ""
            free(event)
            let changed = state.withLock { $0.watchers[token] }
            changed?()
        }
    }

    private static func write(_ handle: OpaquePointer, _ transaction: xs_transaction_t, _ path: String, _ text: String) throws(XenError) {
        let bytes = Array(text.utf8)
        guard xs_write(handle, transaction, path, bytes, UInt32(bytes.count)) else { throw failure("xs_write(\(path))") }
    }

    private static func failure(_ call: String) -> XenError {
        let code = errno
        return XenError(call: call, code: code, name: String(cString: strerror(code)))
    }
}
