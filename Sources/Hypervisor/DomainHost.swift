import DesktopModel

/// What runs desktops: starts, parks and ends their domains. One implementation is Xen.
///
/// Every call may be made again: what is already so is no error. Calls name a domain by its UUID; the host finds it. Slow calls (`create`,
/// `restore`, `save`, `destroy`) never hold up `pause`, `unpause` and `list`. Calls may be made from any task and do not block its thread.
public protocol DomainHost: Sendable {
    /// Builds the domain and leaves it paused. Seconds.
    ///
    /// On failure nothing of it is left behind. A domain of the same UUID that is already there: `alreadyExists`.
    func create(_ plan: DomainPlan) async throws(HypervisorError)
    /// Builds the domain from a memory save and leaves it paused; name, UUID, card and disk are the plan's. Seconds.
    ///
    /// A save may be restored many times, also at once. It fails as `create` does.
    func restore(_ plan: DomainPlan, from save: String) async throws(HypervisorError)
    /// Writes the memory of a running domain to a new file and leaves the domain suspended; destroy it then. Seconds.
    ///
    /// A file that is there stays as it is: `alreadyExists`. A domain that does not run, or is being saved: `failed`. No file is left then.
    func save(_ domain: DomainUUID, to file: String) async throws(HypervisorError)
    /// Has the guest of a running domain give back the memory that it can spare, and tells what the domain holds then. Seconds.
    ///
    /// A guest that does not say what it can spare keeps all of it, and so does a domain that does not run. A domain that is gone:
    /// `noSuchDomain`.
    func shrink(_ domain: DomainUUID) async throws(HypervisorError) -> ByteCount
    /// Says that somebody works at a domain now: its processors come before those of domains that nobody works at, and it may hold so much
    /// memory and use so many virtual CPUs, at most its profile's of each: `failed`. Its guest follows as soon as it runs, which is not waited for.
    ///
    /// A domain that is gone: `noSuchDomain`.
    func serve(_ domain: DomainUUID, with profile: Profile) async throws(HypervisorError)
    /// Stops its virtual CPUs. A domain that is gone: `noSuchDomain`.
    func pause(_ domain: DomainUUID) async throws(HypervisorError)
    /// Lets it run. A domain that is gone: `noSuchDomain`.
    func unpause(_ domain: DomainUUID) async throws(HypervisorError)
    /// Ends it at once and waits until it holds no memory. A domain that is gone is no error. One that is being built is ended at the latest
    /// when it is built.
    func destroy(_ domain: DomainUUID) async throws(HypervisorError)
    /// Lays an identity out where the domain's guest looks for it as soon as it runs, in the place of what was laid out before.
    ///
    /// A domain that is gone: `noSuchDomain`.
    func announce(_ identity: DesktopIdentity, to domain: DomainUUID) async throws(HypervisorError)
    /// Waits until the guest of a running domain has taken over the identity of that announcement, telling it the time when it asks; then
    /// what is secret in it is taken away again.
    ///
    /// It waits for ever for a guest that does not answer: cancel the task then, which it answers with `CancellationError`. A guest that says
    /// that it cannot: `guestFailed`.
    func settled(_ domain: DomainUUID, call: String) async throws
    /// Every domain there is but dom0, foreign ones included.
    func domains() async throws(HypervisorError) -> [RunningDomain]
    func capacity() async throws(HypervisorError) -> HostCapacity
    /// The last lines that a domain of this name wrote to its console, oldest first, as `ConsoleText` makes them; none where there are none.
    ///
    /// They are kept, under a bound, until `removeConsole`, also when the domain is gone. A domain that is built begins with none, whatever
    /// an earlier one of its name wrote.
    func consoleTail(of name: String) async throws(HypervisorError) -> [String]
    /// Forgets what domains of this name wrote. Nothing there is no error.
    func removeConsole(of name: String) async throws(HypervisorError)
    /// The names under which consoles are kept, foreign domains' included.
    func consoles() async throws(HypervisorError) -> [String]
    /// Tells when a domain shuts down, crashes or is gone, each once and in their order; it begins with what is so when it is first asked
    /// for. Nothing is told of what this host is asked to end, to save, or could not build. One reader.
    var events: AsyncStream<DomainEvent> { get }
}

/// All that is needed to build one desktop's domain.
public struct DomainPlan: Hashable, Sendable {
    public let uuid: DomainUUID
    /// `<desktop>-g<generation>`; Xen's console log is named after it.
    public let name: String
    public let boot: BootMode
    public let kernel: String
    public let ramdisk: String
    public let commandLine: String
    public let profile: Profile
    /// What it holds of its profile's memory at first: less where its guest had given some back when it was saved.
    public let memory: ByteCount
    /// The path of the overlay, a qcow2 file; it appears as `xvda`.
    public let overlay: String
    public let mac: MACAddress
    public let address: IPv4Address

    public init(
        uuid: DomainUUID, name: String, boot: BootMode, kernel: String, ramdisk: String, commandLine: String, profile: Profile,
        memory: ByteCount? = nil, overlay: String, mac: MACAddress, address: IPv4Address
    ) {
        self.uuid = uuid
        self.name = name
        self.boot = boot
        self.kernel = kernel
        self.ramdisk = ramdisk
        self.commandLine = commandLine
        self.profile = profile
        self.memory = memory ?? profile.memory
        self.overlay = overlay
        self.mac = mac
        self.address = address
    }
}

/// A domain as the hypervisor knows it now.
public struct RunningDomain: Hashable, Sendable {
    public enum Activity: Hashable, Sendable {
        case running, paused
        /// It has ended by itself and waits to be destroyed.
        case shutDown
        /// It is being taken apart.
        case dying
    }

    public let uuid: DomainUUID
    public let name: String
    public let activity: Activity
    /// What it holds now.
    public let memory: ByteCount
    /// How many virtual CPUs its guest uses now.
    public let vcpus: Int
    /// How long its virtual CPUs have worked, since it was built.
    public let worked: Duration
    public init(uuid: DomainUUID, name: String, activity: Activity, memory: ByteCount, vcpus: Int, worked: Duration = .zero) {
        self.uuid = uuid
        self.name = name
        self.activity = activity
        self.memory = memory
        self.vcpus = vcpus
        self.worked = worked
    }
}

/// What happened to a domain without anyone asking for it.
public struct DomainEvent: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The guest switched itself off or asked to be started anew.
        case shutDown
        case crashed
        /// It is gone.
        case died
    }

    public let uuid: DomainUUID
    public let kind: Kind
    public init(uuid: DomainUUID, kind: Kind) {
        self.uuid = uuid
        self.kind = kind
    }
}

/// The server's memory and processors, as the hypervisor counts them.
public struct HostCapacity: Hashable, Sendable {
    public let totalMemory: ByteCount
    public let freeMemory: ByteCount
    /// What dom0 has.
    public let controlMemory: ByteCount
    public let processors: Int
    /// Which hypervisor, processor and dom0 kernel they are: a domain's memory is restored only where it was saved.
    public let mark: String
    /// How long dom0's virtual CPUs have worked.
    public let controlWorked: Duration
    public init(
        totalMemory: ByteCount, freeMemory: ByteCount, controlMemory: ByteCount, processors: Int, mark: String = "", controlWorked: Duration = .zero
    ) {
        self.totalMemory = totalMemory
        self.freeMemory = freeMemory
        self.controlMemory = controlMemory
        self.processors = processors
        self.mark = mark
        self.controlWorked = controlWorked
    }

    /// How many desktops are made at once where nobody says otherwise: each making keeps about one processor busy for seconds, and sessions are to
    /// have the others.
    public static func preparations(onProcessors processors: Int) -> Int { min(max(2, processors / 4), 8) }
}
