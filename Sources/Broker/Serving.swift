import DesktopModel
import Hypervisor
import Logging
import Synchronization

/// Has Xen do what desktops in use are to have: that they come first, their memory, their virtual CPUs.
///
/// For each domain there is one call at a time. It is tried until Xen has done it or the domain is gone; a newer wish takes the place of an older
/// one, which is not tried again and never comes after it. Any task; calls return at once.
final class Serving: Sendable {
    private struct Wish {
        let number: UInt64
        let task: Task<Void, Never>
    }

    private struct State {
        var next: UInt64 = 1
        var newest: [DomainUUID: Wish] = [:]
    }

    private let serve: @Sendable (DomainUUID, Profile) async throws(HypervisorError) -> Void
    /// How long a call that failed waits for its next try: one after the other, then the last again and again.
    private let pauses: [Duration]
    private let clock: BrokerClock
    private let logger: Logger
    private let state = Mutex(State())

    init(
        pauses: [Duration], clock: BrokerClock, logger: Logger, serve: @escaping @Sendable (DomainUUID, Profile) async throws(HypervisorError) -> Void
    ) {
        self.serve = serve
        self.pauses = pauses
        self.clock = clock
        self.logger = logger
    }

    deinit { end() }

    /// How many domains have not yet all that they are to have.
    var openCount: Int { state.withLock { $0.newest.count } }

    func give(_ profile: Profile, to domain: DomainUUID) {
        state.withLock { state in
            let former = state.newest[domain]?.task
            former?.cancel()
            let number = state.next
            state.next += 1
            let task = Task { [weak self] in
                await former?.value
                await self?.keepTrying(profile, domain)
                self?.close(domain, number)
            }
            state.newest[domain] = Wish(number: number, task: task)
        }
    }

    /// Tries nothing again.
    func end() { state.withLock { state in for wish in state.newest.values { wish.task.cancel() } } }

    private func close(_ domain: DomainUUID, _ number: UInt64) {
        state.withLock { if $0.newest[domain]?.number == number { $0.newest[domain] = nil } }
    }

    private func keepTrying(_ profile: Profile, _ domain: DomainUUID) async {
        var pauses = pauses[...]
        while !Task.isCancelled {
            do throws(HypervisorError) {
                return try await serve(domain, profile)
            } catch .noSuchDomain {
                return
            } catch {
                logger.warning("a desktop does not come first yet, or has not all that it is to have", metadata: ["domain": "\(domain)", "cause": "\(error)"])
            }
            let pause = pauses.count > 1 ? pauses.removeFirst() : pauses.first ?? .seconds(300)
            guard (try? await clock.sleep(for: pause)) != nil else { return }
        }
    }
}
