import ArgumentParser
import ControlAPI
import Dispatch
import FoundationEssentials
import Glibc
import Hypervisor
import NIOHTTP1

/// Simulated seats at a real appliance: they come and go, and see to it that each has a desktop of its own.
struct SeatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seats", abstract: "Plays a room of seats, over the appliance's real ports.",
        discussion: """
            Each seat is enrolled anew, claims a desktop over HTTPS with the appliance's key pinned, goes through the relay with its ticket, and \
            shakes hands with the desktop over TLS, whose certificate must be the announced one. Some lose their link and claim their session back, \
            some lose their power. It ends with figures on standard output; exit code 1 where anything was seen that must not be: a desktop \
            given to two, a session not given back, a wrong certificate, a link that did not come about five times in a row.
            """)

    @Option(help: "The appliance's control socket.")
    var socket = "/run/punnet/control.sock"
    @Option(help: "The appliance's IPv4 address and HTTPS port.")
    var https = "127.0.0.1:443"
    @Option(help: "The lab that the seats belong to.")
    var lab = "room"
    @Option(help: "How many seats.")
    var seats = 34
    @Option(help: "The loopback network that the seats connect from, each from an address of its own.")
    var from = "127.89.0.0/24"
    @Option(help: "How long a pupil stays, in seconds: from this…")
    var stay = 10.0
    @Option(help: "…to this.")
    var stayMost = 40.0
    @Option(help: "How long a seat is off at most between two pupils, in seconds.")
    var rest = 20.0
    @Option(help: "From what everything random is drawn; drawn itself where it is not given, and printed.")
    var seed: UInt64?
    @Option(help: "Ends after so many hand-outs; 0 goes on until it is told to stop (SIGTERM, Ctrl-C).")
    var handOuts = 0
    @Option(help: "Tells the room at a glance every so many seconds, on standard error.")
    var every = 5.0

    func validate() throws {
        guard (1...200).contains(seats) else { throw ValidationError("there may be 1 to 200 seats, not \(seats)") }
        guard stay >= 0, stayMost >= stay, rest >= 0, every > 0 else {
            throw ValidationError("times are not negative, and 'stay' is the shorter one")
        }
    }

    func run() async throws {
        let seed = seed ?? UInt64.random(in: 1...0xffff_ffff)
        complain("\(seats) seats, seed \(seed)")
        let book = SeatBook()
        let limit = handOuts
        let seats = try await enrolled(book) { limit == 0 || book.count(.handedOut) < limit }
        let room = Task {
            await withDiscardingTaskGroup { group in
                for (number, seat) in seats.enumerated() { group.addTask { await seat.live(seed: seed &+ UInt64(number) &* 0x9e37_79b9) } }
            }
        }
        let began = ContinuousClock.now
        let teller = Task { [every] in
            while (try? await Task.sleep(for: .seconds(every))) != nil {
                complain("\(Int(began.duration(to: .now) / .seconds(1))) s: \(book.line)")
            }
        }
        let signals = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { room.cancel() }
            source.resume()
            return source
        }
        await room.value
        teller.cancel()
        for source in signals { source.cancel() }
        print(book.summary)
        if !book.failures.isEmpty { throw ExitCode(1) }
    }

    /// Adds the seats as an administrator does, and enrols them as seats do.
    private func enrolled(_ book: SeatBook, _ mayBegin: @escaping @Sendable () -> Bool) async throws -> [SimulatedSeat] {
        let parts = https.split(separator: ":")
        guard parts.count == 2, let port = Int(parts[1]), IPv4Address(String(parts[0])) != nil else {
            throw ValidationError("'\(https)' is no IPv4 address with a port, as 127.0.0.1:443")
        }
        guard let network = IPv4Subnet(from), network.count > self.seats + 10 else {
            throw ValidationError("'\(from)' is no network with an address for each seat, as 127.89.0.0/24")
        }
        let host = String(parts[0])
        let administration = HTTPLine(way: .socket(path: socket))
        let habits = SimulatedSeat.Habits(stay: stay...stayMost, rest: 0...rest)
        var seats: [SimulatedSeat] = []
        for number in 1...self.seats {
            let name = "table-\(number)"
            // One that an earlier run left.
            _ = try await administration.ask(.DELETE, "/api/v1/seats/\(name)")
            let added: SeatAddAnswer = try await administration.message(.POST, "/api/v1/seats", SeatAddRequest(name: name, lab: lab))
            guard let pin = added.command.split(separator: " ").last.map(String.init) else { throw NoAnswer(path: "/api/v1/seats") }
            let address = network.address(UInt32(10 + number)).description
            var line = HTTPLine(way: .https(host: host, port: port, pin: pin, from: address))
            let enrolment: EnrolAnswer = try await line.message(.POST, "/api/v1/seats/enrol", EnrolRequest(word: added.word))
            line.token = enrolment.token
            seats.append(
                SimulatedSeat(name: name, address: address, host: host, line: line, habits: habits, book: book, mayBegin: mayBegin))
        }
        return seats
    }
}

extension HTTPLine {
    /// Asks for a message; a problem is thrown.
    func message<Message: Decodable>(_ method: HTTPMethod, _ path: String, _ body: any Encodable & Sendable) async throws -> Message {
        let answer = try await ask(method, path, body)
        guard (200..<300).contains(answer.status) else {
            throw Refusal(description: try JSONDecoder().decode(Problem.self, from: answer.body).detail.description)
        }
        return try JSONDecoder().decode(Message.self, from: answer.body)
    }
}

private struct Refusal: Error, CustomStringConvertible {
    let description: String
}

private func complain(_ line: String) {
    let text = Array("seats: \(line)\n".utf8)
    _ = write(STDERR_FILENO, text, text.count)
}
