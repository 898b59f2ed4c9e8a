import DesktopModel
import Hypervisor

extension DomainContract {
    static let saves: [Check] = [
        Check("a saved domain is suspended, keeps its memory and is not told as ended") { rig in
            let plan = try await rig.start(1)
            _ = try await rig.heartbeat(of: plan, after: 0)
            let file = rig.freshPath()
            try await rig.host.save(plan.uuid, to: file)
            try expect(rig.fileExists(file), "there is no file")
            let domain = try await rig.domain(plan)
            try expect(domain?.activity == .shutDown && (domain?.memory ?? .zero) > .zero, "it is \(String(describing: domain))")
            let anew = EventLog(try await rig.connectAnew().events)
            try await rig.host.destroy(plan.uuid)
            try await rig.allIsTold()
            try expect(rig.events.told(of: plan.uuid).isEmpty, "told was \(rig.events.told(of: plan.uuid))")
            try await rig.told([.died], of: plan, by: anew)
        },
        Check("a save comes back under another name, card and disk, and goes on, also twice at once") { rig in
            let first = try await rig.start(1)
            let saved = try await rig.heartbeat(of: first, after: 3)
            let file = rig.freshPath()
            try await rig.host.save(first.uuid, to: file)
            try await rig.host.destroy(first.uuid)
            let clones = [try await rig.plan(2), try await rig.plan(3)]
            for result in await atOnce(2, { try await rig.host.restore(clones[$0], from: file) }) { try result.get() }
            for clone in clones {
                let domain = try await rig.domain(clone)
                try expect(domain?.activity == .paused && domain?.name == clone.name, "it is \(String(describing: domain))")
                try expect(try await rig.heartbeat(of: clone) == nil, "it ran before it was let run")
            }
            for clone in clones { try await rig.host.unpause(clone.uuid) }
            for clone in clones {
                let beat = try await rig.heartbeat(of: clone, after: 0)
                try expect(beat.count >= saved.count, "it began anew: \(beat) after \(saved)")
                // The card takes its new address when the front end has connected again.
                try await rig.eventually("its card has its new address") { try await rig.heartbeat(of: clone)?.mac == clone.mac }
            }
        },
        Check("a save over a file is refused, and the file stays") { rig in
            let plan = try await rig.start(1)
            _ = try await rig.heartbeat(of: plan, after: 0)
            let file = rig.freshPath()
            try await rig.host.save(plan.uuid, to: file)
            try await expectError("a save over a file", .alreadyExists(name: file)) { try await rig.host.save(plan.uuid, to: file) }
            try await rig.host.destroy(plan.uuid)
            let other = try await rig.start(2)
            _ = try await rig.heartbeat(of: other, after: 0)
            try await expectError("a save over another's file", .alreadyExists(name: file)) {
                try await rig.host.save(other.uuid, to: file)
            }
            try await rig.require(other, is: .running)
            let clone = try await rig.plan(3)
            try await rig.host.restore(clone, from: file)
        },
        Check("what does not run is not saved, stays as it is and leaves no file") { rig in
            let paused = try await rig.plan(1)
            try await rig.host.create(paused)
            let off = try await rig.start(2, does: .poweroff)
            try await rig.told([.shutDown], of: off)
            for (plan, activity) in [(paused, RunningDomain.Activity.paused), (off, .shutDown)] {
                let file = rig.freshPath()
                let error = try await failure(of: "a save of what does not run") { try await rig.host.save(plan.uuid, to: file) }
                guard case .failed = error else { throw Broken("it is told as '\(error)'") }
                try expect(!rig.fileExists(file), "a file was left")
                try await rig.require(plan, is: activity)
            }
            try await rig.host.unpause(paused.uuid)
            _ = try await rig.heartbeat(of: paused, after: 0)
        },
        Check("a missing save is named, and what is no save is refused and leaves nothing") { rig in
            let plan = try await rig.plan(1)
            let gone = rig.freshPath()
            try await expectError("a missing save", .missingFile(path: gone)) { try await rig.host.restore(plan, from: gone) }
            let error = try await failure(of: "a save that is none") { try await rig.host.restore(plan, from: rig.rubbish) }
            guard case .failed(_, let code, let detail) = error, code < 0, !detail.isEmpty else { throw Broken("it is told as '\(error)'") }
            try await rig.requireGone(plan)
            try await rig.host.create(plan)
        },
        Check("a restore takes no UUID that is taken") { rig in
            let plan = try await rig.start(1)
            _ = try await rig.heartbeat(of: plan, after: 0)
            let file = rig.freshPath()
            try await rig.host.save(plan.uuid, to: file)
            try await expectError("a restore beside its own domain", .alreadyExists(name: plan.name)) {
                try await rig.host.restore(plan, from: file)
            }
        },
    ]
}
