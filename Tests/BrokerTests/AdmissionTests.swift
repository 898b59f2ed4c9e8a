import DesktopModel
import DesktopStore
import Hypervisor
import Testing

@testable import Broker

/// What the server has, what is promised of it, and the plain answer where it is too little.
struct AdmissionTests {
    private func image(_ history: History, _ lab: Lab) throws -> ImageVersion { try history.room.image(lab.image) }

    private func refusal(of size: Int, _ lab: Lab, _ history: History) throws -> BrokerError? {
        var larger = lab
        larger.size = size
        do throws(BrokerError) {
            try history.room.check(larger, try history.room.image(lab.image))
            return nil
        } catch {
            return error
        }
    }

    @Test func aLabThatDoesNotFitIsRefusedWithWhatWould() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 2)[0]
        var history = try await History(world)
        try await history.settle()
        let error = try #require(try refusal(of: 24, lab, history))
        // 512 MiB, 4 MiB of tables for them, 3 MiB for the domain; 6 GiB less what is dom0's, Xen's and the foreign domain's.
        #expect(error == .doesNotFit(asked: 24, holds: 7, profile: lab.profile, limit: .memory(each: .mebibytes(519), left: .mebibytes(3_680))))
        #expect(error.description.hasPrefix("this server holds 7 desktops of this profile; 24 were asked for (1 vCPU, 512 MiB): its memory ends"))
        #expect(try refusal(of: 7, lab, history) == nil)
        #expect(try refusal(of: 8, lab, history) != nil)
    }

    /// The table of Docs/Sizing.md.
    @Test(arguments: [(16, 4, [11, 5, 2]), (32, 4, [27, 13, 6]), (64, 4, [59, 29, 14]), (64, 2, [54, 30, 15]), (128, 4, [62, 61, 30])])
    func serversHoldWhatIsSaidOfThem(memory: Int64, control: Int64, desktops: [Int]) async throws {
        let world = try World()
        world.domains[world.foreign] = nil
        world.totalMemory = .gibibytes(memory)
        world.controlMemory = .gibibytes(control)
        world.diskFree = .gibibytes(500)
        let lab = try await world.furnish(size: 0)[0]
        var history = try await History(world)
        try await history.settle()
        let known = try image(history, lab)
        let large = ImageVersion(
            id: known.id, image: known.image, version: known.version, boot: known.boot, disk: known.disk, kernel: known.kernel,
            ramdisk: known.ramdisk, blankOverlay: known.blankOverlay, commandLine: known.commandLine, account: known.account,
            checksum: known.checksum, diskSize: .gibibytes(8), minimumMemory: known.minimumMemory, hasGuest: true)
        let profiles = [(1, 1), (2, 2), (4, 2)].map { Profile(vcpus: $1, memory: .gibibytes($0)) }
        #expect(profiles.map { history.room.holds(of: $0, large, inPlaceOf: lab.id)?.desktops } == desktops)
    }

    @Test func whatEndsFirstIsNamedWithItsRemedy() async throws {
        func limit(_ change: (World, inout BrokerSettings) -> Void) async throws -> (BrokerError?, remedy: Sentence) {
            let world = try World()
            var settings = BrokerSettings()
            change(world, &settings)
            let lab = try await world.furnish(size: 1)[0]
            var history = try await History(world, settings: settings)
            try await history.settle()
            let error = try refusal(of: 24, lab, history)
            guard case .doesNotFit(_, let holds, _, let limit) = error else { return (error, "") }
            return (error, limit.remedy(holds: holds))
        }
        let control = try await limit { $1.controlMemoryPerDesktop = .mebibytes(600) }
        #expect(control.0?.description.contains("holds 2 desktops of this profile; 24 were asked for") == true)
        #expect(control.0?.description.contains("dom0's memory ends first") == true)
        #expect(control.remedy.contains("dom0_mem"))
        let disk = try await limit { world, _ in world.diskFree = .gibibytes(5) }
        #expect(disk.0?.description.contains("holds 2 desktops of this profile; 24 were asked for") == true)
        #expect(disk.0?.description.contains("its disk ends first: each may grow to 2 GiB") == true)
        let addresses = try await limit { world, _ in world.subnet = "10.88.0.0/28" }
        #expect(addresses.0?.description.contains("holds 4 desktops of this profile; 24 were asked for") == true)
        #expect(addresses.remedy.contains("network.subnet"))
        let one = try await limit { world, _ in world.totalMemory = .mebibytes(3_100) }
        #expect(one.0?.description.contains("this server holds 1 desktop of this profile; 24 were asked for") == true)
        let none = try await limit { world, _ in world.totalMemory = .gibibytes(2) }
        #expect(none.0?.description.contains("this server holds 0 desktops of this profile; 24 were asked for") == true)
        #expect(none.remedy.hasPrefix("Make other labs smaller"))
    }

    @Test func whatOtherLabsAreToHaveIsLeftToThem() async throws {
        let world = try World()
        let labs = try await world.furnish(labs: 2, size: 3)
        var history = try await History(world)
        try await history.settle()
        #expect(try refusal(of: 5, labs[0], history) != nil)
        #expect(try refusal(of: 4, labs[0], history) == nil)
    }

    @Test func memoryThatXenHoldsAndNoDomainShowsIsNotPromised() async throws {
        let world = try World()
        world.heldByXen = .gibibytes(2)
        let lab = try await world.furnish(size: 12)[0]
        var history = try await History(world)
        try await history.settle()
        // 6 GiB less 4, and less the foreign domain's quarter: three of 519 MiB.
        #expect(history.states().count { $0 == "ready" } == 3)
        #expect(try refusal(of: 13, lab, history)?.description.contains("holds 3 desktops") == true)
        #expect(world.violations == [])
    }

    @Test func aReadyDesktopsWholeMemoryStaysPromised() async throws {
        let world = try World()
        _ = try await world.furnish(size: 12)
        var history = try await History(world)
        try await history.settle()
        #expect(history.states().count { $0 == "ready" } == 7)
        // Parked, they hold but a part of it; another look at the server shows more that is free.
        for uuid in world.domains.keys where uuid != world.foreign { world.domains[uuid]?.memory = .mebibytes(100) }
        history.passTime()
        try await history.settle()
        #expect(history.states().count { $0 == "ready" } == 7)
        #expect(world.violations == [])
    }

    @Test func aDomainThatWillNotDieKeepsItsMemoryInTheBooks() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 7)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let claim = history.claim(seat)
        try await history.settle()
        history.take(.end(try #require(history.session(from: claim)), .logOff))
        let undying = try #require(history.room.desktops.values.first { $0.state == .retiring })
        for _ in 0..<3 {
            let removal = try #require(
                history.pending.firstIndex { if case .step(undying.id, _, .remove) = $0 { true } else { false } })
            history.failEffect(removal)
            try await history.settle()
            #expect(history.room.desktops[undying.id]?.state.word == "quarantined")
            #expect(history.room.desktops[undying.id]?.generation == undying.generation)
            #expect(history.room.promised.desktops == 7)
            #expect(history.room.hindrance(to: lab.profile, try image(history, lab), .boot) != nil)
            while history.room.desktops[undying.id]?.state != .retiring { history.passTime() }
        }
        // It stays there after a restart, and when it goes at last, its place is filled again.
        try await history.crash()
        #expect(history.room.promised.desktops == 7)
        #expect(history.room.desktops[undying.id]?.state == .retiring)
        try await history.settle()
        #expect(history.states().allSatisfy { $0 == "ready" })
        #expect(history.room.desktops[undying.id]?.generation == undying.generation.next)
        #expect(history.room.desktops[undying.id]?.failure == nil)
        #expect(world.violations == [])
    }

    @Test func whatDidNotFitIsMadeWhenOthersGiveMemoryBack() async throws {
        let world = try World()
        world.domains[world.foreign]?.memory = .gibibytes(3)
        _ = try await world.furnish(size: 4)
        var history = try await History(world)
        try await history.settle()
        #expect(history.states().count { $0 == "ready" } == 1)
        world.domains[world.foreign]?.memory = .mebibytes(256)
        history.passTime()
        try await history.settle()
        #expect(history.states().allSatisfy { $0 == "ready" })
    }

    @Test func whatWaitedForItsTurnIsJudgedByWhatTheServerHasThen() async throws {
        let world = try World()
        _ = try await world.furnish(size: 3)
        var history = try await History(world)
        func ready() -> Int { history.room.desktops.values.count { $0.state == .ready } }
        while ready() == 0 { try await history.doEffect(try #require(history.possible.first)) }
        world.diskFree = .gibibytes(5)
        try await history.settle()
        #expect(ready() == 2)
        let third = try #require(history.room.desktops.values.first { $0.state == .empty })
        guard case .doesNotFit(let why) = history.room.works[third.id]?.hindrance else {
            Issue.record("it waits for something else")
            return
        }
        #expect(why.contains("its disk may grow to 2 GiB"))
        #expect(world.violations == [])
    }

    @Test func whoFollowsWhatCouldNotBeRemovedIsJudgedByWhatTheServerHasThen() async throws {
        let world = try World()
        _ = try await world.furnish(size: 2)
        var settings = BrokerSettings()
        settings.atOnce = 1
        var history = try await History(world, settings: settings)
        func step(_ holds: (StepKind) -> Bool) -> Int? {
            history.pending.firstIndex { if case .step(_, _, let step) = $0 { holds(step.kind) } else { false } }
        }
        while step({ $0 == .making(.readiness) }) == nil { try await history.doEffect(try #require(history.possible.first)) }
        history.failEffect(try #require(step { $0 == .making(.readiness) }))
        while let next = history.possible.first(where: { $0 != step { $0 == .removal } }) { try await history.doEffect(next) }
        // It is known what the server has; then others take all of it, and the removal fails.
        #expect(history.room.capacity != nil)
        world.heldByXen = .gibibytes(3)
        history.failEffect(try #require(step { $0 == .removal }))
        try await history.settle()
        #expect(history.states().sorted() == ["empty", "quarantined"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func nothingIsPromisedOfAServerThatCannotBeAsked() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        var history = try await History(world)
        try await history.settle()
        history.take(.remake(try #require(history.room.desktops.keys.first)))
        func question() -> Int? { history.pending.firstIndex { if case .measure = $0 { true } else { false } } }
        while question() == nil || history.states() != ["empty"] { try await history.doEffect(try #require(history.possible.first)) }
        history.failEffect(try #require(question()))
        let error = try #require(try refusal(of: 2, lab, history))
        #expect(error.description.contains("xenstore does not answer"))
        try await history.settle()
        let desktop = try #require(history.room.desktops.values.first)
        #expect(history.room.note(on: desktop)?.contains("xenstore does not answer") == true)
        #expect(history.room.explanation(of: desktop).nextAt == history.room.nextDeadline)
        history.passTime()
        try await history.settle()
        #expect(history.states() == ["ready"])
    }
}
