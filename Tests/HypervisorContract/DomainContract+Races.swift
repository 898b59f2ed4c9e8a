import DesktopModel
import Hypervisor

/// Everything at once: each call ends in one of the ways that are allowed, and at the end the server is as if they had come in some order.
extension DomainContract {
    static let races: [Check] = [
        Check("of creations of one UUID at once one succeeds") { rig in
            for _ in 0..<rig.rounds {
                let plan = try await rig.plan(1)
                let results = await atOnce(3) { _ in try await rig.host.create(plan) }
                try expect(results.filter { $0.error == nil }.count == 1, "\(results)")
                try expect(results.compactMap(\.error).allSatisfy { $0 == .alreadyExists(name: plan.name) }, "\(results)")
                try expect(
                    try await rig.host.domains().filter { $0.uuid == plan.uuid }.map(\.activity) == [.paused], "it is not one paused")
                try await rig.host.destroy(plan.uuid)
            }
        },
        Check("of two domains that do not both fit at most one is built, and nothing is left of the other") { rig in
            let free = try await rig.host.capacity().freeMemory
            let wanted = ByteCount.mebibytes(free.mebibytes * 6 / 10)
            let plans = [try await rig.plan(1, does: .idle, memory: wanted), try await rig.plan(2, does: .idle, memory: wanted)]
            let results = await atOnce(2) { try await rig.host.create(plans[$0]) }
            try expect(results.contains { $0.error != nil }, "both were built")
            for (plan, result) in zip(plans, results) {
                if let error = result.error {
                    guard case .outOfMemory(let needed) = error, needed >= wanted else { throw Broken("it is told as '\(error)'") }
                    try await rig.requireGone(plan)
                } else {
                    try await rig.require(plan, is: .paused)
                }
            }
        },
        Check("many domains come, run and go at once") { rig in
            var made: [DomainPlan] = []
            for desktop in 1...UInt32(rig.crowd) { made.append(try await rig.plan(desktop)) }
            let plans = made
            func all(are activity: RunningDomain.Activity, after call: @escaping @Sendable (DomainPlan) async throws -> Void) async throws {
                for result in await atOnce(plans.count, { try await call(plans[$0]) }) { try result.get() }
                for plan in plans { try await rig.require(plan, is: activity) }
                let names = try await rig.host.domains().map(\.name).filter { name in plans.contains { $0.name == name } }
                try expect(names.count == plans.count, "listed are \(names)")
            }
            try await all(are: .paused) { try await rig.host.create($0) }
            try await all(are: .running) { try await rig.host.unpause($0.uuid) }
            for plan in plans { _ = try await rig.heartbeat(of: plan, after: 0) }
            try await all(are: .paused) { try await rig.host.pause($0.uuid) }
            for result in await atOnce(plans.count, { try await rig.host.destroy(plans[$0].uuid) }) { try result.get() }
            for plan in plans { try await rig.requireGone(plan) }
        },
        Check("pauses and unpauses at once leave it either way, and one call then decides") { rig in
            let plan = try await rig.start(1)
            for _ in 0..<rig.rounds {
                let results = await atOnce(20) { number in
                    if number.isMultiple(of: 2) { try await rig.host.pause(plan.uuid) } else { try await rig.host.unpause(plan.uuid) }
                }
                for result in results { try result.get() }
                let left = try await rig.domain(plan)?.activity
                try expect(left == .running || left == .paused, "it is \(String(describing: left))")
                try await rig.host.unpause(plan.uuid)
                try await rig.require(plan, is: .running)
                try await rig.host.pause(plan.uuid)
                try await rig.require(plan, is: .paused)
            }
        },
        Check("destructions of one domain at once all end well, and when it is gone") { rig in
            for _ in 0..<rig.rounds {
                let plan = try await rig.start(1)
                let results = await atOnce(4) { _ in
                    try await rig.host.destroy(plan.uuid)
                    try await rig.requireGone(plan)
                }
                for result in results { try result.get() }
            }
            try await rig.allIsTold()
        },
        Check("pause and unpause beside a destruction are done, or told that it is gone") { rig in
            for _ in 0..<rig.rounds {
                let plan = try await rig.start(1)
                let results = await atOnce(9) { number in
                    switch number {
                    case 4: try await rig.host.destroy(plan.uuid)
                    case 0, 2, 6, 8: try await rig.host.pause(plan.uuid)
                    default: try await rig.host.unpause(plan.uuid)
                    }
                }
                try expect(results[4].error == nil, "the destruction fails: \(results[4])")
                try expect(results.compactMap(\.error).allSatisfy { $0 == .noSuchDomain(plan.uuid) }, "\(results)")
                try await rig.requireGone(plan)
                try expect(rig.events.told(of: plan.uuid).isEmpty, "it is told")
            }
        },
        Check("a destruction beside a build ends the domain or comes before it, and nothing is left after another") { rig in
            for round in 0..<rig.rounds {
                let plan = try await rig.plan(1)
                let before = try await rig.host.capacity().freeMemory
                async let building = atOnce(1) { _ in try await rig.host.create(plan) }
                if round > 0 {
                    // In the midst of it: from the moment at which it is listed, and then a little later each time.
                    try await rig.eventually("it is being built") { try await rig.domain(plan) != nil }
                    for _ in 1..<round { try await rig.letPass(.milliseconds(200)) }
                }
                try await rig.host.destroy(plan.uuid)
                let built = await building[0]
                switch built.error {
                case nil, .failed, .noSuchDomain: break
                case let error?: throw Broken("the build is told as '\(error)'")
                }
                let left = try await rig.domain(plan)
                try expect(
                    left == nil || (left?.activity == .paused && built.error == nil), "left is \(String(describing: left)): \(built)")
                try await rig.host.destroy(plan.uuid)
                try await rig.requireGone(plan)
                let after = try await rig.host.capacity().freeMemory
                try expect(before - after <= slack, "free memory was \(before) and is \(after)")
                let remains = try await rig.remains()
                try expect(remains.isEmpty, "it leaves \(remains.joined(separator: ", "))")
                try expect(rig.events.told(of: plan.uuid).isEmpty, "its end was told: \(rig.events.told(of: plan.uuid))")
                // The same can be built again.
                try await rig.host.create(plan)
                try await rig.host.unpause(plan.uuid)
                _ = try await rig.heartbeat(of: plan, after: 0)
                try await rig.host.destroy(plan.uuid)
            }
        },
        Check("an end from outside beside our own is no error, and told at most once") { rig in
            var plans: [DomainPlan] = []
            for _ in 0..<rig.rounds {
                let plan = try await rig.start(1)
                guard let domain = try await rig.domain(plan) else { throw Broken("it is not listed") }
                async let outside: Void? = try? await rig.endFromOutside(domain)
                try await rig.host.destroy(plan.uuid)
                _ = await outside
                try await rig.requireGone(plan)
                plans.append(plan)
            }
            try await rig.allIsTold()
            for told in plans.map({ rig.events.told(of: $0.uuid) }) {
                try expect(told.isEmpty || told == [.died], "told was \(told)")
            }
        },
        Check("a domain that saves are raced for is saved once or ends") { rig in
            let plan = try await rig.start(1)
            _ = try await rig.heartbeat(of: plan, after: 0)
            let files = [rig.freshPath(), rig.freshPath()]
            let results = await atOnce(2) { try await rig.host.save(plan.uuid, to: files[$0]) }
            try expect(results.filter { $0.error == nil }.count == 1, "\(results)")
            for (file, result) in zip(files, results) {
                try expect(rig.fileExists(file) == (result.error == nil), "a file that is no save lies there: \(result)")
            }
            try await rig.require(plan, is: .shutDown)
        },
    ]
}
