import DesktopModel
import Hypervisor
import Logging
import Synchronization
import Testing

@testable import Broker

/// What desktops in use are to have is done by Xen: tried until it is, and the newest wish last.
struct ServingTests {
    private let domain = DomainUUID(installation: 1, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))
    private let asked = Asked()

    /// What was asked of Xen, and how each call ends: none before it is let.
    private final class Asked: Sendable {
        private struct State {
            var profiles: [Int] = []
            var under = 0, most = 0
            var waiting: [CheckedContinuation<HypervisorError?, Never>] = []
        }
        private let state = Mutex(State())

        var processors: [Int] { state.withLock { $0.profiles } }
        /// How many calls were under way at once, at most.
        var most: Int { state.withLock { $0.most } }

        func take(_ profile: Profile) async throws(HypervisorError) {
            let failure: HypervisorError? = await withCheckedContinuation { continuation in
                state.withLock {
                    $0.profiles.append(profile.vcpus)
                    $0.under += 1
                    $0.most = max($0.most, $0.under)
                    $0.waiting.append(continuation)
                }
            }
            state.withLock { $0.under -= 1 }
            if let failure { throw failure }
        }

        func end(with failure: HypervisorError?) { state.withLock { $0.waiting.removeFirst() }.resume(returning: failure) }
    }

    private func serving(pause: Duration = .milliseconds(1)) -> Serving {
        Serving(pauses: [pause], clock: BrokerClock(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
            [asked] _, profile throws(HypervisorError) in try await asked.take(profile)
        }
    }

    private func eventually(_ holds: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end, !holds() { try? await Task.sleep(for: .milliseconds(1)) }
        return holds()
    }

    private func profile(_ vcpus: Int) -> Profile { Profile(vcpus: vcpus, memory: .mebibytes(256)) }

    @Test func whatFailsIsTriedAgainAndWhatIsGoneIsNot() async {
        let serving = serving()
        serving.give(profile(1), to: domain)
        #expect(await eventually { asked.processors == [1] })
        asked.end(with: .unavailable("xenstored is away"))
        #expect(await eventually { asked.processors == [1, 1] })
        asked.end(with: .noSuchDomain(domain))
        #expect(await eventually { serving.openCount == 0 })
        #expect(asked.processors == [1, 1])
    }

    @Test func aNewerWishComesAfterTheCallThatIsUnderWayAndTheOlderIsNotTriedAgain() async {
        let serving = serving(pause: .seconds(3600))
        serving.give(profile(4), to: domain)
        #expect(await eventually { asked.processors == [4] })
        serving.give(profile(3), to: domain)
        serving.give(profile(2), to: domain)
        asked.end(with: .unavailable("xenstored is away"))
        #expect(await eventually { asked.processors == [4, 2] })
        // Xen is away once more, and somebody changes the lab again: that does not wait for the next try.
        asked.end(with: .unavailable("xenstored is away"))
        serving.give(profile(1), to: domain)
        #expect(await eventually { asked.processors == [4, 2, 1] })
        asked.end(with: nil)
        #expect(await eventually { serving.openCount == 0 })
        #expect(asked.most == 1)
    }

    @Test func nothingIsTriedAgainOnceTheBrokerEnds() async {
        let serving = serving(pause: .seconds(3600))
        serving.give(profile(1), to: domain)
        #expect(await eventually { asked.processors == [1] })
        asked.end(with: .unavailable("xenstored is away"))
        serving.end()
        #expect(await eventually { serving.openCount == 0 })
    }
}
