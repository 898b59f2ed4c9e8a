import DesktopModel
import Hypervisor

extension DomainContract {
    static let events: [Check] = [
        Check("a guest that powers off is told once and waits to be destroyed") { rig in
            try await aGuestsEndIsTold(rig, .poweroff, .shutDown)
        },
        Check("a guest that reboots is told once and waits to be destroyed") { rig in try await aGuestsEndIsTold(rig, .reboot, .shutDown) },
        Check("a guest that crashes is told once and waits to be destroyed") { rig in try await aGuestsEndIsTold(rig, .crash, .crashed) },
        Check("a domain that is ended from outside is told once as dead") { rig in
            let plan = try await rig.start(1)
            try await rig.endFromOutside(plan)
            try await rig.told([.died], of: plan)
            try await rig.host.destroy(plan.uuid)
            try await rig.allIsTold()
            try await rig.told([.died], of: plan)
        },
        Check("a domain that shut itself down and is then ended from outside is told twice") { rig in
            let plan = try await rig.start(1, does: .poweroff)
            try await rig.told([.shutDown], of: plan)
            try await rig.endFromOutside(plan)
            try await rig.told([.shutDown, .died], of: plan)
        },
        Check("what we end ourselves is not told") { rig in
            let paused = try await rig.plan(1)
            try await rig.host.create(paused)
            let running = try await rig.start(2)
            for plan in [paused, running] { try await rig.host.destroy(plan.uuid) }
            try await rig.allIsTold()
            for plan in [paused, running] {
                try expect(rig.events.told(of: plan.uuid).isEmpty, "of '\(plan.name)' was told \(rig.events.told(of: plan.uuid))")
            }
        },
        Check("who connects anew is first told what has ended, and nothing of what lives") { rig in
            let off = try await rig.start(1, does: .poweroff)
            let crashed = try await rig.start(2, does: .crash)
            let lives = try await rig.start(3)
            try await rig.told([.shutDown], of: off)
            try await rig.told([.crashed], of: crashed)
            let anew = try await rig.connectAnew()
            let events = EventLog(anew.events)
            try await rig.told([.shutDown], of: off, by: events)
            try await rig.told([.crashed], of: crashed, by: events)
            try expect(events.told(of: lives.uuid).isEmpty, "told was \(events.told(of: lives.uuid))")
            try await rig.endFromOutside(lives)
            for log in [events, rig.events] { try await rig.told([.died], of: lives, by: log) }
            try await rig.told([.shutDown], of: off, by: events)
        },
        Check("who connects anew can do all to the domains that another built") { rig in
            let plan = try await rig.plan(1)
            try await rig.host.create(plan)
            let anew = try await rig.connectAnew()
            try await anew.unpause(plan.uuid)
            _ = try await rig.heartbeat(of: plan, after: 0)
            try await anew.pause(plan.uuid)
            try expect(try await anew.domains().first { $0.uuid == plan.uuid }?.activity == .paused, "it is not paused")
            try await expectError("a second domain of the UUID", .alreadyExists(name: plan.name)) { try await anew.create(plan) }
            try await anew.destroy(plan.uuid)
            try await expectError("a call on what another ended", .noSuchDomain(plan.uuid)) { try await rig.host.pause(plan.uuid) }
        },
        Check("a domain that another connection ends is told as dead to us, and not to it") { rig in
            let plan = try await rig.start(1)
            let last = try await rig.start(2)
            let anew = try await rig.connectAnew()
            let events = EventLog(anew.events)
            try await anew.destroy(plan.uuid)
            try await rig.told([.died], of: plan)
            try await rig.endFromOutside(last)
            try await rig.told([.died], of: last, by: events)
            try expect(events.told(of: plan.uuid).isEmpty, "it is told \(events.told(of: plan.uuid))")
        },
    ]

    private static func aGuestsEndIsTold(_ rig: any DomainRig, _ deed: GuestDeed, _ kind: DomainEvent.Kind) async throws {
        let plan = try await rig.start(1, does: deed)
        try await rig.told([kind], of: plan)
        try await rig.require(plan, is: .shutDown)
        try await rig.host.destroy(plan.uuid)
        try await rig.requireGone(plan)
        try await rig.allIsTold()
        try await rig.told([kind], of: plan)
    }
}
