import ArgumentParser
import Dispatch
import Glibc
import Identity
import Logging
import Relay

/// Measures what it costs to carry a class's pictures: processor time for each gigabyte, and how much later what a pupil does arrives.
///
/// The desktops and the seats are this process; what carries between them is another, which is started before: punnet-relay, or what it is
/// compared with. All are measured by turns in one run, and so is the way without any.
struct RelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay", abstract: "Measures what carries RDP links: processor time and latency, as JSON.")

    @Option(
        help: """
            What carries, as NAME:PORT:PROCESS: it listens at this port of 127.0.0.1 and has this process id. The one named 'relay' is \
            punnet-relay, which is shown tickets; others must carry to the port of the desktops.
            """)
    var through: [Carrier] = []
    @Option(help: "The path of the socket at which punnet-relay asks for tickets.")
    var desk = "/var/tmp/punnet-bench-desk.sock"
    @Option(help: "The port at which the desktops answer, of 127.0.0.1.")
    var port: UInt16 = 13_390
    @Option(help: "How many links there are at once.")
    var links = 60
    @Option(help: "How much each desktop sends, in Mbit/s.")
    var megabits = 20.0
    @Option(help: "For how long each is measured, in seconds.")
    var seconds = 8.0
    @Option(help: "How often all are measured, by turns.")
    var rounds = 3

    func validate() throws {
        guard (1...500).contains(links), megabits > 0, seconds > 0, rounds > 0 else { throw ValidationError("at least one of each, and at most 500 links") }
    }

    func run() async throws {
        var logger = Logger(label: "punnet-bench") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .error
        let tickets = OpenDoor(desktops: port)
        let relayDesk = RelayDesk(
            configuration: .init(socketPath: desk, allowedUsers: [SystemUser.current.id]), desk: tickets, logger: logger)
        let serving = Task { try await relayDesk.run() }
        defer { serving.cancel() }
        if through.contains(where: \.isRelay) { try await tickets.relayIsThere() }

        let desktops = try PacedDesktops(port: port, bytesPerSecond: megabits * 125_000)
        let carriers = [Carrier(name: "direct", port: port, process: nil)] + through
        var sums = carriers.map { _ in Sum() }
        for _ in 1...rounds {
            for (index, carrier) in carriers.enumerated() { try await measure(carrier, desktops, into: &sums[index]) }
        }
        desktops.stop()
        let lines = zip(carriers, sums).map { carrier, sum in
            let perGigabyte = carrier.process == nil ? "null" : "\(Hundredths(sum.processorSeconds / (Double(sum.bytes) / 1e9)))"
            return "{\"name\": \"\(carrier.name)\", \"gigabytes\": \(Hundredths(Double(sum.bytes) / 1e9)), "
                + "\"processorSecondsPerGigabyte\": \(perGigabyte), \"echo\": \(Figures(sum.echoes).json)}"
        }
        print("{\"links\": \(links), \"megabits\": \(Hundredths(megabits)), \"carriers\": [\(lines.joined(separator: ", "))]}")
    }

    private struct Sum {
        var bytes = 0
        var processorSeconds = 0.0
        var echoes: [Duration] = []
    }

    /// Opens the links, lets them come to their pace, and measures.
    private func measure(_ carrier: Carrier, _ desktops: PacedDesktops, into sum: inout Sum) async throws {
        let reader = SeatReader()
        defer { reader.close() }
        for _ in 0..<links { reader.add(try SeatSocket(through: carrier, as: .picture)) }
        let echo = try SeatSocket(through: carrier, as: .echo)
        defer { echo.close() }
        reader.start()
        try await Task.sleep(for: .seconds(1))
        let (bytes, worked) = (reader.bytes, carrier.worked)
        sum.echoes += try await echo.echoes(for: .seconds(seconds))
        sum.bytes += reader.bytes - bytes
        sum.processorSeconds += carrier.worked - worked
        let expected = Double(links) * megabits * 125_000 * seconds
        guard Double(reader.bytes - bytes) > expected * 0.8 else {
            throw BenchError("through \(carrier.name) came \(reader.bytes - bytes) bytes of \(Int(expected)): this machine is too slow for the load")
        }
    }
}

/// What carries links.
struct Carrier: ExpressibleByArgument, Sendable {
    let name: String
    let port: UInt16
    let process: Int32?
    var isRelay: Bool { name == "relay" }

    init(name: String, port: UInt16, process: Int32?) {
        self.name = name
        self.port = port
        self.process = process
    }

    init?(argument: String) {
        let parts = argument.split(separator: ":")
        guard parts.count == 3, let port = UInt16(parts[1]), let process = Int32(parts[2]), kill(process, 0) == 0 else { return nil }
        self.init(name: String(parts[0]), port: port, process: process)
    }

    /// The processor time that all of its threads have used, in seconds.
    var worked: Double {
        guard let process, let folder = opendir("/proc/\(process)/task") else { return 0 }
        defer { closedir(folder) }
        var sum = 0.0
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            guard Int32(name) != nil, let bytes = try? [UInt8](readFrom: "/proc/\(process)/task/\(name)/schedstat") else { continue }
            let nanoseconds = String(decoding: bytes, as: UTF8.self).split(separator: " ").first.flatMap { Double($0) }
            sum += (nanoseconds ?? 0) / 1e9
        }
        return sum
    }
}

/// Lets every ticket through to the desktops.
private actor OpenDoor: TicketDesk {
    private let desktops: UInt16
    private var sessions: Int64 = 0
    private var isThere = false

    init(desktops: UInt16) { self.desktops = desktops }

    func admit(ticket: [UInt8], from address: String, link: LinkID) -> Admission {
        sessions += 1
        return .admitted(session: sessions, host: "127.0.0.1", port: desktops)
    }

    func linkOpened(_ link: LinkID, session: Int64) {}
    func linkClosed(_ link: LinkID, session: Int64, cause: LinkEnd, carried: LinkBytes) {}
    func linksAre(_ open: [OpenLink]) { isThere = true }

    func relayIsThere() async throws {
        for _ in 0..<200 {
            if isThere { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BenchError("no punnet-relay has come to the desk's socket within 10 s")
    }
}

/// A number with two decimals.
struct Hundredths: CustomStringConvertible {
    let value: Double
    init(_ value: Double) { self.value = value }
    var description: String {
        let rounded = Int((value * 100).rounded())
        let rest = String(rounded % 100)
        return "\(rounded / 100).\(String(repeating: "0", count: 2 - rest.count))\(rest)"
    }
}
