import DesktopModel
import Hypervisor
import Synchronization

extension DomainContract {
    static let guests: [Check] = [
        Check("a guest takes over what was laid out before it ran, and the wait ends") { rig in
            let plan = try await rig.plan(1, does: .takesOver)
            let identity = identity(1)
            try await rig.host.create(plan)
            try await rig.host.announce(identity, to: plan.uuid)
            try await rig.host.unpause(plan.uuid)
            try await rig.host.settled(plan.uuid, call: identity.call)
            // What is done may be asked for again.
            try await rig.host.settled(plan.uuid, call: identity.call)
        },
        Check("what is laid out anew takes the former's place") { rig in
            let plan = try await rig.plan(1, does: .takesOver)
            try await rig.host.create(plan)
            try await rig.host.announce(identity(1), to: plan.uuid)
            try await rig.host.announce(identity(2), to: plan.uuid)
            try await rig.host.unpause(plan.uuid)
            try await rig.host.settled(plan.uuid, call: identity(2).call)
            try await rig.host.announce(identity(3), to: plan.uuid)
            try await rig.host.settled(plan.uuid, call: identity(3).call)
            try await rig.waits(plan, for: identity(2))
        },
        Check("a guest that says nothing is waited for until the task is cancelled") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            try await rig.host.announce(identity(1), to: plan.uuid)
            try await rig.host.unpause(plan.uuid)
            _ = try await rig.heartbeat(of: plan, after: 0)
            try await rig.waits(plan, for: identity(1))
            try await rig.require(plan, is: .running)
        },
        Check("the end of a domain ends the wait for its guest") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            try await rig.host.announce(identity(1), to: plan.uuid)
            try await rig.host.unpause(plan.uuid)
            let host = rig.host
            let wait = Task { try await host.settled(plan.uuid, call: identity(1).call) }
            try await rig.letPass(.seconds(1))
            try await host.destroy(plan.uuid)
            try await expectError("a wait for a guest whose domain ends", .noSuchDomain(plan.uuid)) { try await wait.value }
        },
        Check("nothing is laid out for a domain that is gone, and nobody waits for it") { rig in
            let plan = try await rig.plan(1)
            for isLate in [false, true] {
                if isLate {
                    try await rig.host.create(plan)
                    try await rig.host.destroy(plan.uuid)
                }
                try await expectError("an identity for nobody", .noSuchDomain(plan.uuid)) {
                    try await rig.host.announce(identity(1), to: plan.uuid)
                }
                try await expectError("a wait for nobody", .noSuchDomain(plan.uuid)) {
                    try await rig.host.settled(plan.uuid, call: identity(1).call)
                }
            }
        },
    ]

    private static func identity(_ number: UInt8) -> DesktopIdentity {
        DesktopIdentity(
            hostname: "guest-\(number)", user: "student", passwordHash: "$6$salt$hash", entropy: [UInt8](repeating: number, count: 64),
            call: String(repeating: "0\(number)", count: 16))
    }
}

extension DomainRig {
    /// The guest does not answer that it has taken this over, while some seconds pass; the wait for it can be cancelled.
    fileprivate func waits(_ plan: DomainPlan, for identity: DesktopIdentity) async throws {
        let ended = Ended()
        let host = host
        let wait = Task {
            defer { ended.isSo.withLock { $0 = true } }
            try await host.settled(plan.uuid, call: identity.call)
        }
        try await letPass(.seconds(4))
        try expect(!ended.isSo.withLock { $0 }, "the wait has ended")
        wait.cancel()
        do {
            try await wait.value
            throw Broken("a cancelled wait ends as if its guest had answered")
        } catch is CancellationError {}
    }
}

private final class Ended: Sendable {
    let isSo = Mutex(false)
}
