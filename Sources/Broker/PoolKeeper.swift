import DesktopModel
import Hypervisor
import Logging

/// Carries out the steps by which desktops are made and removed, those of one desktop one after the other.
///
/// It decides nothing: what came of a step goes back to the room as an event.
actor PoolKeeper {
    private let host: any DomainHost
    private let disks: any DiskStore
    private let identities: Identities
    private let readiness: Readiness
    private let clock: BrokerClock
    private let report: @Sendable (RoomEvent) async -> Void
    /// The last step of each desktop that was asked for; the next one waits for it.
    private var lanes: [DesktopID: Task<Void, Never>] = [:]
    /// Waits for a guest, which a removal breaks off.
    private var waits: [DesktopID: Task<Void, Never>] = [:]

    init(
        host: any DomainHost, disks: any DiskStore, identities: Identities, readiness: Readiness, clock: BrokerClock,
        report: @escaping @Sendable (RoomEvent) async -> Void
    ) {
        self.host = host
        self.disks = disks
        self.identities = identities
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
            switch await carryOut(step, of: desktop, generation) {
            case .done(let outcome): await report(.stepDone(desktop, generation, outcome))
            case .failed(let cause, let isSpoilt):
                await report(.stepFailed(desktop, generation, step.kind, cause: cause, isSpoilt: isSpoilt))
            case .brokenOff: break
            }
        }
        lanes[desktop] = lane
        switch step {
        case .settle, .awaitReadiness, .freeze, .air: waits[desktop] = lane
        case .layOverlay, .layOverlayOver, .build, .restore, .pause, .remove: break
        }
    }

    /// Breaks off the airing of a desktop, if there is one.
    func endAiring(of desktop: DesktopID) { waits[desktop]?.cancel() }

    /// Breaks off what waits; steps inside Xen go on to their end.
    func stop() {
        for wait in waits.values { wait.cancel() }
    }

    private nonisolated func carryOut(_ step: Step, of desktop: DesktopID, _ generation: Generation) async -> Outcome {
        do {
            switch step {
            case .layOverlay(let blank, let name):
                return .done(.overlayLaid(path: try await disks.layOverlay(of: blank, for: name)))
            case .layOverlayOver(let checkpoint, let name):
                return .done(.overlayLaid(path: try await disks.layOverlay(over: checkpoint, for: name)))
            case .build(let plan):
                try await host.create(plan)
                return .done(.domainBuilt)
            case .restore(let plan, let checkpoint):
                try await host.restore(plan, from: disks.memory(of: checkpoint))
                return .done(.domainBuilt)
            case .settle(let domain, let hostname, let user):
                let drawn = try identities.draw(hostname, user)
                try await host.announce(drawn.identity, to: domain)
                try await host.unpause(domain)
                try await host.settled(domain, call: drawn.identity.call)
                return .done(.settled(password: drawn.password))
            case .awaitReadiness(let domain, let address):
                try await host.unpause(domain)
                let fingerprint = try await readiness.await(address, by: clock) { finding in
                    await report(.notReady(desktop, generation, finding: finding))
                }
                return .done(.answered(fingerprint: fingerprint))
            case .freeze(let domain, let overlay, let checkpoint):
                try await restOf(domain)
                let memory = try await host.shrink(domain)
                // A removal does not wait until all of it is saved.
                try Task.checkCancellation()
                try await host.save(domain, to: try await disks.beginCheckpoint(checkpoint))
                // Only then its disk is whole in the file, and nobody else's.
                try await host.destroy(domain)
                try await disks.sealCheckpoint(checkpoint, from: overlay)
                return .done(.frozen(memory: memory))
            case .pause(let domain):
                try await host.pause(domain)
                return .done(.paused)
            case .air(let domain, let address, let fingerprint):
                return try await air(domain, address, fingerprint)
            case .remove(let domain, let overlay):
                try await host.destroy(domain)
                try await disks.removeOverlay(overlay)
                return .done(.removed)
            }
        } catch is CancellationError {
            return .brokenOff
        } catch {
            let isSpoilt = if case .spoiltCheckpoint? = error as? HypervisorError { true } else { false }
            return .failed(cause: step.cause(of: error), isSpoilt: isSpoilt)
        }
    }

    /// Lets a parked domain run until its RDP has answered. However that ends, it is parked then: what a session may wait for is not over before.
    private nonisolated func air(_ domain: DomainUUID, _ address: IPv4Address, _ fingerprint: [UInt8]) async throws -> Outcome {
        try await host.unpause(domain)
        let found = try? await readiness.await(address, by: clock) { _ in }
        try await host.pause(domain)
        if let found, found != fingerprint { return .failed(cause: Cause.otherCertificate(address)) }
        return .done(.aired)
    }

    /// Waits until a guest does next to nothing: what it would go on with would be gone on with in each of its clones. A minute at most.
    ///
    /// Xen counts what a domain's processors have worked and tells nobody of it, so it is asked once a second.
    private nonisolated func restOf(_ domain: DomainUUID) async throws {
        let pause = Duration.seconds(1)
        var before: Duration?
        var quiet = 0
        for _ in 0..<60 {
            guard let worked = try await host.domains().first(where: { $0.uuid == domain })?.worked else { return }
            quiet = before.map { worked - $0 < pause / 4 } == true ? quiet + 1 : 0
            if quiet == 2 { return }
            before = worked
            try await clock.sleep(for: pause)
        }
    }

    private enum Outcome {
        case done(StepOutcome)
        case failed(cause: Sentence, isSpoilt: Bool = false)
        /// By the desktop's removal or the daemon's end, which go on from there.
        case brokenOff
    }
}
