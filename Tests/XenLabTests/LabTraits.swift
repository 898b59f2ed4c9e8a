import Foundation
import Synchronization
import Testing

/// Boots one lab for all tests of a suite, and ends it after them, however they went.
struct BootedLab: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard let packages = Lab.packages else { return }
        let lab = Lab()
        do {
            try await lab.boot(packages: packages)
            try await Lab.$current.withValue(lab) { try await function() }
        } catch {
            await lab.keepEvidence(of: test.name)
            try? await lab.end()
            throw error
        }
        try await lab.end()
    }
}

/// Keeps what tells why, after a test that failed; says how long each took.
///
/// The lab has deadlines, and a machine that others share may stall beyond them. Where nobody watches (`CI`), what failed in the short run is
/// told and done once more: what fails twice has failed.
struct Evidence: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    private static let isDoneTwice = ProcessInfo.processInfo.environment["CI"] != nil && !LongRun.isLong

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        say("— \(test.name)")
        if Self.isDoneTwice {
            let hasFailed = Atomic(false)
            try await withKnownIssue("the first of two tries", isIntermittent: true) {
                try await observed(test, function)
            } matching: { _ in
                hasFailed.store(true, ordering: .relaxed)
                return true
            }
            guard hasFailed.load(ordering: .relaxed) else { return }
            say("\(test.name) failed, as told above. It is done once more, and that counts.")
        }
        try await observed(test, function)
    }

    private func observed(_ test: Test, _ function: @Sendable () async throws -> Void) async throws {
        do {
            let took = try await time { try await function() }
            say("— \(test.name): \(seconds(took))")
        } catch {
            await Lab.current?.keepEvidence(of: test.name)
            throw error
        }
    }
}

extension Lab {
    fileprivate func end() async throws {
        await seatsLeave()
        if Self.isKept { return say("the lab is left running: PUNNET_LAB=\(Self.folder) Scripts/xen-lab stop --purge ends it") }
        try await stop(purge: true)
    }
}

extension Trait where Self == BootedLab {
    static var bootedLab: Self { BootedLab() }
}

extension Trait where Self == Evidence {
    static var evidence: Self { Evidence() }
}

/// Everything that is asked of a whole appliance on real Xen. The tests tell one story and share one lab: they run in the order in which
/// they stand, files by name; each sees by itself that what it begins with is so.
@Suite(.serialized, .enabled(if: Lab.packages != nil, "PUNNET_LAB_PACKAGES names no disk with Punnet's packages"), .bootedLab, .evidence)
enum XenLab {}
