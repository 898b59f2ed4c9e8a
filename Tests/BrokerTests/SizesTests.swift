import DesktopModel
import DesktopStore
import Hypervisor
import Testing

@testable import Broker

/// How many desktops a lab is to have, of what hardware, and how many of them are made at once.
struct SizesTests {
    private let world: World
    private let lab: Lab

    init() async throws {
        world = try World()
        lab = try await world.furnish(size: 4, memory: .mebibytes(256), hasGuest: true)[0]
    }

    /// A room at rest, its lab changed before.
    private func atRest(_ change: (inout Lab) -> Void = { _ in }) async throws -> History {
        var changed = lab
        change(&changed)
        try await world.store.updateLab(changed)
        var history = try await History(world)
        try await history.settle()
        return history
    }

    private func give(_ id: DesktopID, _ own: Profile?, _ history: inout History) async throws {
        try await world.store.setOwnProfile(of: id, to: own)
        history.take(.ownProfileChanged(id, own))
        try await history.settle()
    }

    // MARK: What a change of a lab means

    @Test func whatAChangeOfALabMeansIsToldBeforeAndIsSo() async throws {
        var history = try await atRest()
        let seats = try await world.addSeats(1, lab: lab)
        history.take(.seatChanged(seats[0], RoomSeat(name: "a", lab: lab.id, isPresent: true)))
        let claim = history.claim(seats[0])
        try await history.settle()
        _ = try #require(history.session(from: claim))
        func told(_ change: (inout Lab) -> Void) throws -> [LabConsequence] {
            var changed = lab
            change(&changed)
            return try history.room.consequences(of: changed)
        }
        #expect(try told { _ in } == [.nothing])
        #expect(try told { $0.grace = .seconds(5) } == [.nothing])
        #expect(try told { $0.size = 6 } == [.added(2)])
        #expect(try told { $0.size = 3 } == [.removed(1)])
        #expect(try told { $0.profile.memory = .mebibytes(512) } == [.madeAnew(3), .whenTheyEnd(1), .bootedFirst])
        #expect(throws: BrokerError.self) { try told { $0.profile.memory = .gibibytes(500) } }

        var changed = lab
        changed.profile.memory = .mebibytes(512)
        let generations = Dictionary(uniqueKeysWithValues: history.room.desktops.values.map { ($0.id, $0.generation) })
        try await world.store.updateLab(changed)
        history.take(.labChanged(changed))
        try await history.settle()
        let anew = history.room.desktops.values.count { $0.generation > generations[$0.id, default: $0.generation] }
        #expect(anew == 3)
    }

    @Test func aChangeOfHowManyStandReadyIsToldAndIsSo() async throws {
        var history = try await atRest()
        var changed = lab
        changed.leastReady = 1
        #expect(try history.room.consequences(of: changed) == [.removed(3)])
        try await world.store.updateLab(changed)
        history.take(.labChanged(changed))
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(try history.room.consequences(of: lab) == [.added(3)])
    }

    // MARK: In which order

    @Test func whatALabHasIsMadeAnewAFewAtATime() async throws {
        var history = try await atRest()
        var changed = lab
        changed.profile.memory = .mebibytes(384)
        try await world.store.updateLab(changed)
        history.take(.labChanged(changed))
        var fewest = 4
        while let next = history.possible.first {
            try await history.doEffect(next)
            fewest = min(fewest, history.states().count { $0 == "ready" })
        }
        #expect(fewest >= 4 - history.room.settings.atOnce, "\(fewest)")
        #expect(history.states() == Array(repeating: "ready", count: 4))
        #expect(history.room.desktops.values.allSatisfy { $0.profile == changed.profile })
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatFailsBeforeOneOfItWasReadyTakesNoMoreOfWhatIsThere() async throws {
        var history = try await atRest()
        var changed = lab
        changed.profile.memory = .mebibytes(384)
        try await world.store.updateLab(changed)
        history.take(.labChanged(changed))
        func failing() -> Int? {
            history.possible.first { index in
                if case .step(_, _, let step) = history.pending[index], step.kind == .making(.readiness) { true } else { false }
            }
        }
        for _ in 1...6 {
            while let next = history.possible.first {
                if let index = failing() { history.failEffect(index) } else { try await history.doEffect(next) }
            }
            history.passTime()
        }
        #expect(history.states().count { $0 == "ready" } >= 4 - history.room.settings.atOnce, "\(history.states())")
    }

    @Test func aLabWhereSomebodyWaitsIsServedBeforeAnotherIsFilled() async throws {
        let world = try World()
        let labs = try await world.furnish(labs: 2, size: 6, memory: .mebibytes(256))
        let seat = try await world.addSeats(1, lab: labs[1])[0]
        var history = try await History(world)
        history.take(.seatChanged(seat, RoomSeat(name: "seat", lab: labs[1].id, isPresent: true)))
        history.claim(seat)
        while !history.states(of: labs[1].id).contains("ready") { try await history.doEffect(try #require(history.possible.first)) }
        #expect(history.states(of: labs[0].id).count { $0 == "ready" } <= history.room.settings.atOnce)
    }

    @Test func noLabIsKeptWaitingByAnotherWhoseDesktopsFail() async throws {
        let world = try World()
        let labs = try await world.furnish(labs: 2, size: 6, memory: .mebibytes(256))
        var history = try await History(world)
        for _ in 1...200 where history.states(of: labs[1].id).count(where: { $0 == "ready" }) < 6 {
            while let next = history.possible.first {
                if case .step(let id, _, let step) = history.pending[next], step.kind == .making(.readiness),
                    history.room.desktops[id]?.lab == labs[0].id
                {
                    history.failEffect(next)
                } else {
                    try await history.doEffect(next)
                }
            }
            history.passTime()
        }
        #expect(history.states(of: labs[1].id).count { $0 == "ready" } == 6, "\(history.states())")
    }

    @Test func whatCannotBeRemovedTakesNobodysTurn() async throws {
        let world = try World()
        let labs = try await world.furnish(labs: 2, size: 2, memory: .mebibytes(256))
        var settings = BrokerSettings()
        settings.atOnce = 1
        var history = try await History(world, settings: settings)
        try await history.settle()
        var emptied = labs[0]
        emptied.size = 0
        try await world.store.updateLab(emptied)
        history.take(.labChanged(emptied))
        history.take(.remake(try #require(history.room.desktops.values.first { $0.lab == labs[1].id }).id))
        for _ in 1...8 {
            history.passTime()
            while let next = history.possible.first {
                if case .step(let id, _, let step) = history.pending[next], step.kind == .removal, history.room.desktops[id]?.lab == labs[0].id {
                    history.failEffect(next)
                } else {
                    try await history.doEffect(next)
                }
            }
        }
        #expect(history.states(of: labs[1].id) == ["ready", "ready"])
        #expect(history.room.hasTriedToMeasure, "nobody who changes a lab has to wait")
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func anImageThatNeedsMoreThanADesktopHasOfItsOwnIsRefused() async throws {
        var history = try await atRest()
        let desktop = try #require(history.room.desktops.values.first { $0.number == 2 })
        try await give(desktop.id, Profile(vcpus: 1, memory: .mebibytes(300)), &history)
        let image = try await world.store.addImage(
            NewImageVersion(
                image: "larger", version: 1, boot: .pv, disk: "/disk", kernel: "/kernel", ramdisk: "/ramdisk", blankOverlay: "/blank", commandLine: "",
                account: Account(user: "student", password: "secret"), checksum: String(repeating: "0", count: 64), diskSize: .gibibytes(2),
                minimumMemory: .mebibytes(512)))
        history.take(.imageIs(image))
        var changed = lab
        changed.image = image.id
        changed.profile.memory = .mebibytes(512)
        let refusal = #expect(throws: BrokerError.self) { try history.room.consequences(of: changed) }
        #expect(refusal?.description.contains("desktop 'room1-2' has 300 MiB of its own") == true)
    }

    // MARK: How many

    @Test func asManyStandReadyAsTheLabSaysBesideThoseInUse() async throws {
        var history = try await atRest { $0.leastReady = 1 }
        #expect(history.states() == ["ready"])
        let seats = try await world.addSeats(4, lab: lab)
        for seat in seats { history.take(.seatChanged(seat, RoomSeat(name: "\(seat)", lab: lab.id, isPresent: true))) }
        var sessions: [SessionID] = []
        for (number, seat) in seats.enumerated() {
            let claim = history.claim(seat)
            try await history.settle()
            sessions.append(try #require(history.session(from: claim)))
            let states = history.states()
            #expect(states.count { $0 == "leased" } == number + 1)
            #expect(states.count { $0 == "ready" } == min(1, 3 - number), "its size is the most")
        }
        for session in sessions {
            history.take(.end(session, .logOff))
            try await history.settle()
        }
        #expect(history.states() == ["ready"])
        #expect(world.domains.count == 2, "one of them is somebody else's")
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatIsMadeWithAClaimIsJudgedByWhatTheServerHasThen() async throws {
        var history = try await atRest { $0.leastReady = 1 }
        let seat = try await world.addSeats(1, lab: lab)[0]
        history.take(.seatChanged(seat, RoomSeat(name: "seat", lab: lab.id, isPresent: true)))
        world.heldByXen = .mebibytes(3_400)
        history.claim(seat)
        try await history.settle()
        #expect(history.states().sorted() == ["empty", "leased"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whoeverWaitsIsServedThoughFewerStandReady() async throws {
        var history = try await atRest { $0.leastReady = 1 }
        let seats = try await world.addSeats(4, lab: lab)
        for seat in seats { history.take(.seatChanged(seat, RoomSeat(name: "\(seat)", lab: lab.id, isPresent: true))) }
        // All at once: one is given a desktop, three wait, and each is offered one.
        for seat in seats { history.claim(seat) }
        while !history.states().allSatisfy({ ["ready", "leased"].contains($0) }) || history.states().count < 4 {
            try await history.doEffect(try #require(history.possible.first))
        }
        #expect(Set(history.told.compactMap { if case .offer = $0.1 { $0.0 } else { nil } }) == Set(seats.dropFirst()))
        for seat in seats.dropFirst() { history.claim(seat) }
        try await history.settle()
        #expect(history.states() == ["leased", "leased", "leased", "leased"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatIsInQuarantineCountsNotAsReady() async throws {
        var history = try await atRest { $0.leastReady = 2 }
        let first = try history.room.desktop(named: "room1-1").id
        history.take(.remake(first))
        while try history.room.desktop(named: "room1-1").state.word != "quarantined" {
            let making = history.pending.firstIndex { if case .step(first, _, let step) = $0, step.kind != .removal { true } else { false } }
            if let making { history.failEffect(making) } else { try await history.doEffect(try #require(history.possible.first)) }
        }
        history.room.works[first]?.retryAt = nil
        try await history.settle()
        #expect(history.states().sorted() == ["quarantined", "ready", "ready"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aLabHasNoMoreMadeAtOnceThanItSays() async throws {
        var history = try await atRest { $0.size = 0 }
        var one = lab
        one.atOnce = 1
        history.take(.labChanged(one))
        var most = 0
        while let next = history.possible.first {
            try await history.doEffect(next)
            most = max(most, history.room.underWay)
        }
        #expect(most == 1)
        #expect(history.states() == ["ready", "ready", "ready", "ready"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    // MARK: Hardware of a desktop's own

    private let own = Profile(vcpus: 2, memory: .mebibytes(384))

    @Test func aDesktopIsMadeAnewWithHardwareOfItsOwnAndTheOthersStay() async throws {
        var history = try await atRest()
        let desktop = try history.room.desktop(named: "room1-2")
        let others = history.room.desktops.values.filter { $0.id != desktop.id }
        let told = try history.room.consequences(of: own, for: desktop)
        #expect(
            told == [
                "room1-2 is thrown away and made anew with 2 vCPUs and 384 MiB",
                """
                No desktop of this image has had that hardware yet: it is booted and frozen first, which takes one boot more, and up to 416 MiB of \
                disk while that is being done
                """,
            ])
        try await give(desktop.id, own, &history)
        #expect(history.states() == ["ready", "ready", "ready", "ready"])
        #expect(history.room.desktops[desktop.id]?.profile == own)
        #expect(history.room.desktops.values.filter { $0.id != desktop.id }.sorted { $0.id < $1.id } == others.sorted { $0.id < $1.id })
        #expect(history.room.checkpoints.count == 2)
        // A start of the daemon changes nothing.
        try await history.crash()
        try await history.settle()
        #expect(history.room.desktops[desktop.id]?.ownProfile == own)
        #expect(history.states() == ["ready", "ready", "ready", "ready"])
        // And back: its lab's checkpoint is there, its own goes.
        let back = try history.room.consequences(of: lab.profile, for: try #require(history.room.desktops[desktop.id]))
        #expect(back == ["room1-2 is thrown away and made anew with 1 vCPU and 256 MiB"])
        try await give(desktop.id, nil, &history)
        #expect(history.room.desktops[desktop.id]?.profile == lab.profile)
        #expect(history.room.checkpoints.count == 1 && world.checkpoints.count == 1)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aSessionGoesOnAndItsDesktopHasTheHardwareAfterwards() async throws {
        var history = try await atRest()
        let seat = try await world.addSeats(1, lab: lab)[0]
        history.take(.seatChanged(seat, RoomSeat(name: "seat", lab: lab.id, isPresent: true)))
        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        let desktop = try #require(history.room.sessions[session]?.session.desktop)
        let told = try history.room.consequences(of: own, for: try #require(history.room.desktops[desktop]))
        #expect(told.first == "Session \(session) goes on; room1-1 has 2 vCPUs and 384 MiB from its next making on")
        try await give(desktop, own, &history)
        #expect(history.room.desktops[desktop]?.state == .leased(session))
        history.take(.end(session, .logOff))
        try await history.settle()
        #expect(history.room.desktops[desktop]?.profile == own && history.room.desktops[desktop]?.state == .ready)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func aSessionsDesktopFollowsAtOnceWithTheProcessorsThatItWasBuiltWith() async throws {
        var history = try await atRest { $0.profile.vcpus = 4 }
        let seat = try await world.addSeats(1, lab: lab)[0]
        history.take(.seatChanged(seat, RoomSeat(name: "seat", lab: lab.id, isPresent: true)))
        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        let desktop = try #require(history.room.sessions[session]?.session.desktop)
        let domain = history.room.uuid(of: try #require(history.room.desktops[desktop]))
        var fewer = try #require(history.room.labs[lab.id])
        let told = try history.room.consequences(of: own, for: try #require(history.room.desktops[desktop]))
        #expect(told[1] == "It uses 2 of its 4 vCPUs at once")
        fewer.profile = own
        history.take(.labChanged(fewer))
        #expect(world.domains[domain]?.vcpus == 2 && world.domains[domain]?.memory == .mebibytes(256), "who works keeps the memory")
        // It is so after a start of the daemon, and until the lab says otherwise.
        try await world.store.updateLab(fewer)
        try await history.crash()
        try await history.settle()
        #expect(world.domains[domain]?.vcpus == 2)
        fewer.profile.vcpus = 8
        history.take(.labChanged(fewer))
        #expect(world.domains[domain]?.vcpus == 4)
        history.take(.end(session, .logOff))
        try await history.settle()
        #expect(history.room.desktops[desktop]?.profile == fewer.profile)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whatHasHardwareOfItsOwnGoesLast() async throws {
        var history = try await atRest()
        let desktop = try history.room.desktop(named: "room1-4")
        try await give(desktop.id, own, &history)
        var smaller = lab
        smaller.size = 1
        history.take(.labChanged(smaller))
        try await history.settle()
        #expect(history.room.desktops.values.map(\.name) == ["room1-4"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func whereFewerStandReadyHardwareOfItsOwnIsKeptAndNoReadyOneGoesForIt() async throws {
        var history = try await atRest()
        for name in ["room1-1", "room1-2"] { try await give(try history.room.desktop(named: name).id, own, &history) }
        var fewer = lab
        fewer.leastReady = 1
        try await world.store.updateLab(fewer)
        history.take(.labChanged(fewer))
        try await history.settle()
        #expect(Set(history.room.desktops.values.map(\.name)) == ["room1-1", "room1-2"])
        #expect(history.room.desktops.values.allSatisfy { $0.ownProfile == own })

        // While somebody works at the one, another stands ready; it stays so until the one is made anew.
        try await give(try history.room.desktop(named: "room1-2").id, nil, &history)
        let seat = try await world.addSeats(1, lab: lab)[0]
        history.take(.seatChanged(seat, RoomSeat(name: "seat", lab: lab.id, isPresent: true)))
        let claim = history.claim(seat)
        try await history.settle()
        let session = try #require(history.session(from: claim))
        #expect(history.states().sorted() == ["leased", "ready"])
        history.take(.end(session, .logOff))
        while !history.possible.isEmpty {
            #expect(!history.room.desktops.ready(in: lab.id).isEmpty, "\(history.states())")
            try await history.doEffect(try #require(history.possible.first))
        }
        try await history.settle()
        #expect(try history.room.desktop(named: "room1-1").ownProfile == own)
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func smallerHardwareOfItsOwnIsNoRoomForMoreThanItsLabIsToHave() async throws {
        var history = try await atRest { $0.profile.memory = .mebibytes(512) }
        for desktop in history.room.desktops.values.map(\.id).sorted() {
            try await give(desktop, Profile(vcpus: 1, memory: .mebibytes(256)), &history)
        }
        let image = try history.room.image(lab.image)
        func others() throws -> Int { try #require(history.room.holds(of: lab.profile, image, inPlaceOf: nil)).desktops }
        let beside = try others()
        var smaller = try #require(history.room.labs[lab.id])
        smaller.size = 1
        try await world.store.updateLab(smaller)
        history.take(.labChanged(smaller))
        // Three of 256 MiB fewer are wanted, though they are still there.
        #expect(try others() - beside == 3)
    }

    @Test func whatWasMeasuredBeforeARemovalSaysNothingOfWhatIsThereAfterIt() async throws {
        var history = try await atRest()
        let desktop = try history.room.desktop(named: "room1-1").id
        history.take(.remake(desktop))
        func question() -> Int? { history.pending.firstIndex { if case .measure = $0 { true } else { false } } }
        let asked = try #require(question())
        guard case .measure(let number) = history.pending[asked] else { return }
        let before = world.measurement()
        history.pending.remove(at: asked)
        // The domain is gone before the answer comes.
        while history.states().contains("retiring") { try await history.doEffect(try #require(history.possible.first)) }
        history.take(.measured(number, before))
        #expect(history.room.capacity == nil)
        #expect(question() != nil, "it is asked anew")
        try await history.settle()
        #expect(history.states() == ["ready", "ready", "ready", "ready"])
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test func hardwareThatTheServerHasNoMemoryForIsRefusedWithWhatIsLeft() async throws {
        let history = try await atRest()
        let desktop = try history.room.desktop(named: "room1-2")
        let left = ByteCount.mebibytes(6 * 1024 - 2 * 1024 - 160 - 256) - Room.memoryNeeded(by: lab.profile) * 4
        let much = Profile(vcpus: 1, memory: .gibibytes(3))
        let more = Room.memoryNeeded(by: much) - Room.memoryNeeded(by: lab.profile)
        #expect(
            throws: BrokerError.invalid(
                field: "memory", value: "3 GiB",
                remedy: "it takes \(more) more than now, and the server has \(left) left beside what its labs are to have")
        ) { try history.room.consequences(of: much, for: desktop) }
        #expect(throws: BrokerError.self) { try history.room.consequences(of: Profile(vcpus: 33, memory: .mebibytes(256)), for: desktop) }
        #expect(throws: BrokerError.self) { try history.room.consequences(of: Profile(vcpus: 1, memory: .mebibytes(128)), for: desktop) }
    }

    @Test func theNextWishIsAnsweredWhileTheServerIsBeingMeasuredForTheOneBefore() async throws {
        var history = try await atRest()
        let (first, second) = (try history.room.desktop(named: "room1-1"), try history.room.desktop(named: "room1-2"))
        let own = Profile(vcpus: 1, memory: .mebibytes(512))
        try await world.store.setOwnProfile(of: first.id, to: own)
        history.take(.ownProfileChanged(first.id, own))
        #expect(history.room.capacity == nil && history.room.measuring != nil)
        #expect(try !history.room.consequences(of: own, for: second).isEmpty)
        #expect {
            try history.room.consequences(of: Profile(vcpus: 1, memory: .gibibytes(100)), for: second)
        } throws: { "\($0)".contains("left beside what its labs are to have") }
        #expect(history.room.hasTriedToMeasure)
    }

    @Test func whatADesktopHasOfItsOwnIsLessForItsLabAndForOthers() async throws {
        var history = try await atRest()
        let before = try #require(history.room.holds(of: lab.profile, try history.room.image(lab.image), inPlaceOf: lab.id)).desktops
        try await give(try history.room.desktop(named: "room1-2").id, Profile(vcpus: 1, memory: .gibibytes(1)), &history)
        // Three times its lab's 256 MiB more.
        let after = try #require(history.room.holds(of: lab.profile, try history.room.image(lab.image), inPlaceOf: lab.id)).desktops
        #expect(before - after == 3)
    }
}
