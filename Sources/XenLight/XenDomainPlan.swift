import CXenLight
import Glibc

/// What a domain is to be built of: direct kernel boot, one disk, one network card, a console on `hvc0`.
public struct XenDomainPlan: Hashable, Sendable {
    /// How the guest runs on the hypervisor.
    public enum Kind: Hashable, Sendable { case pv, pvh }

    /// A qcow2 file that QEMU in dom0 serves, writable.
    public struct Disk: Hashable, Sendable {
        /// Absolute path.
        public let path: String
        /// The device in the guest, as `xvda`.
        public let device: String
        public init(path: String, device: String) {
            self.path = path
            self.device = device
        }
    }

    /// A network card on a bridge of dom0.
    public struct Card: Hashable, Sendable {
        /// 6 bytes.
        public let mac: [UInt8]
        /// The only IPv4 address it may use; the script reads it.
        public let address: String
        public let bridge: String
        /// Absolute path of the program that sets the card's port up and takes it down.
        public let script: String
        public init(mac: [UInt8], address: String, bridge: String, script: String) {
            precondition(mac.count == 6, "a MAC address has 6 bytes")
            self.mac = mac
            self.address = address
            self.bridge = bridge
            self.script = script
        }
    }

    /// Unique among the running domains.
    public let name: String
    /// 16 bytes, in the order in which a UUID is written.
    public let uuid: [UInt8]
    public let kind: Kind
    public let kernel: String
    public let ramdisk: String?
    public let commandLine: String
    public let virtualProcessors: Int
    /// What it may grow to, and what it holds at first.
    public let memoryKiB: UInt64
    public let firstMemoryKiB: UInt64
    /// Its share of the processors against other domains'; nil for what Xen gives by itself, 256.
    public let weight: Int?
    public let disk: Disk?
    public let card: Card?

    public init(
        name: String, uuid: [UInt8], kind: Kind, kernel: String, ramdisk: String?, commandLine: String, virtualProcessors: Int,
        memoryKiB: UInt64, firstMemoryKiB: UInt64? = nil, weight: Int? = nil, disk: Disk?, card: Card?
    ) {
        precondition(uuid.count == 16, "a UUID has 16 bytes")
        precondition(virtualProcessors > 0, "a domain has at least one virtual processor")
        self.name = name
        self.uuid = uuid
        self.kind = kind
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.commandLine = commandLine
        self.virtualProcessors = virtualProcessors
        self.memoryKiB = memoryKiB
        self.firstMemoryKiB = firstMemoryKiB ?? memoryKiB
        self.weight = weight
        self.disk = disk
        self.card = card
    }
}

/// The plan in libxl's own form, on the heap, freed with this object.
final class DomainConfiguration {
    let pointer: UnsafeMutablePointer<libxl_domain_config>

    init(_ plan: XenDomainPlan, context: OpaquePointer, log: LogCapture) throws(XenError) {
        pointer = .allocate(capacity: 1)
        libxl_domain_config_init(pointer)
        Self.identify(plan, &pointer.pointee.c_info)
        let allocated = Self.build(plan, &pointer.pointee.b_info, context)
        if let disk = plan.disk { Self.attach(disk, pointer) }
        if let card = plan.card { Self.attach(card, pointer) }
        // libxl acts on none of these: a domain that stopped stays until it is destroyed, and `XenEvents` tells of it.
        pointer.pointee.on_poweroff = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE
        pointer.pointee.on_reboot = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE
        pointer.pointee.on_watchdog = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE
        pointer.pointee.on_crash = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE
        pointer.pointee.on_soft_reset = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE
        try XenError.check(allocated, "libxl_cpu_bitmap_alloc", log)
    }

    deinit {
        // Frees every string and array below it with free(): all of them come from strdup and calloc.
        libxl_domain_config_dispose(pointer)
        pointer.deallocate()
    }

    private static func identify(_ plan: XenDomainPlan, _ info: inout libxl_domain_create_info) {
        info.type = plan.kind == .pv ? LIBXL_DOMAIN_TYPE_PV : LIBXL_DOMAIN_TYPE_PVH
        info.name = strdup(plan.name)
        withUnsafeMutableBytes(of: &info.uuid.uuid) { $0.copyBytes(from: plan.uuid) }
        libxl_defbool_set(&info.run_hotplug_scripts, true)
    }

    private static func build(_ plan: XenDomainPlan, _ info: inout libxl_domain_build_info, _ context: OpaquePointer) -> Int32 {
        libxl_domain_build_info_init_type(&info, plan.kind == .pv ? LIBXL_DOMAIN_TYPE_PV : LIBXL_DOMAIN_TYPE_PVH)
        info.kernel = strdup(plan.kernel)
        info.ramdisk = plan.ramdisk.flatMap { strdup($0) }
        info.cmdline = strdup(plan.commandLine)
        info.max_memkb = plan.memoryKiB
        info.target_memkb = plan.firstMemoryKiB
        if let weight = plan.weight { info.sched_params.weight = Int32(clamping: weight) }
        // Claims its memory before building: of two builds that do not fit together, one fails at once instead of both in the middle.
        libxl_defbool_set(&info.claim_mode, true)
        info.max_vcpus = Int32(plan.virtualProcessors)
        let allocated = libxl_cpu_bitmap_alloc(context, &info.avail_vcpus, Int32(plan.virtualProcessors))
        if allocated == 0 {
            for processor in 0..<Int32(plan.virtualProcessors) { libxl_bitmap_set(&info.avail_vcpus, processor) }
        }
        return allocated
    }

    private static func attach(_ disk: XenDomainPlan.Disk, _ configuration: UnsafeMutablePointer<libxl_domain_config>) {
        let device = zeroed(libxl_device_disk.self)
        libxl_device_disk_init(device)
        device.pointee.pdev_path = strdup(disk.path)
        device.pointee.vdev = strdup(disk.device)
        device.pointee.backend = LIBXL_DISK_BACKEND_QDISK
        device.pointee.format = LIBXL_DISK_FORMAT_QCOW2
        device.pointee.readwrite = 1
        // Not direct-io-safe: Debian's QEMU for Xen is built without Linux AIO and then never connects the disk.
        device.pointee.direct_io_safe = false
        configuration.pointee.disks = device
        configuration.pointee.num_disks = 1
    }

    private static func attach(_ card: XenDomainPlan.Card, _ configuration: UnsafeMutablePointer<libxl_domain_config>) {
        let device = zeroed(libxl_device_nic.self)
        libxl_device_nic_init(device)
        withUnsafeMutableBytes(of: &device.pointee.mac) { $0.copyBytes(from: card.mac) }
        device.pointee.nictype = LIBXL_NIC_TYPE_VIF
        device.pointee.ip = strdup(card.address)
        device.pointee.bridge = strdup(card.bridge)
        device.pointee.script = strdup(card.script)
        configuration.pointee.nics = device
        configuration.pointee.num_nics = 1
    }

    /// One zeroed element from calloc, since libxl frees it with free().
    private static func zeroed<Element>(_ type: Element.Type) -> UnsafeMutablePointer<Element> {
        guard let memory = calloc(1, MemoryLayout<Element>.stride) else { fatalError("out of memory") }
        return memory.bindMemory(to: Element.self, capacity: 1)
    }
}
