import DesktopModel
import Hypervisor
import Synchronization

/// What `DomainHost` promises.
public enum DomainContract {
    public typealias Check = ContractCheck<any DomainRig>

    public static let checks = building + running + ending + events + saves + guests + memory + races

    /// Asks the rig's host for one promise, which must hold; and afterwards nothing of the check may be left on the server.
    public static func keep(_ check: Check, on rig: any DomainRig) async throws {
        let before = try await rig.host.capacity().freeMemory
        do {
            try await check.body(rig)
        } catch {
            try? await rig.sweep()
            throw error
        }
        try await rig.sweep()
        let remains = try await rig.remains()
        try expect(remains.isEmpty, "it leaves \(remains.joined(separator: ", "))")
        let after = try await rig.host.capacity().freeMemory
        try expect(before - after <= slack, "free memory was \(before) before it and is \(after)")
    }

    /// What a hypervisor may keep of its own after a domain is gone.
    static let slack = ByteCount.mebibytes(1)

    // MARK: - Building

    static let building: [Check] = [
        Check("the host tells its memory and processors") { rig in
            let capacity = try await rig.host.capacity()
            try expect(capacity.totalMemory > .gibibytes(1) && capacity.freeMemory > .zero, "memory: \(capacity)")
            try expect(capacity.controlMemory > .mebibytes(256), "dom0: \(capacity)")
            try expect(capacity.controlMemory + capacity.freeMemory <= capacity.totalMemory, "more is free than there is: \(capacity)")
            try expect(capacity.processors > 0, "processors: \(capacity)")
        },
        Check("a created domain is paused and listed with its name and memory") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            let domain = try await rig.domain(plan)
            try expect(domain?.activity == .paused && domain?.name == plan.name, "listed as \(String(describing: domain))")
            let missing = plan.profile.memory - (domain?.memory ?? .zero)
            try expect(missing <= .mebibytes(10), "of \(plan.profile.memory) it has \(String(describing: domain?.memory))")
        },
        Check("dom0 is not listed") { rig in
            try expect(try await rig.host.domains().allSatisfy { $0.name != "Domain-0" }, "it is")
        },
        Check("domains of others are listed, and stay as they are while ours come and go") { rig in
            let uuid = try await rig.startForeign()
            let before = try await rig.host.domains().first { $0.uuid == uuid }
            try expect(before != nil && before?.name.isEmpty == false, "it is listed as \(String(describing: before))")
            let ours = try await rig.start(1)
            try await rig.host.destroy(ours.uuid)
            let after = try await rig.host.domains().first { $0.uuid == uuid }
            try expect(after?.name == before?.name && after?.memory == before?.memory, "it was \(before!), is \(String(describing: after))")
            try expect([.running, .paused].contains(after?.activity), "it is \(String(describing: after))")
        },
        Check("a UUID is taken only once") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            try await expectError("a second domain of the UUID", .alreadyExists(name: plan.name)) { try await rig.host.create(plan) }
            try expect(try await rig.host.domains().filter { $0.uuid == plan.uuid }.count == 1, "there is not one of it")
        },
        Check("name and UUID are free again when a destruction returns") { rig in
            let plan = try await rig.plan(1)
            for _ in 0..<2 {
                try await rig.host.create(plan)
                try await rig.host.destroy(plan.uuid)
            }
            try await rig.host.create(plan)
            try await rig.require(plan, is: .paused)
        },
        Check("what a guest writes is kept until it is forgotten, also when it is gone, and is never a later domain's of its name") { rig in
            let plan = try await rig.start(1)
            try await rig.eventually("'\(plan.name)' has written") { try await !rig.host.consoleTail(of: plan.name).isEmpty }
            try await rig.host.destroy(plan.uuid)
            try expect(try await !rig.host.consoleTail(of: plan.name).isEmpty, "it went with its domain")
            try expect(try await rig.host.consoles().contains(plan.name), "its console is not listed")
            try await rig.host.create(plan)
            let shown = try await rig.host.consoleTail(of: plan.name)
            try expect(shown.isEmpty, "a domain that never ran shows \(shown)")
            try await rig.host.destroy(plan.uuid)
            for _ in 0..<2 { try await rig.host.removeConsole(of: plan.name) }
            try expect(try await !rig.host.consoles().contains(plan.name), "its console is still listed")
            try expect(try await rig.host.consoleTail(of: plan.name).isEmpty, "its console is still there")
        },
        Check("free memory falls and rises as domains come and go") { rig in
            var free = try await rig.host.capacity().freeMemory
            let plans = [try await rig.plan(1), try await rig.plan(2)]
            for plan in plans {
                try await rig.host.create(plan)
                let now = try await rig.host.capacity().freeMemory
                let held = try await rig.domain(plan)?.memory ?? .zero
                try expect(free - now >= held && held > .zero, "of \(free) is left \(now) beside a domain that has \(held)")
                free = now
            }
            for plan in plans {
                try await rig.host.destroy(plan.uuid)
                let now = try await rig.host.capacity().freeMemory
                try expect(now - free >= plan.profile.memory - .mebibytes(10), "\(free) was free and is \(now) after an end")
                free = now
            }
        },
        Check("what does not fit is refused, says what it needs and leaves nothing") { rig in
            let wanted = try await rig.host.capacity().freeMemory + .mebibytes(64)
            let plan = try await rig.plan(1, does: .idle, memory: wanted)
            let error = try await failure(of: "a domain that does not fit") { try await rig.host.create(plan) }
            guard case .outOfMemory(let needed) = error else { throw Broken("it is told as '\(error)'") }
            try expect(needed >= wanted, "it needs \(needed) of \(wanted)")
            try await rig.requireGone(plan)
        },
        Check("a missing kernel, ramdisk or overlay is named and leaves nothing") { rig in
            let plan = try await rig.plan(1)
            let gone = rig.freshPath()
            for broken in [plan.with(kernel: gone), plan.with(ramdisk: gone), plan.with(overlay: gone)] {
                try await expectError("a missing file", .missingFile(path: gone)) { try await rig.host.create(broken) }
                try await rig.requireGone(plan)
            }
        },
        Check("what is no kernel is refused and leaves nothing") { rig in
            let plan = try await rig.plan(1)
            let error = try await failure(of: "a kernel that is none") { try await rig.host.create(plan.with(kernel: rig.rubbish)) }
            guard case .failed(let call, let code, let detail) = error else { throw Broken("it is told as '\(error)'") }
            try expect(!call.isEmpty && code < 0 && !detail.isEmpty, "it is told as '\(error)'")
            try await rig.requireGone(plan)
            // Neither the UUID nor the name is still taken.
            try await rig.host.create(plan)
        },
        Check("a failed making is not told as an end") { rig in
            let plan = try await rig.plan(1)
            _ = try await failure(of: "a kernel that is none") { try await rig.host.create(plan.with(kernel: rig.rubbish)) }
            try await rig.allIsTold()
            try expect(rig.events.told(of: plan.uuid).isEmpty, "told was \(rig.events.told(of: plan.uuid))")
        },
    ]

    // MARK: - Running

    static let running: [Check] = [
        Check("a domain does nothing before it is let run") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            try await rig.letPass(.seconds(2))
            let early = try await rig.heartbeat(of: plan)
            try expect(early == nil, "it has said \(String(describing: early))")
            try await rig.host.unpause(plan.uuid)
            try expect(try await rig.heartbeat(of: plan, after: 0).mac == plan.mac, "its card has another address")
            try await rig.require(plan, is: .running)
        },
        Check("a paused domain stands still and goes on where it was") { rig in
            let plan = try await rig.start(1)
            _ = try await rig.heartbeat(of: plan, after: 2)
            try await rig.host.pause(plan.uuid)
            // What it said last may still be on its way.
            try await rig.letPass(.seconds(1))
            let paused = try await rig.heartbeat(of: plan)
            try await rig.letPass(.seconds(2))
            try expect(try await rig.heartbeat(of: plan) == paused, "it went on")
            try await rig.host.unpause(plan.uuid)
            let next = try await rig.eventually("it says more") {
                let beat = try await rig.heartbeat(of: plan)
                return beat == paused ? nil : beat
            }
            try expect(next.count > paused?.count ?? 0, "it began anew: \(next) after \(String(describing: paused))")
        },
        Check("one unpause is enough after two pauses, and one pause after two unpauses") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            for _ in 0..<2 { try await rig.host.pause(plan.uuid) }
            try await rig.host.unpause(plan.uuid)
            try await rig.require(plan, is: .running)
            try await rig.host.unpause(plan.uuid)
            _ = try await rig.heartbeat(of: plan, after: 0)
            try await rig.host.pause(plan.uuid)
            try await rig.require(plan, is: .paused)
            try await rig.host.pause(plan.uuid)
            try await rig.host.unpause(plan.uuid)
            try await rig.require(plan, is: .running)
        },
        Check("a domain that never was is told as gone, and may be destroyed") { rig in
            let plan = try await rig.plan(1)
            try await allSayGone(plan, rig)
        },
        Check("a destroyed domain is told as gone") { rig in
            let plan = try await rig.start(1)
            try await rig.host.destroy(plan.uuid)
            try await allSayGone(plan, rig)
        },
        Check("a domain that was ended from outside is told as gone") { rig in
            let plan = try await rig.start(1)
            try await rig.endFromOutside(plan)
            try await allSayGone(plan, rig)
        },
        Check("pause and unpause leave a domain that shut itself down as it is") { rig in
            let plan = try await rig.start(1, does: .poweroff)
            try await rig.told([.shutDown], of: plan)
            for call in [rig.host.pause, rig.host.unpause, rig.host.pause] {
                try await call(plan.uuid)
                try await rig.require(plan, is: .shutDown)
            }
        },
        Check("pause and unpause do not wait for two builds") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            let others = [try await rig.plan(2), try await rig.plan(3)]
            let done = EndCount()
            let builds = others.map { other in
                Task {
                    defer { done.add() }
                    try await rig.host.create(other)
                }
            }
            let uuids = Set(others.map(\.uuid))
            try await rig.eventually("both are being built") {
                try await rig.host.domains().filter { uuids.contains($0.uuid) }.count == 2
            }
            for _ in 0..<3 {
                try await rig.host.unpause(plan.uuid)
                try await rig.host.pause(plan.uuid)
            }
            let finished = done.value
            for build in builds { try await build.value }
            try expect(finished == 0, "\(finished) of two builds were over first")
        },
    ]

    /// Everything that cannot be done to a domain that is gone says so, and what is asked for already is no error.
    private static func allSayGone(_ plan: DomainPlan, _ rig: any DomainRig) async throws {
        for call in [rig.host.pause, rig.host.unpause] {
            try await expectError("a call on a domain that is gone", .noSuchDomain(plan.uuid)) { try await call(plan.uuid) }
        }
        let file = rig.freshPath()
        try await expectError("a save of a domain that is gone", .noSuchDomain(plan.uuid)) { try await rig.host.save(plan.uuid, to: file) }
        try expect(!rig.fileExists(file), "a file was left")
        for _ in 0..<2 { try await rig.host.destroy(plan.uuid) }
        try await rig.requireGone(plan)
    }

    // MARK: - Ending

    static let ending: [Check] = [
        Check("a destroyed domain is gone with its memory, running or paused, also when destroyed twice") { rig in
            for isRunning in [true, false] {
                let before = try await rig.host.capacity().freeMemory
                let plan = try await rig.plan(1)
                try await rig.host.create(plan)
                if isRunning {
                    try await rig.host.unpause(plan.uuid)
                    _ = try await rig.heartbeat(of: plan, after: 0)
                }
                for _ in 0..<2 {
                    try await rig.host.destroy(plan.uuid)
                    try await rig.requireGone(plan)
                    let after = try await rig.host.capacity().freeMemory
                    try expect(before - after <= slack, "free memory was \(before) and is \(after)")
                }
            }
        },
        Check("a domain that ended by itself holds its memory until it is destroyed") { rig in
            let before = try await rig.host.capacity().freeMemory
            let plan = try await rig.start(1, does: .crash)
            try await rig.told([.crashed], of: plan)
            let held = before - (try await rig.host.capacity().freeMemory)
            try expect(held >= plan.profile.memory - .mebibytes(10), "it holds \(held)")
            try await rig.host.destroy(plan.uuid)
            try expect(before - (try await rig.host.capacity().freeMemory) <= slack, "memory is left")
        },
        Check("a domain's end leaves the others as they are") { rig in
            let stays = try await rig.start(1)
            let goes = try await rig.start(2)
            let beat = try await rig.heartbeat(of: stays, after: 0)
            try await rig.host.destroy(goes.uuid)
            try await rig.require(stays, is: .running)
            _ = try await rig.heartbeat(of: stays, after: beat.count)
        },
    ]
}

/// Counts across tasks.
private final class EndCount: Sendable {
    private let count = Atomic(0)
    func add() { count.add(1, ordering: .sequentiallyConsistent) }
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
}

extension DomainPlan {
    func with(
        uuid: DomainUUID? = nil, name: String? = nil, kernel: String? = nil, ramdisk: String? = nil, profile: Profile? = nil, memory: ByteCount? = nil,
        overlay: String? = nil
    ) -> DomainPlan {
        DomainPlan(
            uuid: uuid ?? self.uuid, name: name ?? self.name, boot: boot, kernel: kernel ?? self.kernel, ramdisk: ramdisk ?? self.ramdisk,
            commandLine: commandLine, profile: profile ?? self.profile, memory: memory ?? self.memory, overlay: overlay ?? self.overlay, mac: mac, address: address)
    }
}
