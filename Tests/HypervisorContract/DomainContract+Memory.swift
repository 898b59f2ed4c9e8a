import DesktopModel
import Hypervisor

extension DomainContract {
    static let memory: [Check] = [
        Check("a guest gives back what it can spare, comes back with the rest, and takes all of it again when it may") { rig in
            let plan = try await rig.plan(1, does: .takesOver, memory: .mebibytes(256))
            try await rig.host.create(plan)
            try await rig.host.unpause(plan.uuid)
            _ = try await rig.heartbeat(of: plan, after: 0)
            let kept = try await rig.host.shrink(plan.uuid)
            try expect(kept < plan.profile.memory && kept >= .mebibytes(32), "it keeps \(kept)")
            try await rig.require(plan, holds: kept)
            let file = rig.freshPath()
            try await rig.host.save(plan.uuid, to: file)
            try await rig.host.destroy(plan.uuid)
            let clone = try await rig.plan(2, does: .takesOver, memory: .mebibytes(256)).with(memory: kept)
            try await rig.host.restore(clone, from: file)
            try await rig.require(clone, holds: kept)
            try await rig.host.unpause(clone.uuid)
            let beat = try await rig.heartbeat(of: clone, after: 0)
            try await rig.require(clone, holds: kept)
            for _ in 1...2 { try await rig.host.serve(clone.uuid, with: clone.profile) }
            try await rig.eventually("it holds all of its memory") {
                try await rig.domain(clone).map { $0.memory + slack >= clone.profile.memory } ?? false
            }
            _ = try await rig.heartbeat(of: clone, after: beat.count)
        },
        Check("a paused guest takes what it may have as soon as it runs") { rig in
            let plan = try await rig.plan(1, does: .takesOver, memory: .mebibytes(256))
            try await rig.host.create(plan)
            try await rig.host.unpause(plan.uuid)
            let beat = try await rig.heartbeat(of: plan, after: 0)
            let kept = try await rig.host.shrink(plan.uuid)
            try await rig.host.pause(plan.uuid)
            try await rig.host.serve(plan.uuid, with: plan.profile)
            try await rig.require(plan, holds: kept)
            try await rig.host.unpause(plan.uuid)
            try await rig.eventually("it holds all of its memory") {
                try await rig.domain(plan).map { $0.memory + slack >= plan.profile.memory } ?? false
            }
            _ = try await rig.heartbeat(of: plan, after: beat.count)
        },
        Check("who says nothing of what it can spare keeps its memory, and so does what does not run") { rig in
            let silent = try await rig.start(1)
            _ = try await rig.heartbeat(of: silent, after: 0)
            let paused = try await rig.plan(2)
            try await rig.host.create(paused)
            for plan in [silent, paused] {
                let kept = try await rig.host.shrink(plan.uuid)
                try expect(kept + slack >= plan.profile.memory, "'\(plan.name)' keeps \(kept)")
                try await rig.require(plan, holds: plan.profile.memory)
            }
            try await rig.require(silent, is: .running)
            try await rig.require(paused, is: .paused)
        },
        Check("a guest that runs gives a virtual CPU up and takes it again, as it is told") { rig in
            let small = try await rig.plan(1)
            let plan = small.with(profile: Profile(vcpus: 2, memory: small.profile.memory))
            try await rig.host.create(plan)
            try await rig.host.unpause(plan.uuid)
            let beat = try await rig.heartbeat(of: plan, after: 0)
            for (round, vcpus) in [1, 2, 2, 1].enumerated() {
                try await rig.host.serve(plan.uuid, with: Profile(vcpus: vcpus, memory: plan.profile.memory))
                try await rig.eventually("it uses \(vcpus) virtual CPUs, round \(round)") { try await rig.domain(plan)?.vcpus == vcpus }
            }
            _ = try await rig.heartbeat(of: plan, after: beat.count)
        },
        Check("no domain may hold or use more than its profile, and what is gone holds nothing") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            let error = try await failure(of: "more memory than its profile") {
                try await rig.host.serve(plan.uuid, with: Profile(vcpus: plan.profile.vcpus, memory: plan.profile.memory + .mebibytes(64)))
            }
            guard case .failed = error else { throw Broken("it is told as '\(error)'") }
            let further = try await failure(of: "more virtual CPUs than its profile") {
                try await rig.host.serve(plan.uuid, with: Profile(vcpus: plan.profile.vcpus + 1, memory: plan.profile.memory))
            }
            guard case .failed = further else { throw Broken("it is told as '\(further)'") }
            try await rig.host.destroy(plan.uuid)
            try await expectError("memory for what is gone", .noSuchDomain(plan.uuid)) {
                try await rig.host.serve(plan.uuid, with: plan.profile)
            }
            let shrunk = try await failure(of: "memory from what is gone") { _ = try await rig.host.shrink(plan.uuid) }
            try expect(shrunk == .noSuchDomain(plan.uuid), "it is told as '\(shrunk)'")
        },
    ]
}

extension DomainRig {
    /// The domain must hold so much memory now, within what the hypervisor counts beside.
    fileprivate func require(_ plan: DomainPlan, holds memory: ByteCount) async throws {
        let held = try await domain(plan)?.memory ?? .zero
        try expect(held <= memory + DomainContract.slack && held + DomainContract.slack >= memory, "'\(plan.name)' holds \(held), not \(memory)")
    }
}
