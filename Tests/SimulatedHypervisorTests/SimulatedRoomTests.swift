import Foundation
import Glibc
import Testing

/// The programs themselves, as `Scripts/run --simulated` starts them: everything is real but the hypervisor.
@Suite(.timeLimit(.minutes(3)), .serialized) struct SimulatedRoomTests {
    @Test func seatsComeAndGoThroughTheRealRelayToDesktopsOfTheirOwn() async throws {
        try await Appliance.run(desktops: 4) { appliance in
            try await appliance.ready(4)
            // Six seats at four desktops: some must wait.
            let seats = try await appliance.program(
                "punnet-bench", "seats", "--socket", appliance.socket, "--https", "127.0.0.1:\(appliance.https)", "--seats", "6", "--from",
                "127.189.30.0/24", "--stay", "0.2", "--stay-most", "0.8", "--rest", "0.3", "--seed", "7", "--hand-outs", "24")
            #expect(seats.status == 0, "\(seats.output)\(seats.errors)")
            func figure(_ name: String) throws -> Int {
                let line = try #require(seats.output.split(separator: "\n").first { $0.hasPrefix(name + ": ") })
                return try #require(Int(line.dropFirst(name.count + 2)))
            }
            #expect(try figure("hand-outs") >= 24)
            #expect(try figure("links") >= figure("hand-outs"))
            #expect(try figure("log-offs") > 0)
            #expect(try figure("waits") > 0)
            #expect(try figure("lost links") > 0)
            let triedAgain = try figure("links that did not come about and were tried again")
            #expect(try figure("sessions claimed back") == figure("lost links") + triedAgain)
            #expect(try figure("links that broke by themselves") == 0)
            #expect(try figure("power cycles") > 0)
            #expect(try figure("requests without an answer") == 0)
            #expect(try figure("failures") == 0)
        }
    }

    @Test func afterAKillEveryDesktopIsMadeAnewAsAfterAPowerCut() async throws {
        try await Appliance.run(desktops: 3) { appliance in
            try await appliance.ready(3)
            let before = try await appliance.desktops()
            await appliance.kill()
            try await appliance.start()
            // What is ready now was made since: its generation is a later one.
            try await appliance.desktops { now in
                now.count == 3
                    && now.allSatisfy { desktop in
                        desktop.state == "ready" && before.contains { $0.name == desktop.name && $0.generation < desktop.generation }
                    }
            }
        }
    }

    @Test func aRoomOfAnotherKindOfServerIsRefusedAndLeftAlone() async throws {
        try await Appliance.run(desktops: 1) { appliance in
            #expect(try String(contentsOfFile: appliance.log, encoding: .utf8).contains("THE SERVER IS SIMULATED"))
            await appliance.kill()
            let refused = try await appliance.daemon("hypervisor=xen", "network.subnet=10.88.0.0/24")
            #expect(refused.status == 69)
            #expect(refused.errors.contains("kind 'simulated'") && refused.errors.contains("nothing was touched"))
            try await appliance.start()
            try await appliance.ready(1)
        }
    }
}

/// A simulated appliance of a test's own: punnetd and its relay as processes, with one lab. Ended with the test.
private final class Appliance {
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
    }

    struct Desktop: Decodable {
        let name: String
        let state: String
        let generation: UInt32
    }

    let folder: String
    let https: Int
    private let relay: Int
    private var processes: [Process] = []

    var socket: String { folder + "/run/control.sock" }
    var log: String { folder + "/punnetd.log" }

    private init(folder: String, https: Int, relay: Int) {
        self.folder = folder
        self.https = https
        self.relay = relay
    }

    static func run(desktops: Int, _ body: (Appliance) async throws -> Void) async throws {
        let folder = "/tmp/punnet-twin-\(UUID().uuidString.prefix(8))"
        for part in ["", "/data", "/run", "/image"] {
            try FileManager.default.createDirectory(atPath: folder + part, withIntermediateDirectories: false)
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let appliance = Appliance(folder: folder, https: try freePort(), relay: try freePort())
        defer { for process in appliance.processes where process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) } }
        try appliance.writeSettings()
        try await appliance.start()
        _ = try appliance.begin(
            "punnet-relay", ["--listen", "127.0.0.1:\(appliance.relay)", "--desk", folder + "/run/relay.sock"], log: "relay.log")
        for file in ["disk", "vmlinuz", "initrd.img"] {
            try Data("simulated".utf8).write(to: URL(fileURLWithPath: folder + "/image/" + file))
        }
        let description = """
            {"name":"desktop","boot":"pv","disk":"disk","kernel":"vmlinuz","ramdisk":"initrd.img","commandLine":"quiet",
             "account":{"user":"student","password":"student"},"minimumMemory":"256MiB"}
            """
        try Data(description.utf8).write(to: URL(fileURLWithPath: folder + "/image/image.json"))
        for words in [
            ["image", "add", folder + "/image"],
            ["lab", "create", "room", "--image", "desktop", "--size", "\(desktops)", "--memory", "1GiB", "--vcpus", "2", "--grace", "30s"],
        ] {
            let done = try await appliance.punnet(words)
            try #require(done.status == 0, "\(words): \(done.errors)")
        }
        try await body(appliance)
    }

    /// The panel's files as they lie in the repository.
    private static let panelFiles = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path + "/Sources/ControlPanel/Files"

    private func writeSettings() throws {
        let settings = """
            hypervisor: simulated
            data: \(folder)/data
            runtime: \(folder)/run
            panel: \(Self.panelFiles)
            https:
              address: 127.0.0.1
              port: \(https)
            relay:
              port: \(relay)
            network:
              subnet: 127.188.30.0/24
            pool:
              atOnce: 4
            simulated:
              memory: 16GiB
              speed: 60
            log:
              level: notice

            """
        try Data(settings.utf8).write(to: URL(fileURLWithPath: folder + "/punnet.yaml"))
    }

    /// Starts punnetd and waits until it answers.
    func start() async throws {
        let process = try begin("punnetd", ["--config", folder + "/punnet.yaml"], log: "punnetd.log")
        let end = ContinuousClock.now + .seconds(60)
        while try await punnet(["status"]).status != 0 {
            try #require(process.isRunning, "\((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
            try #require(ContinuousClock.now < end, "punnetd does not answer")
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Runs punnetd to its end, with these settings besides.
    func daemon(_ more: String...) async throws -> Outcome {
        try await program("punnetd", ["--config", folder + "/punnet.yaml"] + more.flatMap { ["--set", $0] })
    }

    /// Ends punnetd as a power cut would.
    func kill() async {
        guard let daemon = processes.last(where: { $0.executableURL?.lastPathComponent == "punnetd" && $0.isRunning }) else { return }
        Glibc.kill(daemon.processIdentifier, SIGKILL)
        while daemon.isRunning { try? await Task.sleep(for: .milliseconds(5)) }
    }

    func desktops() async throws -> [Desktop] {
        let list = try await punnet(["desktop", "list", "--json"])
        try #require(list.status == 0, "\(list.errors)")
        return try JSONDecoder().decode([Desktop].self, from: Data(list.output.utf8))
    }

    /// Waits until the desktops are so.
    func desktops(areSo: ([Desktop]) -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(60)
        while true {
            let now = try await desktops()
            if areSo(now) { return }
            try #require(ContinuousClock.now < end, "\(now)\n\((try? String(contentsOfFile: log, encoding: .utf8)) ?? "")")
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    func ready(_ count: Int) async throws { try await desktops { $0.count { $0.state == "ready" } == count } }

    func punnet(_ words: [String]) async throws -> Outcome { try await program("punnet", words + ["--socket", socket]) }
    func program(_ name: String, _ words: String...) async throws -> Outcome { try await program(name, words) }

    func program(_ name: String, _ words: [String]) async throws -> Outcome {
        let (output, errors) = (folder + "/output-\(UUID().uuidString)", folder + "/errors-\(UUID().uuidString)")
        let process = try begin(name, words, output: output, errors: errors)
        while process.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        processes.removeAll { $0 === process }
        return Outcome(
            status: process.terminationStatus, output: try String(contentsOfFile: output, encoding: .utf8),
            errors: try String(contentsOfFile: errors, encoding: .utf8))
    }

    private func begin(_ name: String, _ words: [String], log: String) throws -> Process {
        try begin(name, words, output: folder + "/" + log, errors: folder + "/" + log)
    }

    private func begin(_ name: String, _ words: [String], output: String, errors: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.binaries + "/" + name)
        process.arguments = words
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try Self.file(output)
        process.standardError = output == errors ? process.standardOutput : try Self.file(errors)
        try process.run()
        processes.append(process)
        return process
    }

    private static func file(_ path: String) throws -> FileHandle {
        if !FileManager.default.fileExists(atPath: path) { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        let file = try #require(FileHandle(forWritingAtPath: path))
        file.seekToEndOfFile()
        return file
    }

    /// Where the programs lie that were built with the tests.
    private static let binaries: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let places = [tests, CommandLine.arguments[0]] + CommandLine.arguments.filter { $0.contains(".xctest") }
        return places.map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
            .first { FileManager.default.isExecutableFile(atPath: $0 + "/punnetd") } ?? ".build/debug"
    }()

    private static func freePort() throws -> Int {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        try #require(isBound)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
