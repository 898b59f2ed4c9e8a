import DesktopModel
import Testing

@testable import Broker

/// Claims, links, ends and the line.
struct SessionTests {
    @Test func aSeatThatAsksAgainSinceItsStartGetsItsSessionBackWithANewTicket() async throws {
        var (world, history, seats) = try await furnished(size: 2, seats: 1)
        let first = try await claim(&history, seats[0], ticket: 1)
        let ticket = history.room.sessions[first.session!]?.session.ticket
        let second = try await claim(&history, seats[0], ticket: 2)
        #expect(second.session == first.session)
        #expect(history.answer(to: second.id) == .success(.desktop(first.session!, resumed: true)))
        #expect(history.room.sessions[first.session!]?.session.ticket != ticket)
        #expect(try await world.store.room().sessions.first?.ticket == history.room.sessions[first.session!]?.session.ticket)
        #expect(world.violations == [])
    }

    @Test func aSeatThatWasStartedAnewGetsAFreshDesktop() async throws {
        var (world, history, seats) = try await furnished(size: 2, seats: 1)
        let first = try await claim(&history, seats[0], boot: "boot-1")
        let desktop = history.room.sessions[first.session!]?.session.desktop
        let second = try await claim(&history, seats[0], boot: "boot-2")
        #expect(second.session != nil && second.session != first.session)
        #expect(history.room.sessions[second.session!]?.session.desktop != desktop)
        #expect(history.told.contains { $0 == (seats[0], .ended(first.session!, .seatRestarted)) })
        #expect(world.violations == [])
    }

    @Test func aLinkRestoredWithinTheGraceTimeKeepsItsSessionAndALaterOneDoesNot() async throws {
        var (_, history, seats) = try await furnished(size: 1, seats: 1)
        let session = try await claim(&history, seats[0]).session!
        history.take(.linkOpened(session, 1))
        #expect(history.room.sessions[session]?.deadline == nil)
        history.take(.linkClosed(session, 1))
        history.instant = history.instant + .seconds(59)
        history.take(.timePassed)
        #expect(history.room.sessions[session] != nil)
        history.take(.linkOpened(session, 2))
        history.instant = history.instant + .seconds(3600)
        history.take(.timePassed)
        #expect(history.room.sessions[session] != nil)
        history.take(.linkClosed(session, 2))
        history.passTime()
        #expect(history.room.sessions[session] == nil)
        #expect(history.told.contains { $0 == (seats[0], .ended(session, .linkLost)) })
    }

    @Test func aReplacedLinkDoesNotStartTheGraceTime() async throws {
        var (_, history, seats) = try await furnished(size: 1, seats: 1)
        let session = try await claim(&history, seats[0]).session!
        history.take(.linkOpened(session, 1))
        history.take(.linkOpened(session, 2))
        history.take(.linkClosed(session, 1))
        #expect(history.room.sessions[session]?.deadline == nil)
    }

    @Test func whoWaitsIsToldItsPlaceAndServedInOrder() async throws {
        var (world, history, seats) = try await furnished(size: 1, seats: 3)
        for seat in seats { history.take(.seatPresent(seat)) }
        let first = try await claim(&history, seats[0]).session!
        let second = try await claim(&history, seats[1])
        let third = try await claim(&history, seats[2])
        #expect(history.answer(to: second.id) == .success(.place(1)))
        #expect(history.answer(to: third.id) == .success(.place(2)))
        history.take(.end(first, .logOff))
        try await history.settle()
        #expect(history.told.contains { $0 == (seats[1], .offer(within: .seconds(10))) })
        #expect(!history.told.contains { $0 == (seats[2], .offer(within: .seconds(10))) })
        // Who was not offered it does not get it, however often it asks.
        let pushy = try await claim(&history, seats[2])
        #expect(history.answer(to: pushy.id) == .success(.place(2)))
        let served = try await claim(&history, seats[1])
        #expect(served.session != nil)
        #expect(history.told.contains { $0 == (seats[2], .place(1)) })
        #expect(world.violations == [])
    }

    @Test func whoLetsAnOfferPassMakesRoomForTheNext() async throws {
        var (_, history, seats) = try await furnished(size: 1, seats: 3)
        for seat in seats { history.take(.seatPresent(seat)) }
        let first = try await claim(&history, seats[0]).session!
        _ = try await claim(&history, seats[1])
        _ = try await claim(&history, seats[2])
        history.take(.end(first, .logOff))
        try await history.settle()
        history.passTime()
        #expect(history.told.contains { $0 == (seats[2], .offer(within: .seconds(10))) })
        #expect(history.room.lines.values.first?.map(\.seat) == [seats[2], seats[1]])
    }

    @Test func aWaitingSeatThatIsGoneLeavesTheLine() async throws {
        var (_, history, seats) = try await furnished(size: 1, seats: 3)
        for seat in seats { history.take(.seatPresent(seat)) }
        _ = try await claim(&history, seats[0])
        _ = try await claim(&history, seats[1])
        _ = try await claim(&history, seats[2])
        history.take(.seatAbsent(seats[1]))
        history.passTime()
        #expect(history.room.lines.values.first?.map(\.seat) == [seats[2]])
        #expect(history.told.contains { $0 == (seats[2], .place(1)) })
    }

    @Test func aDesktopThatDiesWhileItIsHandedOutCostsTheSeatNothing() async throws {
        var (world, history, seats) = try await furnished(size: 2, seats: 1)
        let id = history.claim(seats[0])
        try await history.doEffect(0)
        let session = try #require(history.room.sessions.values.first)
        let uuid = try #require(history.room.desktops[session.session.desktop].map(history.room.uuid))
        world.domains[uuid] = nil
        try await history.settle()
        #expect(history.session(from: id) != nil)
        #expect(history.session(from: id) != session.session.id)
        #expect(world.violations == [])
    }

    @Test func aDesktopThatEndsItselfEndsItsSession() async throws {
        var (world, history, seats) = try await furnished(size: 1, seats: 1)
        let session = try await claim(&history, seats[0]).session!
        let uuid = try #require(history.room.desktops.values.first.map(history.room.uuid))
        history.take(.domainEnded(uuid, .shutDown))
        #expect(history.told.contains { $0 == (seats[0], .ended(session, .desktopDied)) })
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(world.violations == [])
    }

    @Test func aRemovedSeatLosesItsSession() async throws {
        var (_, history, seats) = try await furnished(size: 1, seats: 1)
        let session = try await claim(&history, seats[0]).session!
        history.take(.seatChanged(seats[0], nil))
        #expect(history.room.sessions[session] == nil)
        let refused = history.claim(seats[0])
        #expect(history.answer(to: refused) == .failure(.unknownSeat("\(seats[0])")))
    }

    @Test func aBlockedSeatIsGivenNothingAndClaimsAgainWhenItIsNot() async throws {
        var (_, history, seats) = try await furnished(size: 1, seats: 2)
        for seat in seats { history.take(.seatPresent(seat)) }
        _ = try await claim(&history, seats[0])
        _ = try await claim(&history, seats[1])
        var seat = try #require(history.room.seats[seats[1]])
        seat.isBlocked = true
        history.take(.seatChanged(seats[1], seat))
        #expect(history.room.lines.values.allSatisfy { $0.isEmpty }, "it waits no longer")
        #expect(history.told.last.map { $0 == (seats[1], .offer(within: history.room.settings.offerTime)) } == true, "it learns why at once")
        let refused = history.claim(seats[1])
        #expect(history.answer(to: refused) == .failure(.seatIsBlocked(seat.name)))
        let before = history.told.count
        seat.isBlocked = false
        history.take(.seatChanged(seats[1], seat))
        #expect(history.told.count == before + 1)
        let again = history.claim(seats[1])
        #expect(history.answer(to: again) == .success(.place(1)))
        #expect(history.room.sessions.values.map(\.session.seat) == [seats[0]], "another's session goes on")
    }

    @Test func aSeatThatWaitsAndIsMovedHasItsPlaceInTheOtherLab() async throws {
        var (world, history, seats) = try await furnished(size: 1, seats: 2)
        for seat in seats { history.take(.seatPresent(seat)) }
        _ = try await claim(&history, seats[0])
        _ = try await claim(&history, seats[1])
        let first = try #require(history.room.labs.values.first)
        let other = try await world.store.addLab(
            Lab(
                id: LabID(rawValue: 0), name: "other", image: first.image, profile: first.profile, size: 1, grace: .seconds(60), afterSession: .claimAgain))
        history.take(.labChanged(other))
        try await history.settle()
        var seat = try #require(history.room.seats[seats[1]])
        seat.lab = other.id
        history.take(.seatChanged(seats[1], seat))
        #expect(history.room.lines[first.id]?.isEmpty == true)
        #expect(history.told.last.map { $0 == (seats[1], .offer(within: history.room.settings.offerTime)) } == true)
        let session = try #require(try await claim(&history, seats[1]).session)
        #expect(history.room.sessions[session].flatMap { history.room.desktops[$0.session.desktop]?.lab } == other.id)
    }

    @Test func theRelaysListOfLinksIsTheTruthAfterARestart() async throws {
        var (_, history, seats) = try await furnished(size: 2, seats: 2)
        let kept = try await claim(&history, seats[0]).session!
        let lost = try await claim(&history, seats[1]).session!
        try await history.crash()
        let over = SessionID(rawValue: 4711)
        history.take(.linksAre([kept: [7], over: [8]]))
        #expect(history.room.sessions[kept]?.deadline == nil)
        #expect(history.room.sessions[lost]?.deadline != nil)
        #expect(history.closedLinks.contains(over))
    }

    @Test func aFailedMakingIsHeldWithItsCauseAndTriedAgainAfterGrowingPauses() async throws {
        let world = try World()
        _ = try await world.furnish(size: 1)
        var history = try await History(world)
        var pauses: [Duration] = []
        for _ in 0..<3 {
            while let first = history.possible.first {
                if case .step(_, _, .build) = history.pending[first] { history.failEffect(first) } else { try await history.doEffect(first) }
            }
            #expect(history.states() == ["quarantined"])
            let desktop = try #require(history.room.desktops.values.first)
            #expect(history.room.note(on: desktop)?.contains("it failed") == true)
            let retryAt = try #require(history.room.works[desktop.id]?.retryAt)
            pauses.append(retryAt - history.instant)
            history.passTime()
        }
        #expect(pauses == [.seconds(2), .seconds(10), .seconds(30)])
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(world.violations == [])
    }

    @Test func aStepThatNeverAnswersIsGivenUpAtItsDeadline() async throws {
        let world = try World()
        _ = try await world.furnish(size: 1)
        var history = try await History(world)
        while let first = history.possible.first {
            if case .step(_, _, .awaitReadiness) = history.pending[first] { break }
            try await history.doEffect(first)
        }
        history.passTime()
        #expect(history.states() == ["retiring"])
        try await history.settle()
        let desktop = try #require(history.room.desktops.values.first)
        #expect(history.room.note(on: desktop)?.contains("RDP did not answer within 420 s") == true)
        history.passTime()
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(world.violations == [])
    }

    @Test func aSmallerLabGivesBackItsFreeDesktopsAndNeverALeasedOne() async throws {
        var (world, history, seats) = try await furnished(size: 3, seats: 1)
        let session = try await claim(&history, seats[0]).session!
        var lab = try #require(history.room.labs.values.first)
        lab.size = 0
        history.take(.labChanged(lab))
        try await history.settle()
        #expect(history.states() == ["leased"])
        history.take(.end(session, .logOff))
        try await history.settle()
        #expect(history.room.desktops.isEmpty)
        #expect(try await world.store.room().desktops.isEmpty)
        #expect(world.domains.keys.allSatisfy { $0 == world.foreign })
        #expect(world.overlays.isEmpty)
    }

    @Test func anotherProfileReachesEveryDesktopThatIsNotInUse() async throws {
        var (world, history, seats) = try await furnished(size: 3, seats: 1)
        let session = try await claim(&history, seats[0]).session!
        var lab = try #require(history.room.labs.values.first)
        lab.profile.memory = .mebibytes(640)
        history.take(.labChanged(lab))
        try await history.settle()
        #expect(history.states().sorted() == ["leased", "ready", "ready"])
        #expect(history.room.desktops.values.filter { $0.state == .ready }.allSatisfy { $0.profile == lab.profile })
        history.take(.end(session, .logOff))
        try await history.settle()
        #expect(history.room.desktops.values.allSatisfy { $0.state == .ready && $0.profile == lab.profile })
        #expect(world.violations == [])
    }

    private func furnished(size: Int, seats: Int) async throws -> (World, History, [SeatID]) {
        let world = try World()
        let lab = try await world.furnish(size: size)[0]
        let seats = try await world.addSeats(seats, lab: lab)
        var history = try await History(world)
        try await history.settle()
        return (world, history, seats)
    }

    private func claim(
        _ history: inout History, _ seat: SeatID, boot: String = "boot-1", ticket: UInt8 = 1
    ) async throws -> (id: ClaimID, session: SessionID?) {
        let id = history.claim(seat, boot: boot, ticket: ticket)
        try await history.settle()
        return (id, history.session(from: id))
    }
}
