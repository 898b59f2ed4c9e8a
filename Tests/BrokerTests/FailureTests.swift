import DesktopModel
import DesktopStore
import Foundation
import Hypervisor
import Synchronization
import Testing

@testable import Broker

/// What fails: its cause in plain words, its console's last lines, its pauses, and what is told of it.
struct FailureTests {
    /// A room of one desktop that stands at a step of its first making.
    private func room(at step: PreparationStep, size: Int = 1) async throws -> (World, History) {
        let world = try World()
        _ = try await world.furnish(size: size, hasGuest: step == .identity)
        var history = try await History(world, settings: .booting)
        try await history.advance(to: step)
        return (world, history)
    }

    @Test(arguments: [PreparationStep.domain, .identity, .readiness, .parking])
    func aFailedMakingKeepsItsConsolesLastLinesAndNothingElseDoes(step: PreparationStep) async throws {
        var (world, history) = try await room(at: step)
        world.consoles["room1-1-g1"] = ["Linux boots", "Kernel panic"]
        try history.fail("it hangs")
        try await history.settle()
        let desktop = try history.only
        #expect(desktop.state == .quarantined(cause: "it hangs", holding: false))
        let failure = Failure(count: 1, generation: Generation(rawValue: 1), step: step, cause: "it hangs", console: ["Linux boots", "Kernel panic"])
        #expect(desktop.failure == failure)
        #expect(try await world.store.room().desktops.first?.failure == failure)
        #expect(world.consoles.isEmpty)

        history.passTime()
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(try history.only.failure == nil)
        #expect(try await world.store.room().desktops.first?.failure == nil)
        #expect(world.consoles.keys.sorted() == ["room1-1-g2"])
    }

    @Test func aConsoleThatIsNeverReadHoldsNothingUp() async throws {
        var (_, history) = try await room(at: .readiness)
        try history.fail("it hangs")
        for _ in 0..<3 {
            while let index = history.possible.first(where: { index in
                if case .readConsole = history.pending[index] { false } else { true }
            }) {
                try await history.doEffect(index)
            }
            history.passTime()
        }
        #expect(history.states() == ["ready"])
        // What comes now is of a failure that was overcome.
        history.take(.consoleRead(try history.only.id, Generation(rawValue: 1), ["late"]))
        #expect(try history.only.failure == nil)
        #expect(history.pending.allSatisfy { if case .record = $0 { false } else { true } })
    }

    @Test func linesOfOneGenerationAreNeverShownAsAnothers() async throws {
        var (_, history) = try await room(at: .readiness)
        try history.fail("it hangs")
        history.take(.consoleRead(try history.only.id, Generation(rawValue: 2), ["of another"]))
        #expect(try history.only.failure?.console == [])
        try await history.settle()
        #expect(try history.only.failure?.console == ["room1-1-g1 boots"])
        history.passTime()
        try await history.advance(to: .readiness)
        history.take(.consoleRead(try history.only.id, Generation(rawValue: 1), ["late"]))
        try history.fail("again")
        #expect(try history.only.failure?.generation == Generation(rawValue: 2))
        #expect(try history.only.failure?.console == [])
    }

    @Test func theConsoleOfAGenerationThatAPupilHadIsNeverRead() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 1)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world)
        try await history.settle()
        let claim = history.claim(seat)
        try await history.settle()
        history.take(.end(try #require(history.session(from: claim)), .logOff))
        try history.fail("Xen holds it", removal: true)
        while let record = history.possible.first(where: { if case .record = history.pending[$0] { true } else { false } }) {
            try await history.doEffect(record)
        }
        #expect(try history.only.state == .quarantined(cause: "it could not be removed: Xen holds it", holding: true))
        try await history.crash()
        #expect(!history.pending.contains { if case .readConsole = $0 { true } else { false } })
        try await history.settle()
        #expect(history.states() == ["ready"])
        #expect(world.consoles.keys.sorted() == ["room1-1-g2"])
    }

    @Test func thePausesGrowWithEachFailureInARow() async throws {
        var (_, history) = try await room(at: .readiness)
        var pauses: [Duration] = []
        for count in 1...6 {
            try history.fail("it hangs")
            try await history.settle()
            #expect(try history.only.failure?.count == count)
            let retryAt = try #require(history.room.works[try history.only.id]?.retryAt)
            #expect(history.room.explanation(of: try history.only).nextAt == retryAt)
            pauses.append(retryAt - history.instant)
            while try history.only.state.word == "quarantined" { history.passTime() }
            try await history.advance(to: .readiness)
        }
        #expect(pauses == [.seconds(2), .seconds(10), .seconds(30), .seconds(120), .seconds(300), .seconds(300)])
    }

    @Test func aRestartIsNeitherANextTryNorANewCount() async throws {
        let calendar = Calendar()
        let world = try World(clock: { calendar.now })
        _ = try await world.furnish(size: 1)
        var history = try await History(world)
        for _ in 1...4 {
            try await history.advance(to: .readiness)
            try history.fail("it hangs")
            try await history.settle()
            if try history.only.failure?.count != 4 { while try history.only.state.word == "quarantined" { history.passTime() } }
        }
        let failed = try #require(try history.only.failure)
        calendar.now += 45
        try await history.crash()
        try await history.settle()
        #expect(try history.only.state == .quarantined(cause: "it hangs", holding: false))
        #expect(try history.only.failure == failed)
        let work = try #require(history.room.works[try history.only.id])
        #expect(work.retryAt.map { $0 - history.instant } == .seconds(75))
        #expect(work.since.map { history.instant - $0 } == .seconds(45))

        // A calendar that was set back makes it wait no longer than the whole pause; one that was set forth, not at all.
        calendar.now -= 3_600
        try await history.crash()
        #expect(history.room.works[try history.only.id]?.retryAt.map { $0 - history.instant } == .seconds(120))
        calendar.now += 7_200
        try await history.crash()
        #expect(history.room.works[try history.only.id]?.retryAt == history.instant)
        history.passTime()
        try await history.settle()
        #expect(history.states() == ["ready"])
    }

    @Test func aCrashBetweenAFailureAndItsRemovalForgetsNeither() async throws {
        var (world, history) = try await room(at: .readiness)
        world.consoles["room1-1-g1"] = ["Kernel panic"]
        try history.fail("it hangs")
        let record = try #require(history.possible.first { if case .record = history.pending[$0] { true } else { false } })
        try await history.doEffect(record, reporting: false)
        try await history.crash()
        #expect(try history.only.state == .retiring)
        try await history.settle()
        #expect(try history.only.state == .quarantined(cause: "it hangs", holding: false))
        #expect(try history.only.failure?.console == ["Kernel panic"])
        #expect(world.consoles.isEmpty)
    }

    @Test func whoHasItMadeAnewBeginsWithoutAnyFailure() async throws {
        var (_, history) = try await room(at: .readiness)
        try history.fail("it hangs")
        try await history.settle()
        history.take(.remake(try history.only.id))
        #expect(try history.only.failure == nil)
        // The server is asked what it has now; no pause comes between.
        try await history.advance(to: .readiness)
        try history.fail("it hangs")
        // While it is still being removed as well: then no pause follows.
        history.take(.remake(try history.only.id))
        try await history.settle()
        #expect(history.states() == ["ready"])
    }

    @Test func anOutcomeOfAStepThatIsOverChangesNothing() async throws {
        var (_, history) = try await room(at: .readiness)
        let desktop = try history.only
        history.take(.stepFailed(desktop.id, desktop.generation, .making(.domain), cause: "late"))
        #expect(try history.only.state == .preparing(.readiness))
        history.passTime()
        #expect(history.states() == ["retiring"])
        history.take(.stepFailed(desktop.id, desktop.generation, .making(.readiness), cause: "late"))
        #expect(history.states() == ["retiring"])
        #expect(try history.only.failure?.count == 1)
    }

    @Test func whatWasFoundInPlaceOfRDPIsTheCause() async throws {
        var (_, history) = try await room(at: .readiness)
        let desktop = try history.only
        let finding: Sentence = "nothing answers at 10.88.0.11"
        history.take(.notReady(desktop.id, desktop.generation, finding: finding))
        #expect(history.room.note(on: try history.only)?.contains(finding.description) == true)
        history.passTime()
        #expect(try history.only.failure?.cause == "RDP did not answer within 420 s: \(finding)")
        try await history.settle()
        history.passTime()
        try await history.advance(to: .readiness)
        history.take(.notReady(desktop.id, desktop.generation, finding: "of the former generation"))
        #expect(history.room.works[desktop.id]?.finding == nil)
    }

    @Test func consolesOfGenerationsThatAreOverAreForgottenAtTheStart() async throws {
        var (world, history) = try await room(at: .parking, size: 2)
        try await history.settle()
        world.consoles.merge(
            [
                "room1-1-g7": ["a former pupil's"], "room1-9-g1": ["of a desktop that is gone"], "room1-1-gx": ["no desktop's"],
                "room2-1-g1": ["of no lab of ours"], "router": ["foreign"], "room1-5-g5": ["of a foreign domain that is called so"],
            ], uniquingKeysWith: { $1 })
        world.names[world.foreign] = "room1-5-g5"
        try await history.crash()
        try await history.settle()
        #expect(world.consoles.keys.sorted() == ["room1-1-g1", "room1-1-gx", "room1-2-g1", "room1-5-g5", "room2-1-g1", "router"])
    }

    // MARK: Explanations

    @Test func everyStateIsExplainedWithWhatHappensNext() async throws {
        let world = try World()
        let lab = try await world.furnish(size: 3, hasGuest: true)[0]
        let seat = try await world.addSeats(1, lab: lab)[0]
        var history = try await History(world, settings: .booting)
        func told(_ name: String) throws -> Explanation { history.room.explanation(of: try history.room.desktop(named: name)) }
        // What the server has is asked first.
        try await history.doEffect(0)
        #expect(try told("room1-1").present == "it is being written to the database")
        while try told("room1-3").present == "it is being written to the database" { try await history.doEffect(history.possible[0]) }
        #expect(try told("room1-3").present == "others are being made first: 2 at once are under way, and more may not be")
        #expect(try told("room1-3").next == "it is made when its turn comes")
        let steps: [PreparationStep] = [.overlay, .domain, .identity, .readiness, .parking]
        for step in steps {
            try await history.advance(to: step)
            let told = try told("room1-1")
            #expect(told.meaning.hasPrefix("It is being made: step \((steps.firstIndex(of: step) ?? 9) + 1) of 5"))
            #expect(told.next.contains("within \(history.room.settings.deadline(of: step, in: .boot).text) has failed"))
            if step != .overlay { #expect(told.deadline == history.instant + history.room.settings.deadline(of: step, in: .boot)) }
        }
        try await history.settle()
        #expect(try told("room1-1").meaning.contains("it is parked"))
        #expect(try told("room1-1").nextAt == nil)

        let claim = history.claim(seat)
        #expect(try told("room1-1").present == "it is being handed out")
        try await history.settle()
        let session = try #require(history.session(from: claim))
        #expect(try told("room1-1").meaning == "It belongs to session \(session) of seat 'room1-seat-1'")
        #expect(try told("room1-1").present?.hasPrefix("nobody is connected") == true)
        #expect(try told("room1-1").deadline == history.instant + .seconds(60))
        history.take(.linkOpened(session, 1))
        #expect(try told("room1-1").present == "its seat is connected")
        #expect(try told("room1-1").remedies == ["'punnet session end \(session)' ends its session"])

        history.take(.end(session, .logOff))
        #expect(try told("room1-1").meaning.contains("is being removed"))
        #expect(try told("room1-1").next == "it is made anew")
        #expect(try told("room1-1").deadline == history.instant + history.room.settings.removalDeadline)
        try history.fail("Xen holds it", removal: true)
        let undying = try told("room1-1")
        #expect(undying.meaning.contains("stays in the books"))
        #expect(undying.next == "its removal is tried again")
        #expect(undying.nextAt == history.instant + .seconds(2))
        #expect(undying.remedies.contains { $0.contains("xl destroy") && $0.contains("room1-1-g1") })

        history.passTime()
        try await history.advance(to: .domain)
        try history.fail("Xen builds nothing")
        #expect(try told("room1-1").present == "its making failed: Xen builds nothing")
        #expect(try told("room1-1").next.contains("10 s after"))
        try await history.settle()
        #expect(try told("room1-1").meaning.hasPrefix("Making it has failed (2 failures in a row)."))
        #expect(try told("room1-1").remedies == ["'punnet desktop remake room1-1' makes it anew at once"])
        #expect(throws: BrokerError.unknownDesktop("room1-7")) { try history.room.desktop(named: "room1-7") }
    }

    @Test func whatDoesNotFitIsToldWithWhatItNeeds() async throws {
        let world = try World()
        world.totalMemory = .gibibytes(2) + .mebibytes(900)
        _ = try await world.furnish(size: 2)
        var history = try await History(world)
        try await history.settle()
        let told = history.room.explanation(of: try #require(history.room.desktops.values.first { $0.state == .empty }))
        #expect(told.present?.contains("it does not fit the server now: it needs 519 MiB of memory") == true)
        #expect(told.nextAt == history.instant + .seconds(30))
        #expect(told.remedies.contains { $0.contains("punnet lab set room1") })
    }

    private final class Calendar: Sendable {
        private let seconds = Mutex<StoredSeconds>(1_700_000_000)
        var now: StoredSeconds {
            get { seconds.withLock { $0 } }
            set { seconds.withLock { $0 = newValue } }
        }
    }
}

extension History {
    /// The room's only desktop.
    var only: Desktop {
        get throws { try #require(room.desktops.values.first) }
    }

    /// Does what waits until the first desktop stands at this step, and its step is asked for.
    mutating func advance(to step: PreparationStep) async throws {
        func stands() -> Bool {
            guard let desktop = room.desktops.values.min(by: { $0.id < $1.id }), desktop.state == .preparing(step) else { return false }
            if step == .overlay { return true }
            return pending.contains { if case .step(desktop.id, _, let asked) = $0 { asked.kind == .making(step) } else { false } }
        }
        while !stands() {
            let first = try #require(possible.first)
            try await doEffect(first)
        }
    }

    /// Lets the step that the first desktop is at fail.
    fileprivate mutating func fail(_ cause: Sentence, removal: Bool = false) throws {
        let desktop = try #require(room.desktops.values.min { $0.id < $1.id })
        let index = try #require(
            pending.firstIndex { effect in
                guard case .step(desktop.id, _, let step) = effect else { return false }
                return (step.kind == .removal) == removal
            })
        guard case .step(_, let generation, let step) = pending.remove(at: index) else { return }
        take(.stepFailed(desktop.id, generation, step.kind, cause: cause))
    }
}
