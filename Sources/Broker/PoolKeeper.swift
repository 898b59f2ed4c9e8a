import DesktopModel
import Hypervisor
import Logging

/// Carries out the steps by which desktops are made and removed, those of one desktop one after the other.
///
/// It decides nothing: what came of a step goes back to the room as an event.
actor PoolKeeper {
    private let host: any DomainHost
    private let disks: any DiskStore
    private let readiness: Readiness
    private let clock: BrokerClock
    private let report: @Sendable (RoomEvent) async -> Void
    /// The last step of each desktop that was asked for; the next one waits for it.
    private var lanes: [DesktopID: Task<Void, Never>] = [:]
    /// Waits for readiness, which a removal breaks off.
    private var waits: [DesktopID: Task<Void, Never>] = [:]

    init(
        host: any DomainHost, disks: any DiskStore, readiness: Readiness, clock: BrokerClock,
        report: @escaping @Sendable (RoomEvent) async -> Void
    ) {
        self.host = host
        self.disks = disks
        self.readiness = readiness
        self.clock = clock
        self.report = report
    }

    /// Takes a step in and returns; its outcome is reported.
    func begin(_ step: Step, of desktop: DesktopID, _ generation: Generation) {
        if case .remove = step { waits.removeValue(forKey: desktop)?.cancel() }
        let before = lanes[desktop]
        let lane = Task {
            await before?.value
            let outcome = await carryOut(step)
            await report(
                outcome.map { .stepDone(desktop, generation, $0) } recovering: { .stepFailed(desktop, generation, cause: $0) })
        }
        lanes[desktop] = lane
        if case .awaitReadiness = step { waits[desktop] = lane }
    }

    /// Breaks off what waits; steps inside Xen go on to their end.
    func stop() {
        for wait in waits.values { wait.cancel() }
    }

    private nonisolated func carryOut(_ step: Step) async -> Outcome {
        do {
            switch step {
            case .layOverlay(let blank, let name):
                return .done(.overlayLaid(path: try await disks.layOverlay(of: blank, for: name)))
            case .build(let plan):
                try await host.create(plan)
                return .done(.domainBuilt)
            case .awaitReadiness(let domain, let address):
                try await host.unpause(domain)
                return .done(.answered(fingerprint: try await readiness.await(address, by: clock)))
            case .pause(let domain):
                try await host.pause(domain)
                return .done(.paused)
            case .remove(let domain, let overlay):
                try await host.destroy(domain)
                try await disks.removeOverlay(overlay)
                return .done(.removed)
            }
        } catch {
            return .failed(cause: "\(error)")
        }
    }

    private enum Outcome {
        case done(StepOutcome)
        case failed(cause: String)

        func map(_ transform: (StepOutcome) -> RoomEvent, recovering: (String) -> RoomEvent) -> RoomEvent {
            switch self {
            case .done(let outcome): transform(outcome)
            case .failed(let cause): recovering(cause)
            }
        }
    }
}
