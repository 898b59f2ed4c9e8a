import DesktopModel
import Glibc
import Hypervisor
import Subprocess

/// What `DomainHost` promises, asked of the real one: each check says what holds, and fails where it does not.
struct DomainContract {
    let rig: Rig
    private var host: any DomainHost { rig.host }

    init(rig: Rig) { self.rig = rig }

    /// Runs all checks, prints one line for each, and tells how many failed.
    func run() async -> Int {
        var events = Events(host.events.makeAsyncIterator())
        var failures = 0
        func check(_ fact: String, _ body: () async throws -> Void) async {
            let clock = ContinuousClock()
            let began = clock.now
            do {
                try await body()
                print("ok      \(fact) (\(seconds(clock.now - began)) s)")
            } catch {
                failures += 1
                print("FAILED  \(fact): \(error)")
            }
            fflush(nil)
        }
        await check("the host tells its memory and processors") { try await capacityIsTold() }
        await check("a created domain is paused and listed") { try await aCreatedDomainIsPausedAndListed() }
        await check("its memory is back when it is destroyed, twice") { try await memoryComesBack() }
        await check("one unpause is enough after two pauses") { try await oneUnpauseIsEnough() }
        await check("a domain that is gone is told as gone") { try await aGoneDomainIsTold() }
        await check("a UUID is taken only once") { try await aUUIDIsTakenOnce() }
        await check("what does not fit is refused and leaves nothing") { try await whatDoesNotFitIsRefused() }
        await check("what is no kernel is refused and leaves nothing") { try await whatIsNoKernelLeavesNothing() }
        await check("missing files are named") { try await missingFilesAreNamed() }
        await check("a guest that powers off is told, and one of ours that we end is not") {
            try await aGuestsEndIsTold(&events, .poweroff, .shutDown)
        }
        await check("a guest that reboots is told") { try await aGuestsEndIsTold(&events, .reboot, .shutDown) }
        await check("a guest that crashes is told") { try await aGuestsEndIsTold(&events, .crash, .crashed) }
        await check("a domain destroyed from outside is told as dead") { try await deathFromOutsideIsTold(&events) }
        await check("pause and unpause do not wait for two builds") { try await pauseDoesNotWaitForBuilds() }
        await check("a save comes back under another name, card and disk, and goes on") { try await aSaveComesBack() }
        return failures
    }

    // MARK: - Checks

    private func capacityIsTold() async throws {
        let capacity = try await host.capacity()
        try expect(capacity.totalMemory > .gibibytes(1) && capacity.freeMemory > .zero, "memory: \(capacity)")
        try expect(capacity.controlMemory > .mebibytes(256) && capacity.controlMemory < capacity.totalMemory, "dom0: \(capacity)")
        try expect(capacity.processors > 0, "processors: \(capacity)")
    }

    private func aCreatedDomainIsPausedAndListed() async throws {
        let plan = try await rig.plan(desktop: 1, generation: 1, does: .idle)
        try await host.create(plan)
        let domain = try await state(of: plan)
        try expect(domain?.activity == .paused && domain?.name == plan.name, "listed as \(String(describing: domain))")
        try expect((domain?.memory ?? .zero) >= .mebibytes(150), "memory \(String(describing: domain))")
        try expect(try await host.domains().allSatisfy { $0.name != "Domain-0" }, "dom0 is listed")
        try await host.destroy(plan.uuid)
    }

    private func memoryComesBack() async throws {
        let before = try await host.capacity().freeMemory
        let plan = try await rig.plan(desktop: 1, generation: 2, does: .idle)
        try await host.create(plan)
        let during = try await host.capacity().freeMemory
        try expect(before - during >= .mebibytes(150), "free memory went from \(before) to \(during)")
        try await host.unpause(plan.uuid)
        _ = try await rig.said("tick", by: plan)
        try await host.destroy(plan.uuid)
        try expect(try await state(of: plan) == nil, "still listed")
        let after = try await host.capacity().freeMemory
        try expect(before - after <= .mebibytes(1), "free memory was \(before) and is \(after)")
        try await host.destroy(plan.uuid)
    }

    private func oneUnpauseIsEnough() async throws {
        try await withGuest(2, .idle) { plan in
            try await host.pause(plan.uuid)
            try await host.pause(plan.uuid)
            try await host.unpause(plan.uuid)
            try expect(try await state(of: plan)?.activity == .running, "it does not run")
            try await host.unpause(plan.uuid)
            _ = try await rig.said("tick", by: plan)
            try await host.pause(plan.uuid)
            try await host.pause(plan.uuid)
            try expect(try await state(of: plan)?.activity == .paused, "it is not paused")
            try await host.unpause(plan.uuid)
            try expect(try await state(of: plan)?.activity == .running, "it does not run again")
        }
    }

    private func aGoneDomainIsTold() async throws {
        let uuid = DomainUUID(installation: Rig.installation, desktop: DesktopID(rawValue: 99), generation: Generation(rawValue: 1))
        for call in [host.pause, host.unpause] {
            try await expectError("a call on a domain that is gone", .noSuchDomain(uuid)) { try await call(uuid) }
        }
        try await expectError("a save of a domain that is gone", .noSuchDomain(uuid)) {
            try await host.save(uuid, to: "\(rig.work)/none.save")
        }
        try expect(access("\(rig.work)/none.save", F_OK) != 0, "a file was left")
        try await host.destroy(uuid)
    }

    private func aUUIDIsTakenOnce() async throws {
        try await withGuest(3, .idle) { plan in
            try await expectError("a second domain of the UUID", .alreadyExists(name: plan.name)) { try await host.create(plan) }
            try expect(try await host.domains().filter { $0.uuid == plan.uuid }.count == 1, "there are two")
        }
    }

    private func whatDoesNotFitIsRefused() async throws {
        let plan = try await rig.plan(desktop: 4, generation: 1, does: .idle, memory: .gibibytes(64))
        do {
            try await host.create(plan)
            throw BenchError("it was built")
        } catch HypervisorError.outOfMemory(let needed) {
            try expect(needed >= .gibibytes(64), "it needs \(needed)")
        }
        try expect(try await state(of: plan) == nil, "something is left")
    }

    private func whatIsNoKernelLeavesNothing() async throws {
        let plan = try await rig.plan(desktop: 5, generation: 1, does: .idle)
        let before = try await host.capacity().freeMemory
        do {
            try await host.create(plan.with(kernel: plan.overlay))
            throw BenchError("it was built")
        } catch let HypervisorError.failed(call, code, detail) {
            try expect(call == "libxl_domain_create_new" && code < 0 && !detail.isEmpty, "\(call) \(code) \(detail)")
        }
        try expect(try await state(of: plan) == nil, "something is left")
        try expect(before - (try await host.capacity().freeMemory) <= .mebibytes(1), "memory is left")
    }

    private func missingFilesAreNamed() async throws {
        let plan = try await rig.plan(desktop: 6, generation: 1, does: .idle)
        try await expectError("a missing kernel", .missingFile(path: "/nowhere")) { try await host.create(plan.with(kernel: "/nowhere")) }
        try await expectError("a missing save", .missingFile(path: "/nowhere")) { try await host.restore(plan, from: "/nowhere") }
    }

    private func aGuestsEndIsTold(_ events: inout Events, _ deed: Rig.Deed, _ kind: DomainEvent.Kind) async throws {
        let generation: UInt32 =
            switch deed {
            case .reboot: 2
            case .crash: 3
            default: 1
            }
        // Ended by us first: it must not be told, so the next event is the other's.
        let ours = try await rig.plan(desktop: 7, generation: generation, does: .idle)
        try await host.create(ours)
        try await host.destroy(ours.uuid)
        let plan = try await rig.plan(desktop: 8, generation: generation, does: deed)
        try await host.create(plan)
        try await host.unpause(plan.uuid)
        let event = await events.next()
        try expect(event == DomainEvent(uuid: plan.uuid, kind: kind), "told: \(String(describing: event))")
        try expect(try await state(of: plan)?.activity == .shutDown, "it does not wait to be destroyed")
        try await host.destroy(plan.uuid)
        try expect(try await state(of: plan) == nil, "still listed")
    }

    private func deathFromOutsideIsTold(_ events: inout Events) async throws {
        let plan = try await rig.plan(desktop: 9, generation: 1, does: .idle)
        try await host.create(plan)
        try await host.unpause(plan.uuid)
        _ = try await Subprocess.run(.name("xl"), arguments: ["destroy", plan.name], output: .discarded, error: .discarded)
        let event = await events.next()
        try expect(event == DomainEvent(uuid: plan.uuid, kind: .died), "told: \(String(describing: event))")
        try await host.destroy(plan.uuid)
    }

    private func pauseDoesNotWaitForBuilds() async throws {
        try await withGuest(10, .idle) { plan in
            let others = [
                try await rig.plan(desktop: 11, generation: 1, does: .idle), try await rig.plan(desktop: 12, generation: 1, does: .idle),
            ]
            let clock = ContinuousClock()
            var slowest = Duration.zero
            var rounds = 0
            let builds = others.map { other in Task { try await rig.host.create(other) } }
            let both = Set(others.map(\.uuid))
            while try await host.domains().filter({ both.contains($0.uuid) }).count < 2 {
                try await Task.sleep(for: .milliseconds(20))
            }
            for _ in 0..<100 {
                let took = try await clock.measure {
                    try await host.unpause(plan.uuid)
                    try await host.pause(plan.uuid)
                }
                slowest = max(slowest, took)
                rounds += 1
            }
            for build in builds { try await build.value }
            print("        \(rounds) rounds beside two builds, the slowest \(seconds(slowest)) s")
            for other in others { try await host.destroy(other.uuid) }
        }
    }

    private func aSaveComesBack() async throws {
        let first = try await rig.plan(desktop: 13, generation: 1, does: .idle)
        let file = "\(rig.work)/trial.save"
        unlink(file)
        defer { unlink(file) }
        try await host.create(first)
        try await host.unpause(first.uuid)
        let ticks = try await number(in: rig.said("tick", by: first))
        try await host.save(first.uuid, to: file)
        try expect(try await state(of: first)?.activity == .shutDown, "it is not suspended")
        try await expectError("a save over a file", .alreadyExists(name: file)) { try await host.save(first.uuid, to: file) }
        try await host.destroy(first.uuid)

        let second = try await rig.plan(desktop: 14, generation: 1, does: .idle)
        try await host.restore(second, from: file)
        try expect(try await state(of: second)?.activity == .paused, "it is not paused")
        try expect(try await state(of: second)?.name == second.name, "it has another name")
        try await host.unpause(second.uuid)
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let line = try await rig.said("tick", by: second)
            let words = line.split(separator: " ")
            try expect(try number(in: line) >= ticks, "it began anew: \(line)")
            // The card takes its new address when the front end has connected again.
            if words.count == 3, words[2] == second.mac.description { break }
            guard ContinuousClock.now < deadline else { throw BenchError("its card is still another: \(line)") }
            try await Task.sleep(for: .milliseconds(50))
        }
        try await host.destroy(second.uuid)
    }

    // MARK: - Means

    private func withGuest(_ desktop: UInt32, _ deed: Rig.Deed, _ body: (DomainPlan) async throws -> Void) async throws {
        let plan = try await rig.plan(desktop: desktop, generation: 1, does: deed)
        try await host.create(plan)
        do { try await body(plan) } catch {
            try? await host.destroy(plan.uuid)
            throw error
        }
        try await host.destroy(plan.uuid)
    }

    private func state(of plan: DomainPlan) async throws -> RunningDomain? {
        try await host.domains().first { $0.uuid == plan.uuid }
    }

    private func number(in line: String) throws -> Int {
        let number = line.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        guard let number else { throw BenchError("no number in '\(line)'") }
        return number
    }

    private func expect(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws {
        if !holds { throw BenchError(otherwise()) }
    }

    private func expectError(_ what: String, _ wanted: HypervisorError, _ body: () async throws -> Void) async throws {
        do { try await body() } catch let error as HypervisorError where error == wanted { return }
        throw BenchError("\(what) was no error")
    }

    private func seconds(_ duration: Duration) -> String {
        let millis = Int(duration / .milliseconds(1))
        let rest = String(millis % 1000)
        return "\(millis / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}

/// The host's events of these trials' own domains, one after the other.
struct Events {
    private var iterator: AsyncStream<DomainEvent>.Iterator

    init(_ iterator: AsyncStream<DomainEvent>.Iterator) { self.iterator = iterator }

    mutating func next() async -> DomainEvent? {
        while let event = await iterator.next(isolation: nil) {
            if event.uuid.installation == Rig.installation { return event }
        }
        return nil
    }
}

extension DomainPlan {
    func with(kernel: String) -> DomainPlan {
        DomainPlan(
            uuid: uuid, name: name, boot: boot, kernel: kernel, ramdisk: ramdisk, commandLine: commandLine, profile: profile,
            overlay: overlay, mac: mac, address: address)
    }
}
