import CXenLight
import Glibc
import Synchronization

/// One libxl context: a lock, a connection to the hypervisor and to xenstore.
///
/// Calls block while a domain is built, for seconds, and one context does one call at a time: give slow operations a context of their own,
/// and call from a thread that may block. Safe from any thread. Domains outlive it: closing the context, or the process dying, leaves them
/// running. It takes SIGCHLD over for the process: nothing else may install a handler for it. It reaps only libxl's own children.
/// - SeeAlso: libxl.h, `libxl_ctx_alloc`
public final class XenContext: Sendable {
    private let context: Mutex<ContextHandle?>
    private let log: LogCapture

    /// Connects to the hypervisor. Fails where this is no dom0, or the user is not root.
    public init() throws(XenError) {
        let log = LogCapture()
        let handle = try ContextHandle(log: log)
        context = Mutex(handle)
        self.log = log
    }

    /// Waits for a running call, then closes. Calls after it fail. May be called again.
    public func close() { context.withLock { $0 = nil } }

    /// Builds a domain and leaves it paused. Seconds. On failure libxl takes down what it had built.
    public func create(_ plan: XenDomainPlan) throws(XenError) -> DomainID {
        try call { (context) throws(XenError) in
            let configuration = try DomainConfiguration(plan, context: context, log: log)
            var id = UInt32(bitPattern: INVALID_DOMID)
            try check(libxl_domain_create_new(context, configuration.pointer, &id, nil, nil), "libxl_domain_create_new")
            return DomainID(rawValue: id)
        }
    }

    /// Builds a domain from a memory save and leaves it paused. Seconds. The file is read from its current offset and stays open.
    ///
    /// Name, UUID, disk and card are the plan's; memory size and processors must be those of the save.
    public func restore(_ plan: XenDomainPlan, from file: Int32) throws(XenError) -> DomainID {
        try call { (context) throws(XenError) in
            let configuration = try DomainConfiguration(plan, context: context, log: log)
            let parameters = UnsafeMutablePointer<libxl_domain_restore_params>.allocate(capacity: 1)
            libxl_domain_restore_params_init(parameters)
            defer {
                libxl_domain_restore_params_dispose(parameters)
                parameters.deallocate()
            }
            // The stream that libxl_domain_suspend writes; the default is an older one.
            parameters.pointee.stream_version = 2
            var id = UInt32(bitPattern: INVALID_DOMID)
            try check(
                libxl_domain_create_restore(context, configuration.pointer, &id, file, -1, parameters, nil, nil),
                "libxl_domain_create_restore")
            return DomainID(rawValue: id)
        }
    }

    /// Writes the memory of a running domain to an open file; the domain is left suspended. Seconds.
    ///
    /// The guest must run: it has 60 s to acknowledge. The file is not synced.
    public func save(_ domain: DomainID, to file: Int32) throws(XenError) {
        try call { (context) throws(XenError) in
            try check(libxl_domain_suspend(context, domain.rawValue, file, 0, nil), "libxl_domain_suspend")
        }
    }

    /// Stops the domain's virtual processors, unless they are stopped: the hypervisor counts pauses, and one unpause must be enough.
    ///
    /// Only one context may pause and unpause a domain, else two may ask at the same time.
    public func pause(_ domain: DomainID) throws(XenError) {
        try call { (context) throws(XenError) in
            if try info(of: domain, context).isPaused { return }
            try check(libxl_domain_pause(context, domain.rawValue, nil), "libxl_domain_pause")
        }
    }

    /// Lets the domain run, unless it runs.
    public func unpause(_ domain: DomainID) throws(XenError) {
        try call { (context) throws(XenError) in
            guard try info(of: domain, context).isPaused else { return }
            try check(libxl_domain_unpause(context, domain.rawValue, nil), "libxl_domain_unpause")
        }
    }

    /// Says how large the domain's share of the processors is against other domains', where several want them; what Xen gives by itself is 256.
    public func setWeight(of domain: DomainID, to weight: Int) throws(XenError) {
        try call { (context) throws(XenError) in
            var parameters = libxl_domain_sched_params()
            libxl_domain_sched_params_init(&parameters)
            defer { libxl_domain_sched_params_dispose(&parameters) }
            parameters.weight = Int32(clamping: weight)
            try check(libxl_domain_sched_params_set(context, domain.rawValue, &parameters), "libxl_domain_sched_params_set")
        }
    }

    /// Says how much memory the domain is to hold, at most what it was built to grow to: its guest gives some back or takes some, as soon as it
    /// runs, until it is so. Not waited for.
    public func setMemory(of domain: DomainID, toKiB memory: UInt64) throws(XenError) {
        try call { (context) throws(XenError) in
            try check(libxl_set_memory_target(context, domain.rawValue, Int64(clamping: memory), 0, 1), "libxl_set_memory_target")
        }
    }

    /// Says how many of its virtual processors the domain's guest is to use, at most those it was built with: it starts or stops some as soon as
    /// it runs. Not waited for.
    public func setVirtualProcessors(of domain: DomainID, to count: Int) throws(XenError) {
        try call { (context) throws(XenError) in
            var online = libxl_bitmap()
            libxl_bitmap_init(&online)
            defer { libxl_bitmap_dispose(&online) }
            try check(libxl_cpu_bitmap_alloc(context, &online, Int32(clamping: count)), "libxl_cpu_bitmap_alloc")
            for processor in 0..<Int32(clamping: count) { libxl_bitmap_set(&online, processor) }
            try check(libxl_set_vcpuonline(context, domain.rawValue, &online, nil), "libxl_set_vcpuonline")
        }
    }

    /// Ends the domain at once, with its devices and its QEMU. Its last memory may be freed a little later: `isDying` until then.
    public func destroy(_ domain: DomainID) throws(XenError) {
        try call { (context) throws(XenError) in
            takeDisks(of: domain, context)
            try check(libxl_domain_destroy(context, domain.rawValue, nil), "libxl_domain_destroy")
        }
    }

    /// Takes a domain's disks from under it, where that is quicker than having them go with it.
    ///
    /// libxl stops a domain before it ends it, and of one that is stopped it does not ask whether QEMU has let a disk go: it waits two seconds
    /// (`LIBXL_QEMU_BODGE_TIMEOUT`). Of one that runs it does ask, and QEMU takes a fraction of that. A stopped one that has run before is let
    /// run for that long; one that never ran never does. What does not succeed here is left to the end of the domain.
    private func takeDisks(of domain: DomainID, _ context: OpaquePointer) {
        guard let info = try? info(of: domain, context), !info.isDying, info.shutdown == nil, info.workedNanoseconds > 0 else { return }
        if info.isPaused, libxl_domain_unpause(context, domain.rawValue, nil) != 0 { return }
        var count: Int32 = 0
        guard let disks = libxl_device_disk_list(context, domain.rawValue, &count) else { return }
        defer { libxl_device_disk_list_free(disks, count) }
        for disk in 0..<Int(count) where libxl_device_disk_destroy(context, domain.rawValue, disks + disk, nil) != 0 { return }
    }

    /// Asks the guest to shut down, as its power button would.
    public func requestShutdown(_ domain: DomainID) throws(XenError) {
        try call { (context) throws(XenError) in
            try check(libxl_domain_shutdown(context, domain.rawValue, nil), "libxl_domain_shutdown")
        }
    }

    /// What the hypervisor says of one domain now. A domain that is gone: `domainIsGone`.
    public func domain(_ id: DomainID) throws(XenError) -> XenDomain {
        try call { (context) throws(XenError) in try info(of: id, context) }
    }

    /// All domains, dom0 first.
    public func domains() throws(XenError) -> [XenDomain] {
        try call { (context) throws(XenError) in
            var count: Int32 = 0
            guard let list = libxl_list_domain(context, &count) else {
                throw XenError(call: "libxl_list_domain", code: ERROR_FAIL.rawValue, log: log.lines)
            }
            defer { libxl_dominfo_list_free(list, count) }
            return UnsafeBufferPointer(start: list, count: Int(count)).map(XenDomain.init)
        }
    }

    /// The domain's name in xenstore; nil where it has none, or is gone.
    public func name(of domain: DomainID) throws(XenError) -> String? {
        try call { (context) throws(XenError) in
            guard let name = libxl_domid_to_name(context, domain.rawValue) else { return nil }
            defer { free(name) }
            return String(cString: name)
        }
    }

    /// The host's memory and processors.
    public func capacity() throws(XenError) -> XenCapacity {
        try call { (context) throws(XenError) in
            var info = libxl_physinfo()
            libxl_physinfo_init(&info)
            defer { libxl_physinfo_dispose(&info) }
            try check(libxl_get_physinfo(context, &info), "libxl_get_physinfo")
            guard let version = libxl_get_version_info(context) else {
                throw XenError(call: "libxl_get_version_info", code: ERROR_FAIL.rawValue, log: log.lines)
            }
            let page = UInt64(version.pointee.pagesize) / 1024
            let free = info.free_pages + info.scrub_pages
            return XenCapacity(
                totalMemoryKiB: info.total_pages * page, freeMemoryKiB: (free - min(free, info.outstanding_pages)) * page,
                processors: Int(info.nr_cpus), version: Self.text(of: version.pointee, info.hw_cap))
        }
    }

    private static func text(of version: libxl_version_info, _ features: libxl_hwcap) -> String {
        let words = withUnsafeBytes(of: features) { $0.bindMemory(to: UInt32.self).map { String($0, radix: 16) } }
        let extra = version.xen_version_extra.map { String(cString: $0) } ?? ""
        return "\(version.xen_version_major).\(version.xen_version_minor)\(extra) \(words.joined(separator: ":"))"
    }

    /// How much free memory building this domain takes, its overhead included.
    public func neededMemoryKiB(_ plan: XenDomainPlan) throws(XenError) -> UInt64 {
        try call { (context) throws(XenError) in
            let configuration = try DomainConfiguration(plan, context: context, log: log)
            var needed: UInt64 = 0
            let none = UInt32(bitPattern: INVALID_DOMID)
            try check(libxl_domain_need_memory(context, configuration.pointer, none, &needed), "libxl_domain_need_memory")
            return needed
        }
    }

    private func info(of domain: DomainID, _ context: OpaquePointer) throws(XenError) -> XenDomain {
        var info = libxl_dominfo()
        libxl_dominfo_init(&info)
        defer { libxl_dominfo_dispose(&info) }
        try check(libxl_domain_info(context, &info, domain.rawValue), "libxl_domain_info")
        return XenDomain(info)
    }

    private func check(_ code: Int32, _ call: String) throws(XenError) { try XenError.check(code, call, log) }

    private func call<Answer: Sendable>(_ body: (OpaquePointer) throws(XenError) -> Answer) throws(XenError) -> Answer {
        try context.withLock { (handle) throws(XenError) in
            guard let handle else { throw XenError(call: "XenContext", code: EBADF, name: "closed") }
            log.forget()
            return try body(handle.pointer)
        }
    }
}
