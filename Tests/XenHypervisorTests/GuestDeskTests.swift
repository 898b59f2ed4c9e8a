import Foundation
import Hypervisor
import Testing
import XenLight

@testable import XenHypervisor

/// The meeting place of dom0 and guests, in a xenstored of these tests' own: Debian's, without Xen.
@Suite(.serialized, .privateXenstore) struct GuestDeskTests {
    private let domain = DomainID(rawValue: 7)
    private let folder = "/local/domain/7/punnet"
    private let desk: GuestDesk
    /// The guest's own hands.
    private let store: XenStore

    init() throws {
        desk = try GuestDesk()
        store = try XenStore()
        try store.remove("/local/domain/7")
    }

    private func identity(_ digit: Character) -> DesktopIdentity {
        DesktopIdentity(
            hostname: "room-1", user: "student", passwordHash: "$6$salt$hash", entropy: [UInt8](repeating: 0xab, count: 64),
            call: String(repeating: digit, count: 32))
    }

    private func says(_ word: String, _ identity: DesktopIdentity, _ rest: String = "") throws {
        try store.write(folder + "/answer", "\(word) \(identity.call)\(rest)")
    }

    /// Waits until there is a value; fails after half a minute.
    private func eventually<Value>(_ value: () throws -> Value?) async throws -> Value {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            if let value = try value() { return value }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw HypervisorError.unavailable("nothing came within half a minute")
    }

    @Test func theGuestMayReadWhatIsItsOwnAndWriteItsAnswerAlone() async throws {
        try await desk.announce(identity("a"), to: domain)
        let lines = try await PrivateXenstore.ask("xenstore-ls", "-fp", folder).sorted()
        let entropy = String(repeating: "ab", count: 64)
        #expect(
            lines == [
                "\(folder)/answer = \"\"   (n7,r0)",
                "\(folder)/identity = \"\"   (n0,r7)",
                "\(folder)/identity/account = \"student\"   (n0,r7)",
                "\(folder)/identity/call = \"\(String(repeating: "a", count: 32))\"   (n0,r7)",
                "\(folder)/identity/entropy = \"\(entropy)\"   (n0,r7)",
                "\(folder)/identity/hostname = \"room-1\"   (n0,r7)",
                "\(folder)/identity/password = \"$6$salt$hash\"   (n0,r7)",
            ].sorted())
    }

    @Test func aGuestIsToldTheTimeAndItsSecretsAreTakenAwayWhenItIsDone() async throws {
        let identity = identity("b")
        try await desk.announce(identity, to: domain)
        let wait = Task { [desk, domain] in try await desk.settled(domain, call: identity.call) }
        try says("time", identity)
        let time = try await eventually { try store.read(folder + "/identity/time") }
        let words = time.split(separator: " ")
        #expect(words.count == 2 && words[0] == identity.call)
        #expect(abs((Double(words[1]) ?? 0) - Date().timeIntervalSince1970) < 5)
        try says("done", identity)
        #expect(try await wait.value)
        let left = try await PrivateXenstore.ask("xenstore-list", folder + "/identity")
        #expect(Set(left) == ["account", "call", "hostname", "time"])
    }

    @Test func aGuestThatWasDoneBeforeAnybodyWaitedIsSeen() async throws {
        let identity = identity("c")
        try await desk.announce(identity, to: domain)
        try says("done", identity)
        #expect(try await desk.settled(domain, call: identity.call))
    }

    @Test func aGuestThatCannotIsBelievedInItsOwnWords() async throws {
        let identity = identity("d")
        try await desk.announce(identity, to: domain)
        try says("failed", identity, " there is no user 'student'")
        await #expect(throws: HypervisorError.guestFailed(reason: "there is no user 'student'")) {
            try await desk.settled(domain, call: identity.call)
        }
    }

    @Test func otherAnswersAndThoseToOtherCallsAreNone() async throws {
        let identity = identity("e")
        try await desk.announce(identity, to: domain)
        let wait = Task { [desk, domain] in try await desk.settled(domain, call: identity.call) }
        for text in ["", "done", "done \(String(repeating: "f", count: 32))", String(repeating: "x", count: 2000)] {
            try store.write(folder + "/answer", text)
        }
        try says("time", identity)
        _ = try await eventually { try store.read(folder + "/identity/time") }
        wait.cancel()
        await #expect(throws: CancellationError.self) { try await wait.value }
    }

    @Test func aGuestIsAskedWhatMemoryItCanSpare() async throws {
        let asked = Task { [desk, domain] in try await desk.spareMemory(of: domain) }
        let call = try await eventually { try store.read(folder + "/memory/call") }
        let lines = try await PrivateXenstore.ask("xenstore-ls", "-fp", folder).sorted()
        #expect(
            lines == [
                "\(folder)/memory = \"\"   (n0,r7)", "\(folder)/memory/answer = \"\"   (n7,r0)", "\(folder)/memory/call = \"\(call)\"   (n0,r7)",
            ].sorted())
        // Neither another call's answer nor what is none counts.
        for text in ["spare \(String(repeating: "0", count: 32)) 4", "spare \(call) much", "done \(call)"] {
            try store.write(folder + "/memory/answer", text)
        }
        try store.write(folder + "/memory/answer", "spare \(call) 300000")
        #expect(try await asked.value == .kibibytes(300_000))
        // It is asked anew each time.
        let again = Task { [desk, domain] in try await desk.spareMemory(of: domain) }
        let next = try await eventually { try store.read(folder + "/memory/call").flatMap { $0 == call ? nil : $0 } }
        try store.write(folder + "/memory/answer", "spare \(next) 7")
        #expect(try await again.value == .kibibytes(7))
    }

    @Test func whoDoesNotSayWhatItCanSpareIsNotWaitedForLong() async throws {
        #expect(try await desk.spareMemory(of: domain, within: .milliseconds(200)) == nil)
        let asked = Task { [desk, domain] in try await desk.spareMemory(of: domain) }
        _ = try await eventually { try store.read(folder + "/memory/call") }
        try store.remove("/local/domain/7")
        #expect(try await asked.value == nil)
    }

    @Test func theEndOfADomainEndsTheWait() async throws {
        let identity = identity("f")
        try await desk.announce(identity, to: domain)
        let wait = Task { [desk, domain] in try await desk.settled(domain, call: identity.call) }
        try says("time", identity)
        _ = try await eventually { try store.read(folder + "/identity/time") }
        try store.remove("/local/domain/7")
        #expect(try await !wait.value)
    }
}

/// One xenstored for the suite, in a folder of its own.
struct PrivateXenstore: SuiteTrait, TestScoping {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    func provideScope(for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void) async throws {
        let scratch = Scratch()
        let folder = scratch.path
        setenv("XENSTORED_PATH", folder + "/socket", 1)
        setenv("XENSTORED_RUNDIR", folder, 1)
        try await Self.shell("xenstore_start '\(folder)'")
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await function()) } catch { outcome = .failure(error) }
        try await Self.shell("xenstore_stop '\(folder)'")
        withExtendedLifetime(scratch) {}
        try outcome.get()
    }

    private static func shell(_ line: String) async throws {
        try await Program.run(
            "bash", ["-euc", "cd '\(repository)'; . Scripts/lib/progress.sh; . Scripts/lib/packages.sh; . Scripts/lib/xenstore.sh; \(line)"])
    }

    /// What a client of this xenstore prints.
    static func ask(_ program: String, _ arguments: String...) async throws -> [String] {
        let socket = getenv("XENSTORED_PATH").map { String(cString: $0) } ?? ""
        return try await Program.run(program, arguments, environment: ["XENSTORED_PATH": socket]).split(separator: "\n").map(String.init)
    }
}

extension Trait where Self == PrivateXenstore {
    static var privateXenstore: Self { PrivateXenstore() }
}
