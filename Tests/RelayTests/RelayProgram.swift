import Foundation
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Relay

/// The program `punnet-relay` running, with a desk that it asks.
struct RelayProgram {
    let process: Int32
    let address: SocketAddress
    let book: TicketBook
    let notices: NoticeSocket
    private let log: String

    /// What it has logged so far, at the level of warnings.
    var logged: [Substring] {
        get throws { try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") }
    }

    func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").count }

    /// The number that the next descriptor would have.
    func nextDescriptor() throws -> Int {
        let taken = Set(try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd").compactMap { Int($0) })
        return (0...).first { !taken.contains($0) } ?? 0
    }

    /// Has the system give it no descriptor of this number or a higher one.
    func limitOpenFiles(to number: Int) throws {
        let change = Process()
        change.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        change.arguments = ["--pid", "\(process)", "--nofile=\(number):"]
        try change.run()
        change.waitUntilExit()
        try #require(change.terminationStatus == 0)
    }

    /// How often each of its threads was woken since its start.
    func wakeUps() throws -> [String: Int] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task").reduce(into: [:]) { counts, thread in
            // A thread may have ended since the folder was read.
            let status = try? String(contentsOfFile: "/proc/\(process)/task/\(thread)/status", encoding: .utf8)
            let line = status?.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") }
            counts[thread] = line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) }
        }
    }

    func residentKiB() throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0
    }

    /// Processor time used so far, in seconds.
    func processorTime() throws -> Double {
        let fields = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8).split(separator: " ")
        return ((Double(fields[13]) ?? 0) + (Double(fields[14]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// A seat's connection through to a desktop of its own: both ends, the request already read at the desktop's.
    func link(session: Int64, ticket: String, to desktop: Desktop, from local: String = "127.0.0.1") async throws -> (
        seat: Wire, desktop: Wire
    ) {
        await book.issue(ticket, session: session, from: local, host: desktop.host, port: desktop.port)
        let before = desktop.connections.count
        let seat = try await Wire.connect(to: address, from: local)
        try await seat.send(Packets.request(ticket: ticket))
        let side = try await desktop.connection(before)
        try await side.expect(Packets.request(ticket: ticket))
        return (seat, side)
    }

    static var path: String {
        get throws {
            let folder = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            let places = [folder, CommandLine.arguments[0]] + CommandLine.arguments.filter { $0.contains(".xctest") }
            let found = places.map { URL(fileURLWithPath: $0).deletingLastPathComponent().appending(path: "punnet-relay").path }
                .first { FileManager.default.isExecutableFile(atPath: $0) }
            return try #require(found, "punnet-relay was not built beside the tests")
        }
    }

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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

    /// Starts the program, waits until it says that it is ready, runs the body and has it stop as systemd does. The prefix is a command that
    /// runs another, in which it is started.
    static func run(
        host: String = "127.0.0.1", openFiles: Int? = nil, prefix: [String] = [], _ body: (RelayProgram) async throws -> Void
    ) async throws {
        let folder = "/tmp/relay-process-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let notices = try NoticeSocket(path: folder + "/notify")
        let book = TicketBook()
        let desk = RelayDesk(
            configuration: .init(socketPath: folder + "/relay.sock", allowedUsers: [SystemUser.current.id]), desk: book,
            logger: LogLines().logger)
        let deskTask = Task { try await desk.run() }
        let port = try freePort()
        let process = Process()
        let arguments = [try path, "--listen", "\(host):\(port)", "--desk", folder + "/relay.sock", "--log-level", "warning"]
        let limited = openFiles.map { ["prlimit", "--nofile=\($0):\($0)"] } ?? []
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = prefix + limited + arguments
        process.environment = ["NOTIFY_SOCKET": folder + "/notify", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
        let log = folder + "/log"
        try Data().write(to: URL(fileURLWithPath: log))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        try await condition("READY=1") {
            notices.all
        } until: {
            $0.contains("READY=1")
        }
        let running = RelayProgram(
            process: process.processIdentifier, address: try SocketAddress(ipAddress: host, port: port), book: book, notices: notices,
            log: log)
        try await condition("the relay's hello") {
            await book.events.count
        } until: {
            $0 > 0
        }
        try await body(running)
        process.terminate()
        try await condition("the end of the program") {
            process.isRunning
        } until: {
            !$0
        }
        #expect(process.terminationStatus == 0)
        #expect(process.terminationReason == .exit)
        #expect(notices.all.contains("STOPPING=1"))
        deskTask.cancel()
        try await deskTask.value
    }
}

/// The socket at which systemd hears how its services are.
final class NoticeSocket: Sendable {
    private let descriptor: Int32
    private let heard = Mutex<[String]>([])

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        let (descriptor, address) = (descriptor, try SocketAddress(unixDomainSocketPath: path))
        try #require(address.withSockAddr { bind(descriptor, $0, socklen_t($1)) } == 0)
    }

    deinit { close(descriptor) }

    var all: [String] {
        heard.withLock { heard in
            var buffer = [UInt8](repeating: 0, count: 512)
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { return heard }
                heard.append(String(decoding: buffer[..<count], as: UTF8.self))
            }
        }
    }
}
