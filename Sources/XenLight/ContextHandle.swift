import CXenLight
import Glibc

/// The bare context of libxl, freed with this object, on whatever thread lets go of it.
///
/// Every context of the process reaps libxl's own children only, gives them default signals and no open files, and none lets libxl end
/// the process.
final class ContextHandle: Sendable {
    nonisolated(unsafe) let pointer: OpaquePointer
    private nonisolated(unsafe) let hooks: UnsafeMutablePointer<libxl_childproc_hooks>
    private nonisolated(unsafe) let eventHooks: UnsafeMutablePointer<libxl_event_hooks>
    private let log: LogCapture

    init(log: LogCapture) throws(XenError) {
        var context: OpaquePointer?
        try XenError.check(libxl_ctx_alloc(&context, LIBXL_VERSION, 0, log.logger), "libxl_ctx_alloc", log)
        guard let context else { throw XenError(call: "libxl_ctx_alloc", code: ERROR_FAIL.rawValue, log: log.lines) }
        pointer = context
        self.log = log
        // libxl keeps the addresses of the hooks, not copies.
        hooks = .allocate(capacity: 1)
        hooks.initialize(
            to: libxl_childproc_hooks(
                chldowner: libxl_sigchld_owner_libxl_always_selective_reap, fork_replacement: punnet_fork_clean,
                reaped_callback: nil))
        libxl_childproc_setmode(context, hooks, nil)
        eventHooks = .allocate(capacity: 1)
        // Without a disaster hook libxl ends the process. libxl has logged the cause at this point, and later calls fail with it.
        eventHooks.initialize(to: libxl_event_hooks(event_occurs_mask: 0, event_occurs: nil, disaster: { _, _, _, _ in }))
        libxl_event_register_callbacks(context, eventHooks, nil)
    }

    deinit {
        libxl_ctx_free(pointer)
        hooks.deallocate()
        eventHooks.deallocate()
    }
}
