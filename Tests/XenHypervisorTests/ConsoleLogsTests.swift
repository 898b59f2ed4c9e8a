import DesktopModel
import Glibc
import Hypervisor
import Testing

@testable import XenHypervisor

/// Real files, to which the test appends as xenconsoled does.
struct ConsoleLogsTests {
    private let scratch = Scratch()
    private let logs: ConsoleLogs

    init() throws { logs = try ConsoleLogs(folder: "\(scratch.path)/console", bound: .kibibytes(8), logger: quiet) }

    private func path(_ name: String) -> String { "\(scratch.path)/console/guest-\(name).log" }

    /// Opens the file as xenconsoled does; -1 where that is refused.
    private func console(_ name: String) -> Int32 { open(path(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644) }

    private func say(_ text: String, to file: Int32) throws {
        let bytes = Array(text.utf8)
        guard write(file, bytes, bytes.count) == bytes.count else { throw FileFailure.error("write", "the test's log") }
    }

    private func eventually(_ holds: () throws -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            if try holds() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return try holds()
    }

    @Test func theLastLinesOfAGuestAreRead() async throws {
        let file = console("room1-1-g3")
        defer { close(file) }
        try say("Linux version 6.1\r\n\u{1b}[31mKernel panic\u{1b}[0m\n", to: file)
        #expect(try await logs.lastLines(of: "room1-1-g3") == ["Linux version 6.1", "Kernel panic"])
        #expect(try await logs.lastLines(of: "room1-1-g2") == [])
        try say(String(repeating: "x", count: 70_000) + "\nlast\n", to: file)
        #expect(try await logs.lastLines(of: "room1-1-g3") == ["last"])
        #expect(try await logs.names() == ["room1-1-g3"])
    }

    @Test func aLogThatIsHeldStaysUnderItsBoundWhileItIsWrittenTo() async throws {
        logs.hold("room1-1-g1")
        let file = console("room1-1-g1")
        defer { close(file) }
        for round in 1...3 {
            for number in 0..<400 { try say("round \(round) line \(number) of a pupil that writes without end\n", to: file) }
            // While it is cut back it is empty for a moment.
            #expect(try await eventually { try (1...8 << 10).contains(DiskFiles.size(of: path("room1-1-g1"))) })
            try say("after round \(round)\n", to: file)
            // The newest lines are there, whole and in their order, and what is appended goes behind them.
            let lines = try await logs.lastLines(of: "room1-1-g1")
            #expect(lines.last == "after round \(round)")
            #expect(lines.dropLast().last == "round \(round) line 399 of a pupil that writes without end")
            #expect(try !DiskFiles.end(of: path("room1-1-g1"), count: 1 << 20).bytes.contains(0))
        }
    }

    @Test func aLogThatIsFullWhenItIsFirstHeldIsCutBack() async throws {
        let file = console("room1-1-g1")
        defer { close(file) }
        try say(String(repeating: "a line of before\n", count: 4_000), to: file)
        logs.hold("room1-1-g1")
        #expect(try await eventually { try DiskFiles.size(of: path("room1-1-g1")) <= 8 << 10 })
    }

    @Test func aForeignDomainsLogIsLeftAsItIs() async throws {
        let (foreign, ours) = (console("router"), console("room1-1-g1"))
        defer { close(foreign); close(ours) }
        logs.hold("room1-1-g1")
        try say(String(repeating: "a router's line\n", count: 4_000), to: foreign)
        try say(String(repeating: "a desktop's line\n", count: 4_000), to: ours)
        #expect(try await eventually { try DiskFiles.size(of: path("room1-1-g1")) <= 8 << 10 })
        #expect(try DiskFiles.size(of: path("router")) == 64_000)
    }

    @Test func aDomainThatBeginsAnewHasNothingOfAnEarlierOneOfItsName() async throws {
        let former = console("room1-1-g1")
        try say("a former pupil's secret\n", to: former)
        try logs.beginAnew("room1-1-g1")
        // What still has the file open writes where nobody reads.
        try say("and another\n", to: former)
        close(former)
        #expect(try await logs.lastLines(of: "room1-1-g1") == [])
        let file = console("room1-1-g1")
        defer { close(file) }
        try say("hello\n", to: file)
        #expect(try await logs.lastLines(of: "room1-1-g1") == ["hello"])
    }

    @Test func aRemovedLogIsGoneAndMayBeRemovedAgain() async throws {
        close(console("room1-1-g1"))
        try await logs.remove("room1-1-g1")
        try await logs.remove("room1-1-g1")
        #expect(try await logs.names().isEmpty)
    }

    @Test(arguments: ["", "../../etc/passwd", "a/b", "a\0b", String(repeating: "a", count: 300)])
    func aNameThatLeadsElsewhereIsRefused(name: String) async throws {
        await #expect(throws: HypervisorError.self) { try await logs.lastLines(of: name) }
        await #expect(throws: HypervisorError.self) { try await logs.remove(name) }
        #expect(throws: HypervisorError.self) { try logs.beginAnew(name) }
    }

    @Test func aLinkInPlaceOfALogIsNotFollowed() async throws {
        let secret = try scratch.write("secret", Array("secret\n".utf8))
        guard symlink(secret, path("room1-1-g1")) == 0 else { throw FileFailure.error("symlink", secret) }
        await #expect(throws: HypervisorError.self) { try await logs.lastLines(of: "room1-1-g1") }
    }
}
