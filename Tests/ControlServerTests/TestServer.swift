import Broker
import ControlAPI
import ControlPanel
import ControlServer
import Foundation
import Identity
import Logging
import ServiceLifecycle

/// A control server that runs for a test, on loopback and in a folder of its own, with a real broker behind it.
struct TestServer: Sendable {
    let folder: String
    let socket: String
    let port: Int
    let pin: String
    let room: TestRoom

    var address: String { "https://127.0.0.1:\(port)" }

    /// Starts the server, runs the body, and stops the server as its service group would.
    static func run(
        leadingToInternet: Bool = true, changing change: (inout ControlServer.Configuration) -> Void = { _ in },
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/punnet-control-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o755])
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let room = try await TestRoom.make(in: folder, leadsToInternet: leadingToInternet)
        let identity = try SelfSignedCertificate.load(orCreateIn: folder, names: ["127.0.0.1"])
        var configuration = ControlServer.Configuration(
            host: "127.0.0.1", port: 0, certificatePEM: identity.certificatePEM, privateKeyPEM: identity.keyPEM,
            socketPath: folder + "/control.sock", administratorsGroup: "punnet-test-no-such-group", pin: identity.pin,
            fingerprint: identity.fingerprint, identityFolder: folder, addresses: ["192.0.2.1"])
        // However slow the machine, none of a test's guesses comes back.
        configuration.guessPause = .seconds(3600)
        change(&configuration)
        let (ports, port) = AsyncStream<Int>.makeStream()
        let server = try ControlServer(
            configuration: configuration, broker: SessionBroker(room.broker), seats: room.seats, administration: room.administration,
            people: room.people, pages: Pages(files: try await PanelFiles(folder: Self.panelFiles), isSimulated: false, version: "test"),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            onListening: {
                port.yield($0)
                port.finish()
            })
        let group = ServiceGroup(
            configuration: .init(services: [room.broker, server], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { port.finish() }
                try await group.run()
            }
            for await number in ports {
                // Until then it answers that it is starting.
                await room.broker.adopted()
                let result: Result<Void, any Error>
                do {
                    try await body(TestServer(folder: folder, socket: configuration.socketPath, port: number, pin: identity.pin, room: room))
                    result = .success(())
                } catch {
                    result = .failure(error)
                }
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                try result.get()
            }
            try await tasks.waitForAll()
        }
    }

    /// The panel's files as they lie in the repository.
    static let panelFiles = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        + "/Sources/ControlPanel/Files"

    /// Asks over HTTPS as a seat does, the key pinned; the answer's status is the last line of the output.
    func curl(_ path: String, _ options: String...) async throws -> Command {
        try await Command.run(
            ["curl", "-sS", "-k", "--pinnedpubkey", pin, "-w", "\n%{http_code}", "-m", "50"] + options + [address + path])
    }

    /// Runs the command line against the control socket.
    func punnet(_ words: String...) async throws -> Command {
        try await Command.run([Self.program] + words + ["--socket", socket])
    }

    /// Adds a seat as an administrator does and enrols it as the seat does; gives its token.
    func enrolledSeat(_ name: String) async throws -> String {
        let added = try await punnet("seat", "add", name, "--lab", "room1", "--json")
        let word = try JSONDecoder().decode(SeatAddAnswer.self, from: Data(added.output.utf8)).word
        let answer = try await curl("/api/v1/seats/enrol", "-d", "{\"word\":\"\(word)\"}")
        return try JSONDecoder().decode(EnrolAnswer.self, from: Data(answer.output.dropLast(4).utf8)).token
    }

    /// The program `punnet` that was built with the tests.
    static let program: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let folders = [tests, CommandLine.arguments[0]].map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
        return folders.map { $0 + "/punnet" }.first(where: FileManager.default.isExecutableFile) ?? "punnet"
    }()
}
