import Hypervisor
import Testing

@Suite struct SimulatedClockTests {
    @Test func aClockWithASpeedGoesByItselfThatManyTimesAsFast() async throws {
        let clock = SimulatedClock(speed: 1_000)
        let real = ContinuousClock.now
        let began = clock.now
        try await clock.sleep(until: began.advanced(by: .seconds(30)))
        let passed = began.duration(to: clock.now)
        #expect(passed >= .seconds(30))
        // Both were read within the other's reach.
        #expect(passed <= real.duration(to: .now) * 1_000)
        #expect(!clock.advance(), "it is not told to go on")
    }

    @Test func whoSleepsByItIsWokenWhereItsTaskIsCancelled() async throws {
        let clock = SimulatedClock(speed: 1)
        let sleeper = Task { try await clock.sleep(until: clock.now.advanced(by: .seconds(3_600))) }
        sleeper.cancel()
        await #expect(throws: CancellationError.self) { try await sleeper.value }
    }
}
