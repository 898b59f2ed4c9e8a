import DesktopModel
import Foundation
import Hypervisor
import Testing

@testable import Broker

/// One boot of each image and profile, from which all of its desktops are restored; and what happens where that does not work.
struct CheckpointTests {
    private let world: World
    private let lab: Lab

    init() async throws {
        world = try World()
        lab = try await world.furnish(size: 3, hasGuest: true)[0]
    }

    /// What was asked for of domains so far, in its order: `boot`, `freeze`, `restore`.
    private func deeds(_ history: inout History) async throws -> [String] {
        var deeds: [String] = []
        while let index = history.possible.first {
            if case .step(_, _, let step) = history.pending[index] {
                switch step {
                case .build: deeds.append("boot")
                case .restore(_, let checkpoint): deeds.append("restore \(checkpoint)")
                case .freeze: deeds.append("freeze")
                default: break
                }
            }
            try await history.doEffect(index)
        }
        return deeds
    }

    /// Goes on until a step of this kind is asked for, and lets it fail.
    private func fail(_ kind: PreparationStep, _ history: inout History) async throws {
        while true {
            let index = history.pending.firstIndex { if case .step(_, _, let step) = $0 { step.kind == .making(kind) } else { false } }
            if let index { return history.failEffect(index) }
            try await history.doEffect(try #require(history.possible.first))
        }
    }

    private var checkpoints: [Checkpoint] {
        get async throws { try await world.store.room().checkpoints }
    }

    @Test func aRoomIsFilledByOneBoot() async throws {
        var history = try await History(world)
        #expect(try await deeds(&history) == ["boot", "freeze", "restore 1", "restore 1", "restore 1"])
        #expect(history.states() == ["ready", "ready", "ready"])
        #expect(history.room.desktops.values.allSatisfy { $0.checkpoint == CheckpointID(rawValue: 1) && $0.password != nil })
        #expect(try await checkpoints.map(\.state) == [.proven])
        #expect(world.checkpoints == [CheckpointID(rawValue: 1)])
        // And after a start of the daemon the next desktop is restored from the same.
        try await history.crash()
        let first = try #require(history.room.desktops.keys.min())
        #expect(try await deeds(&history) == [])
        history.take(.remake(first))
        #expect(try await deeds(&history) == ["restore 1"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func anImageWithoutTheGuestPackageIsRestoredOnlyWhereAnAdministratorAcceptsOneIdentityForAll() async throws {
        let plain = try World()
        let lab = try await plain.furnish(size: 2)[0]
        var history = try await History(plain)
        #expect(try await deeds(&history) == ["boot", "boot"])
        var image = try history.room.image(lab.image)
        image.sharesIdentity = true
        try await plain.store.updateImage(image)
        history.take(.imageIs(image))
        let (first, second) = (try history.room.desktop(named: "room1-1").id, try history.room.desktop(named: "room1-2").id)
        history.take(.remake(first))
        #expect(try await deeds(&history) == ["boot", "freeze", "restore 1"])
        history.take(.remake(second))
        #expect(try await deeds(&history) == ["restore 1"])
        #expect(history.room.desktops.values.allSatisfy { $0.password == nil }, "each is entered by its image's")
        // It is known after a start of the daemon, and can be taken back.
        try await history.crash()
        history.take(.remake(first))
        #expect(try await deeds(&history) == ["restore 1"])
        image.sharesIdentity = false
        try await plain.store.updateImage(image)
        history.take(.imageIs(image))
        for desktop in [first, second] { history.take(.remake(desktop)) }
        #expect(try await deeds(&history) == ["boot", "boot"])
        #expect(plain.checkpoints.isEmpty && history.room.checkpoints.isEmpty)
        #expect(plain.violations.isEmpty, "\(plain.violations)")
    }

    @Test func itIsProvenAtAnotherAddressThanItWasFrozenAtWhereItsLabHasOne() async throws {
        func restored(_ history: inout History) async throws -> [String] {
            var names: [String] = []
            while let index = history.possible.first {
                if case .step(let desktop, _, .restore) = history.pending[index] { names.append(history.room.desktops[desktop]?.name ?? "") }
                try await history.doEffect(index)
            }
            return names
        }
        var history = try await History(world)
        #expect(try await restored(&history) == ["room1-2", "room1-1", "room1-3"], "the first was frozen")
        // A lab of one desktop has no other.
        let single = try World()
        _ = try await single.furnish(size: 1, hasGuest: true)
        var lonely = try await History(single)
        #expect(try await restored(&lonely) == ["room1-1"])
        #expect(world.violations.isEmpty && single.violations.isEmpty)
    }

    @Test func theOthersWaitUntilItIsProvenAndSaySo() async throws {
        var history = try await History(world)
        try await history.advance(to: .freezing)
        let waiting = try history.room.desktop(named: "room1-2")
        #expect(waiting.state == .empty)
        #expect(history.room.explanation(of: waiting).present == "its image is started once for all of its desktops, by 'room1-1', which comes first")
        let builder = try history.room.desktop(named: "room1-1")
        #expect(history.room.explanation(of: builder).meaning == "It is being made: step 4 of 4")
        try await history.settle()
        #expect(history.states() == ["ready", "ready", "ready"])
    }

    @Test(arguments: [PreparationStep.domain, .readiness, .freezing])
    func whereNoCheckpointCanBeMadeDesktopsAreBooted(step: PreparationStep) async throws {
        var history = try await History(world)
        try await fail(step, &history)
        #expect(try await deeds(&history) == ["boot", "boot"])
        history.passTime()
        #expect(try await deeds(&history) == ["boot"])
        #expect(history.states() == ["ready", "ready", "ready"])
        #expect(world.checkpoints.isEmpty)
        let failed = try #require(try await checkpoints.first)
        #expect(failed.state == .failed(cause: "its desktop could not be booted and frozen: it failed") && failed.failures == 1)
        #expect(history.room.failedCheckpoints.first?.hasPrefix("desktops of debian-1 with 512 MiB are booted, not restored") == true)
        // Another one is made with the first desktop that is begun ten minutes later.
        history.instant = history.instant + .seconds(601)
        history.take(.remake(try #require(history.room.desktops.keys.min())))
        #expect(try await deeds(&history) == ["boot", "freeze", "restore 2"])
        #expect(try await checkpoints.map(\.state) == [.proven])
        #expect(try await checkpoints.map(\.failures) == [0])
        #expect(history.room.failedCheckpoints.isEmpty)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: [PreparationStep.identity, .readiness])
    func whatDoesNotProveItselfIsNotUsed(step: PreparationStep) async throws {
        var history = try await History(world)
        try await history.advance(to: .freezing)
        try await fail(step, &history)
        #expect(try await deeds(&history) == ["boot", "boot"])
        history.passTime()
        #expect(try await deeds(&history) == ["boot"])
        #expect(history.states() == ["ready", "ready", "ready"])
        #expect(world.checkpoints.isEmpty)
        #expect(try await checkpoints.map(\.state) == [.failed(cause: "a desktop restored from it did not become ready: it failed")])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: [PreparationStep.identity, .readiness])
    func whatHasNothingToBootIsGivenUpSooner(step: PreparationStep) async throws {
        let single = try World()
        _ = try await single.furnish(size: 1, hasGuest: true)
        var history = try await History(single)
        let settings = history.room.settings
        #expect(settings.restoredDeadline < settings.deadline(of: step, in: .boot))
        try await history.advance(to: .freezing)
        try await history.advance(to: step)
        let restored = try #require(history.room.desktops.values.first { $0.state == .preparing(step) })
        #expect(history.room.explanation(of: restored).deadline == history.instant + settings.restoredDeadline)
        history.passTime()
        let cause = try #require(history.room.failedCheckpoints.first)
        #expect(cause.contains("a desktop restored from it did not become ready: "), "\(cause)")
        #expect(cause.contains("within \(settings.restoredDeadline.text)"), "\(cause)")
    }

    @Test func whatHasServedIsGivenUpWhenItFailsTwiceInARow() async throws {
        var history = try await History(world)
        try await history.settle()
        let first = try #require(history.room.desktops.keys.min())
        history.take(.remake(first))
        try await fail(.readiness, &history)
        try await history.settle()
        history.passTime()
        #expect(try await checkpoints.map(\.state) == [.proven])
        try await fail(.domain, &history)
        try await history.settle()
        // The two others still lie over it, so its files stay.
        #expect(world.checkpoints == [CheckpointID(rawValue: 1)])
        history.passTime()
        #expect(try await deeds(&history) == ["boot"])
        for desktop in history.room.desktops.keys.sorted().dropFirst() { history.take(.remake(desktop)) }
        try await history.settle()
        #expect(history.states() == ["ready", "ready", "ready"])
        #expect(world.checkpoints.isEmpty)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatIsSpoiltIsGivenUpAtOnceAndWhatTheServerLacksIsNoFaultOfIt() async throws {
        var history = try await History(world)
        try await history.settle()
        let first = try #require(history.room.desktops.keys.min())
        for _ in 1...3 {
            history.take(.remake(first))
            try await fail(.overlay, &history)
        }
        #expect(try await checkpoints.map(\.state) == [.proven])
        history.passTime()
        try await history.settle()
        history.take(.remake(first))
        while true {
            let index = history.pending.firstIndex { if case .step(_, _, .layOverlayOver) = $0 { true } else { false } }
            if let index {
                guard case .step(let id, let generation, let step) = history.pending.remove(at: index) else { break }
                history.take(.stepFailed(id, generation, step.kind, cause: "it is spoilt", isSpoilt: true))
                break
            }
            try await history.doEffect(try #require(history.possible.first))
        }
        try await history.settle()
        history.passTime()
        #expect(try await deeds(&history) == ["boot"])
        #expect(try await checkpoints.map(\.state) == [.failed(cause: "it is spoilt")])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: [PreparationStep.overlay, .domain, .readiness, .freezing])
    func aCrashWhileItIsMadeLeavesNothingOfIt(step: PreparationStep) async throws {
        var history = try await History(world)
        try await history.advance(to: step)
        if step == .freezing {
            // It is frozen, and the daemon never learns of it.
            let index = try #require(history.pending.firstIndex { if case .step(_, _, .freeze) = $0 { true } else { false } })
            try await history.doEffect(index, reporting: false)
        }
        try await history.crash()
        // That the first one was begun was not on the disk yet where its overlay is laid.
        let next = CheckpointID(rawValue: step == .overlay ? 1 : 2)
        #expect(try await deeds(&history).suffix(5) == ["boot", "freeze", "restore \(next)", "restore \(next)", "restore \(next)"])
        #expect(try await checkpoints.map(\.id) == [next])
        #expect(world.checkpoints == [next])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func memoryThatWasGivenBackIsPromisedAndGivenWithTheDesktop() async throws {
        var history = try await History(world)
        try await history.settle()
        #expect(try await checkpoints.map(\.memory) == [World.kept])
        let restored = world.domains.filter { $0.key != world.foreign }
        #expect(restored.values.allSatisfy { $0.memory == World.kept } && restored.count == 3)
        let seat = try await world.addSeats(1, lab: lab)[0]
        history.take(.seatChanged(seat, RoomSeat(name: "seat", lab: lab.id, isPresent: true)))
        history.claim(seat)
        try await history.settle()
        func held() -> [ByteCount] { world.domains.filter { $0.key != world.foreign }.values.map(\.memory).sorted() }
        #expect(held() == [World.kept, World.kept, lab.profile.memory])
        // A daemon that ended before it could give it gives it when it starts anew.
        for uuid in world.domains.keys where uuid != world.foreign { world.domains[uuid]?.memory = World.kept }
        try await history.crash()
        try await history.settle()
        #expect(held() == [World.kept, World.kept, lab.profile.memory])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatParkedDesktopsDoNotHoldIsPromisedToNobodyElse() async throws {
        // Room for four of 512 MiB beside dom0 and Xen's own, and for many of what a parked one holds.
        world.totalMemory = .mebibytes(2048 + 256 + 160 + 4 * 520)
        let more = Lab(
            id: lab.id, name: lab.name, image: lab.image, profile: lab.profile, size: 6, grace: lab.grace, afterSession: lab.afterSession)
        try await world.store.updateLab(more)
        var history = try await History(world)
        try await history.settle()
        #expect(history.states().count { $0 == "ready" } == 4)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatNoLabWantsGoesWhenTheLastDesktopThatLiesOverItHasGone() async throws {
        var history = try await History(world)
        try await history.settle()
        var other = lab
        other.profile.memory = .mebibytes(768)
        try await world.store.updateLab(other)
        history.take(.labChanged(other))
        try await history.settle()
        #expect(history.states() == ["ready", "ready", "ready"])
        #expect(try await checkpoints.map(\.id) == [CheckpointID(rawValue: 2)])
        #expect(world.checkpoints == [CheckpointID(rawValue: 2)])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aCheckpointOfAnotherHostIsNotUsed() async throws {
        var history = try await History(world)
        try await history.settle()
        world.mark = "another kernel"
        try await history.crash()
        history.take(.remake(try #require(history.room.desktops.keys.min())))
        #expect(try await deeds(&history) == ["boot", "freeze", "restore 2"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func filesThatAreGoneAreMadeAnewAtOnce() async throws {
        var history = try await History(world)
        try await history.settle()
        world.checkpoints = []
        try await history.crash()
        try await history.settle()
        history.take(.remake(try #require(history.room.desktops.keys.min())))
        #expect(try await deeds(&history) == ["boot", "freeze", "restore 2"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: [true, false])
    func whoWaitedForAMakingThatIsGivenUpIsJudgedByWhatTheServerHasThen(byHand: Bool) async throws {
        var history = try await History(world)
        try await history.advance(to: .readiness)
        world.domains[world.foreign]?.memory = .gibibytes(4)
        world.domains[world.foreign]?.promised = .gibibytes(4)
        if byHand {
            history.take(.remake(try #require(history.room.desktops.keys.min())))
        } else {
            // Its step is not done in time.
            history.pending.removeAll { if case .step(_, _, .awaitReadiness) = $0 { true } else { false } }
            history.passTime()
        }
        try await history.settle()
        #expect(history.states() == [byHand ? "empty" : "quarantined", "empty", "empty"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aMakingThatIsGivenUpByHandTakesItsCheckpointWithIt() async throws {
        var history = try await History(world)
        try await history.advance(to: .readiness)
        history.take(.remake(try #require(history.room.desktops.keys.min())))
        #expect(try await deeds(&history).suffix(5) == ["boot", "freeze", "restore 2", "restore 2", "restore 2"])
        #expect(try await checkpoints.map(\.id) == [CheckpointID(rawValue: 2)])
    }
}
