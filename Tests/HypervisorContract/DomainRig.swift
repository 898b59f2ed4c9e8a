import DesktopModel
import Hypervisor
import Synchronization

/// A host of domains under test, and what a check needs beside it: guests that do what they are told, and hands on the server's other side.
public protocol DomainRig: Sendable {
    var host: any DomainHost { get }
    /// What the host has told since it was connected.
    var events: EventLog { get }
    /// How often a race is run.
    var rounds: Int { get }
    /// How many small guests fit on the server at once, for the checks that let many come and go; 3 at least.
    var crowd: Int { get }
    /// A file of the server that is neither a kernel nor a save.
    var rubbish: String { get }

    /// A plan for one small guest, with its overlay laid. The desktop is the check's to number, from 1; its generation is new each time.
    func plan(_ desktop: UInt32, does deed: GuestDeed, memory: ByteCount?) async throws -> DomainPlan
    /// What the guest has last said of itself; nil where it has said nothing yet.
    func heartbeat(of plan: DomainPlan) async throws -> Heartbeat?
    /// Lets so much of the host's time pass.
    func letPass(_ time: Duration) async throws
    /// Ends a domain as an administrator would, behind the host's back.
    func endFromOutside(_ domain: RunningDomain) async throws
    /// Starts a domain of somebody else's.
    func startForeign() async throws -> DomainUUID
    /// A further connection to the same server, as of a daemon that is started anew. It lives until the sweep.
    func connectAnew() async throws -> any DomainHost
    /// The path for a new file, and whether a file lies at a path.
    func freshPath() -> String
    func fileExists(_ path: String) -> Bool
    /// What the server still has of domains that are gone: processes, network ports. One line each; waits a little until there is nothing.
    func remains() async throws -> [String]
    /// Ends all that the checks have started, and removes its overlays and files.
    func sweep() async throws
}

/// What a guest does once it runs.
public enum GuestDeed: String, Sendable, CaseIterable {
    /// It says again and again that it lives.
    case idle
    /// The same, and takes over what identity is laid out for it, by the words of Docs/Guest.md.
    case takesOver
    /// It ends itself at once.
    case poweroff, reboot, crash
}

/// What an idle guest says of itself, a few times a second.
public struct Heartbeat: Hashable, Sendable {
    /// Counts from 1 within the guest's life.
    public let count: Int
    /// The card's address, as the guest sees it.
    public let mac: MACAddress
    public init(count: Int, mac: MACAddress) {
        self.count = count
        self.mac = mac
    }
}

extension DomainRig {
    func plan(_ desktop: UInt32, does deed: GuestDeed = .idle) async throws -> DomainPlan {
        try await plan(desktop, does: deed, memory: nil)
    }

    /// Builds a small guest and lets it run.
    func start(_ desktop: UInt32, does deed: GuestDeed = .idle) async throws -> DomainPlan {
        let plan = try await plan(desktop, does: deed)
        try await host.create(plan)
        try await host.unpause(plan.uuid)
        return plan
    }

    func domain(_ plan: DomainPlan) async throws -> RunningDomain? {
        try await host.domains().first { $0.uuid == plan.uuid }
    }

    /// The domain must be listed so.
    func require(_ plan: DomainPlan, is activity: RunningDomain.Activity) async throws {
        let found = try await domain(plan)
        guard found?.activity == activity else { throw Broken("'\(plan.name)' is \(String(describing: found)), not \(activity)") }
    }

    func requireGone(_ plan: DomainPlan) async throws {
        if let left = try await domain(plan) { throw Broken("still listed: \(left)") }
    }

    func endFromOutside(_ plan: DomainPlan) async throws {
        guard let domain = try await domain(plan) else { throw Broken("'\(plan.name)' is gone already") }
        try await endFromOutside(domain)
    }

    /// The guest's next word after the one that was counted so.
    func heartbeat(of plan: DomainPlan, after count: Int) async throws -> Heartbeat {
        try await eventually("'\(plan.name)' says more than \(count)") {
            let heartbeat = try await heartbeat(of: plan)
            return heartbeat.flatMap { $0.count > count ? $0 : nil }
        }
    }

    /// Waits in the host's time until there is a value.
    func eventually<Value>(_ what: String, _ value: () async throws -> Value?) async throws -> Value {
        let pause = Duration.milliseconds(50)
        var passed = Duration.zero
        while true {
            if let value = try await value() { return value }
            guard passed < .seconds(120) else { throw Broken("not within \(passed): \(what)") }
            try await letPass(pause)
            passed += pause
        }
    }

    func eventually(_ what: String, holds condition: () async throws -> Bool) async throws {
        _ = try await eventually(what) { try await condition() ? true : nil }
    }

    /// Waits until exactly this was told of the domain.
    func told(_ kinds: [DomainEvent.Kind], of plan: DomainPlan, by events: EventLog? = nil) async throws {
        let events = events ?? self.events
        do {
            try await eventually("'\(plan.name)' is told") { events.told(of: plan.uuid).count >= kinds.count }
        } catch let broken as Broken {
            throw Broken("\(broken): told were \(events.told(of: plan.uuid))")
        }
        let told = events.told(of: plan.uuid)
        try expect(told == kinds, "of '\(plan.name)' was told \(told), not \(kinds)")
    }

    /// Returns when all that has happened so far has been told: events come in the order in which things happen.
    func allIsTold() async throws {
        let last = try await plan(40)
        try await host.create(last)
        try await endFromOutside(last)
        try await told([.died], of: last)
    }
}

/// Keeps what a host tells. It reads until the host tells no more, or the log is gone.
public final class EventLog: Sendable {
    private final class Pages: Sendable {
        let events = Mutex<[DomainEvent]>([])
    }

    private let pages = Pages()
    private let reader: Task<Void, Never>

    public init(_ events: AsyncStream<DomainEvent>) {
        reader = Task { [pages] in
            for await event in events { pages.events.withLock { $0.append(event) } }
        }
    }

    deinit { reader.cancel() }

    func told(of domain: DomainUUID) -> [DomainEvent.Kind] {
        pages.events.withLock { $0.filter { $0.uuid == domain }.map(\.kind) }
    }
}
