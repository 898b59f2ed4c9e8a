import DesktopModel
import Testing

@Suite struct LifecycleTests {
    private static let session = SessionID(rawValue: 5)
    private static let other = SessionID(rawValue: 6)

    private static let states: [DesktopState] =
        [.empty] + PreparationStep.allCases.map { .preparing($0) }
        + [.ready, .leased(session), .retiring, .quarantined(cause: .outside("why"), holding: true), .quarantined(cause: .outside("why"), holding: false)]

    private static let changes: [DesktopChange] =
        [.prepare] + PreparationStep.allCases.map { .advance(to: $0) }
        + [
            .parked, .lease(other), .retire, .removed, .quarantine(cause: .outside("because"), holding: true),
            .quarantine(cause: .outside("because"), holding: false), .retry,
        ]

    /// Every way there is; what is not here is not possible.
    private static let table: [DesktopState: [DesktopChange: DesktopState]] = [
        .empty: [.prepare: .preparing(.overlay)],
        .preparing(.overlay): [.advance(to: .domain): .preparing(.domain), .retire: .retiring],
        .preparing(.domain): [
            .advance(to: .identity): .preparing(.identity), .advance(to: .readiness): .preparing(.readiness), .retire: .retiring,
        ],
        .preparing(.identity): [.advance(to: .readiness): .preparing(.readiness), .retire: .retiring],
        .preparing(.readiness): [
            .advance(to: .freezing): .preparing(.freezing), .advance(to: .parking): .preparing(.parking), .retire: .retiring,
        ],
        .preparing(.freezing): [.retire: .retiring],
        .preparing(.parking): [.parked: .ready, .retire: .retiring],
        .ready: [.lease(other): .leased(other), .retire: .retiring],
        .leased(session): [.retire: .retiring],
        .retiring: [
            .removed: .empty, .quarantine(cause: .outside("because"), holding: true): .quarantined(cause: .outside("because"), holding: true),
            .quarantine(cause: .outside("because"), holding: false): .quarantined(cause: .outside("because"), holding: false),
        ],
        .quarantined(cause: .outside("why"), holding: true): [.retry: .retiring, .retire: .retiring],
        .quarantined(cause: .outside("why"), holding: false): [.retry: .empty, .retire: .retiring],
    ]

    @Test func everyChangeOfEveryStateIsAsTheTableSays() {
        #expect(Set(Self.states) == Set(Self.table.keys))
        for state in Self.states {
            for change in Self.changes {
                #expect(state.after(change) == Self.table[state]?[change], "\(state), \(change)")
            }
        }
    }

    @Test func fromALeaseReadyIsReachedThroughRetiringEmptyAndANewGenerationOnly() {
        // All states that can be reached from a lease without passing the forbidden state are walked.
        func reachable(without forbidden: DesktopState) -> Set<DesktopState> {
            var seen: Set<DesktopState> = [.leased(Self.session)]
            var open = seen
            while let state = open.popFirst() {
                for change in Self.changes {
                    guard let next = state.after(change), next != forbidden, seen.insert(next).inserted else { continue }
                    open.insert(next)
                }
            }
            return seen
        }
        #expect(reachable(without: .leased(Self.other)).contains(.ready), "the walk itself reaches ready")
        for needed in [DesktopState.retiring, .empty, .preparing(.overlay), .preparing(.readiness), .preparing(.parking)] {
            #expect(!reachable(without: needed).contains(.ready), "\(needed) can be passed by")
        }
    }

    @Test func everyStateHasAWordOfItsOwnKind() {
        #expect(Set(Self.states.map(\.word)) == ["empty", "preparing", "ready", "leased", "retiring", "quarantined"])
    }

    @Test func onlyWhatIsEmptyOrHoldsNothingIsOutOfTheBooks() {
        let free = Self.states.filter { !$0.holdsResources }
        #expect(Set(free) == [.empty, .quarantined(cause: .outside("why"), holding: false)])
    }
}
