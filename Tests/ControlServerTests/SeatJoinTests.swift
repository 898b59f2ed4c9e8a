import ControlAPI
import DesktopModel
import Foundation
import Hypervisor
import Identity
import Testing

@testable import Broker

/// Seats that nothing was typed on: they ask, people compare, somebody decides.
@Suite struct SeatJoinTests {
    /// A seat that asks to join, by curl.
    private struct Asking {
        let drawn = ComparedWords.drawn()
        let answer: JoinAnswer

        init(_ server: TestServer, model: String = "Raspberry Pi 4 Model B Rev 1.4") async throws {
            let body = JoinRequest(commitment: ComparedWords.commitment(to: drawn), model: model, version: "0.1.0")
            let said = try await server.tell("/api/v1/join", body)
            try #require(said.hasSuffix("\n201"), "\(said)")
            answer = try JSONDecoder().decode(JoinAnswer.self, from: Data(said.dropLast(4).utf8))
        }

        func decision(_ server: TestServer) async throws -> String {
            try await server.tell("/api/v1/join/decision", JoinDecisionRequest(drawn: drawn))
        }

        func words(_ server: TestServer) -> [String] { ComparedWords.words(key: server.pin, pin: answer.pin, seat: drawn, appliance: answer.drawn) }
    }

    // MARK: The way in

    @Test func aSeatJoinsWhenAnAdministratorAcceptsItsPIN() async throws {
        try await TestServer.run { server in
            let asking = try await Asking(server)
            #expect(try await server.joins().isEmpty, "it has not yet said what it drew")
            #expect(try await server.punnet("seat", "accept", asking.answer.pin, "--name", "pi-1", "--lab", "room1").status == 1)
            let decided = Task { try await asking.decision(server) }
            #expect(try await eventually { try await !server.joins().isEmpty })
            let join = try #require(try await server.joins().first)
            #expect(join.pin == asking.answer.pin && join.words == asking.words(server) && join.model == "Raspberry Pi 4 Model B Rev 1.4")
            let table = try await server.punnet("seat", "requests").output
            #expect(table.contains(join.pin) && table.contains(join.words.joined(separator: " ")) && table.contains("127.0.0.1"), "\(table)")

            #expect(try await server.punnet("seat", "accept", join.pin, "--name", "pi-1", "--lab", "nowhere").status == 1)
            #expect(try await server.punnet("seat", "accept", join.pin, "--name", "Pi 1", "--lab", "room1").status == 1)
            #expect(try await server.joins().count == 1, "what was refused decides nothing")
            #expect(try await server.punnet("seat", "accept", join.pin, "--name", "pi-1", "--lab", "room1").status == 0)
            let answer = try await decided.value
            #expect(answer.hasSuffix("\n200"), "\(answer)")
            let word = try #require(try JSONDecoder().decode(JoinDecisionAnswer.self, from: Data(answer.dropLast(4).utf8)).word)
            #expect(try await server.joins().isEmpty)
            #expect(try await asking.decision(server).contains(word), "an answer that was lost is given again")

            let enrolled = try await server.tell("/api/v1/seats/enrol", EnrolRequest(word: word))
            #expect(try JSONDecoder().decode(EnrolAnswer.self, from: Data(enrolled.dropLast(4).utf8)).name == "pi-1")
            #expect(try await asking.decision(server).contains("join-over"))
            #expect(try await server.room.seats.seats().map(\.enrolled) == [true])
            let entry = try #require(try await server.room.people.journal(before: nil, limit: 1).first)
            #expect(entry.action == "join-accept" && entry.subject == "pi-1" && entry.detail.contains(join.pin), "\(entry)")
        }
    }

    @Test func aSeatThatIsRefusedIsToldAndGetsNothing() async throws {
        try await TestServer.run { server in
            let asking = try await Asking(server)
            let decided = Task { try await asking.decision(server) }
            #expect(try await eventually { try await !server.joins().isEmpty })
            #expect(try await server.punnet("seat", "refuse", asking.answer.pin).status == 0)
            #expect(try await decided.value == "{\"state\":\"refused\"}\n200")
            #expect(try await server.punnet("seat", "accept", asking.answer.pin, "--name", "pi-1", "--lab", "room1").status == 1)
            #expect(try await server.room.seats.seats().isEmpty)
            #expect(try await server.room.people.journal(before: nil, limit: 1).first?.action == "join-refuse")
        }
    }

    @Test func aStrangerNeverTakesTheNameOfASeatThatIsEnrolled() async throws {
        try await TestServer.run { server in
            let token = try await server.enrolledSeat("pi-1")
            let (first, second) = (try await Asking(server), try await Asking(server))
            let decided = [first, second].map { asking in Task { try await asking.decision(server) } }
            #expect(try await eventually { try await server.joins().count == 2 })
            let refused = try await server.punnet("seat", "accept", first.answer.pin, "--name", "pi-1", "--lab", "room1")
            #expect(refused.status == 1 && refused.errors.contains("already a seat named 'pi-1'"), "\(refused.errors)")
            let claimed = try await server.curl("/api/v1/seat/claim", "-H", "Authorization: Bearer \(token)", "-d", "{}")
            #expect(claimed.output.hasSuffix("\n400"), "its token is good")
            #expect(try await server.punnet("seat", "accept", first.answer.pin, "--name", "pi-2", "--lab", "room1").status == 0)
            #expect(try await server.punnet("seat", "accept", second.answer.pin, "--name", "pi-2", "--lab", "room1").status == 1, "two of one name")
            #expect(try await server.punnet("seat", "refuse", second.answer.pin).status == 0)
            for answer in decided { _ = try await answer.value }
        }
    }

    // MARK: Who may

    @Test func onlyAnAdministratorSeesAndDecidesInThePanel() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let teacher = try await browser.teacher("tom", of: ["room1"])
            let asking = try await Asking(server)
            let decided = Task { try await asking.decision(server) }
            #expect(try await eventually { try await !server.joins().isEmpty })
            let (pin, words) = (asking.answer.pin, asking.words(server).joined(separator: " "))
            let seen = try await teacher.get("/seats").body
            #expect(!seen.contains(pin) && !seen.contains(words))
            for path in ["accept", "refuse"] {
                #expect(try await teacher.post("/panel/joins/\(pin)/\(path)", ["name": "pi-1", "lab": "room1"]).status == 403)
            }
            #expect(try await browser.get("/").body.contains("href=\"/seats\">Seats that ask to join: 1<"))
            let page = try await browser.get("/seats").body
            #expect(page.contains(pin) && page.contains(words) && page.contains("Raspberry Pi 4 Model B Rev 1.4"))
            let refused = try await browser.post("/panel/joins/\(pin)/accept", ["name": "Pi 1", "lab": "room1"])
            #expect(refused.status == 422 && refused.body.contains("value=\"Pi 1\""))
            #expect(try await browser.post("/panel/joins/000000/accept", ["name": "pi-1", "lab": "room1"]).status == 422)
            let accepted = try await browser.post("/panel/joins/\(pin)/accept", ["name": "pi-1", "lab": "room1"])
            #expect(accepted.header("location") == "/seats?done=joinAccepted")
            #expect(try await decided.value.contains("accepted"))
            let entry = try #require(try await server.room.people.journal(before: nil, limit: 1).first)
            #expect(entry.who == "ada" && entry.action == "join-accept" && entry.subject == "pi-1")
        }
    }

    // MARK: Strangers

    @Test func nothingThatAStrangerSaysBecomesMarkupOrAnotherLine() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let bad = "<b onx=1>\u{1b}[2J\u{202e}\nforged\u{0}" + String(repeating: "x", count: 500)
            let asking = try await Asking(server, model: bad)
            let decided = Task { try await asking.decision(server) }
            #expect(try await eventually { try await !server.joins().isEmpty })
            let model = try #require(try await server.joins().first).model
            #expect(model.count == 64 && model.hasPrefix("<b onx=1>[2J forgedxxx"), "\(model)")
            #expect(try await !browser.get("/seats").body.contains("<b onx"))
            #expect(try await browser.post("/panel/joins/\(asking.answer.pin)/refuse").status == 303)
            #expect(try await !browser.get("/journal").body.contains("<b onx"))
            _ = try await decided.value
        }
    }

    @Test func whatIsNoRequestIsRefused() async throws {
        try await TestServer.run { server in
            for commitment in ["", "x", String(repeating: "A", count: 64), String(repeating: "a", count: 63), String(repeating: "é", count: 32)] {
                let answer = try await server.tell("/api/v1/join", JoinRequest(commitment: commitment, model: "", version: ""))
                #expect(answer.hasSuffix("\n422") && answer.contains("\"field\":\"commitment\""), "\(answer)")
            }
            for (drawn, status) in [("x", "422"), (ComparedWords.drawn(), "404")] {
                #expect(try await server.tell("/api/v1/join/decision", JoinDecisionRequest(drawn: drawn)).hasSuffix("\n" + status))
            }
            #expect(try await server.curl("/api/v1/join/other", "-d", "{}").output.hasSuffix("\n404"))
        }
    }

    @Test func oneAddressAsksOnlySoOften() async throws {
        try await TestServer.run { server in
            for _ in 1...4 { _ = try await Asking(server) }
            for _ in 1...3 {
                let body = JoinRequest(commitment: ComparedWords.commitment(to: ComparedWords.drawn()), model: "", version: "")
                let answer = try await server.tell("/api/v1/join", body)
                #expect(answer.hasSuffix("\n429") && answer.contains("too-many-joins") && answer.contains("retryAfterSeconds"), "\(answer)")
            }
        }
    }

    // MARK: The desk itself

    private static func stranger(_ address: String) -> SeatStranger {
        SeatStranger(untrustedModel: "", untrustedVersion: "", address: address, counted: address)
    }

    private static func withDesk(
        _ change: (inout SeatJoins.Bounds) -> Void = { _ in }, _ body: (SeatJoins, SimulatedClock, AsyncStream<Void>) async throws -> Void
    ) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/punnet-joins-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var bounds = SeatJoins.Bounds()
        change(&bounds)
        let (changes, feed) = AsyncStream.makeStream(of: Void.self)
        let (seats, clock) = (try await TestRoom.make(in: folder).seats, SimulatedClock())
        try await body(SeatJoins(seats, key: "key", bounds: bounds, clock: BrokerClock(clock)) { feed.yield() }, clock, changes)
    }

    @Test func aRequestIsForgottenAfterItsTimeAndPagesAreToldOfIt() async throws {
        try await Self.withDesk { desk, clock, changes in
            let drawn = ComparedWords.drawn()
            let pin = try await desk.ask(Self.stranger("10.0.0.1"), commitment: ComparedWords.commitment(to: drawn)).pin
            // It is asked for all the while, and answered when it is over.
            let decided = Task { try await desk.decision(forDrawn: drawn, within: .seconds(900)) }
            var told = changes.makeAsyncIterator()
            _ = await told.next()
            #expect(await desk.undecided().map(\.pin) == [pin])
            let isOver = await eventually {
                clock.advance()
                return await desk.undecided().isEmpty
            }
            #expect(isOver && clock.now.offset >= .seconds(600))
            await #expect(throws: BrokerError.unknownJoin(nil)) { try await decided.value }
            _ = await told.next()
            await #expect(throws: BrokerError.unknownJoin(pin)) { try await desk.accept(pin, name: "pi-1", lab: "room1") }
        }
    }

    @Test func aRequestThatIsNotHeardOfAnyMoreIsForgotten() async throws {
        try await Self.withDesk { desk, clock, _ in
            let drawn = ComparedWords.drawn()
            _ = try await desk.ask(Self.stranger("10.0.0.1"), commitment: ComparedWords.commitment(to: drawn))
            clock.pass(.seconds(59))
            #expect(try await desk.decision(forDrawn: drawn, within: .zero) == .undecided)
            clock.pass(.seconds(59))
            #expect(await desk.undecided().count == 1, "it was heard of")
            clock.pass(.seconds(1))
            #expect(await desk.undecided().isEmpty)
            await #expect(throws: BrokerError.unknownJoin(nil)) { try await desk.decision(forDrawn: drawn, within: .zero) }
        }
    }

    @Test func thereAreOnlySoManyRequestsInAllAndOfOneAddress() async throws {
        try await Self.withDesk({ ($0.inAll, $0.perAddress) = (3, 2) }) { desk, _, _ in
            func ask(_ address: String) async throws {
                _ = try await desk.ask(Self.stranger(address), commitment: ComparedWords.commitment(to: ComparedWords.drawn()))
            }
            try await ask("10.0.0.1")
            try await ask("10.0.0.1")
            await #expect(throws: BrokerError.tooManyJoins) { try await ask("10.0.0.1") }
            try await ask("10.0.0.2")
            await #expect(throws: BrokerError.tooManyJoins) { try await ask("10.0.0.3") }
        }
    }

    /// Else somebody in between would draw until the words are those that the other side shows.
    @Test func neitherSideDrawsAgainOnceItKnowsWhatTheOtherDrew() async throws {
        try await Self.withDesk { desk, _, _ in
            let (drawn, other) = (ComparedWords.drawn(), ComparedWords.drawn())
            let first = try await desk.ask(Self.stranger("10.0.0.1"), commitment: ComparedWords.commitment(to: drawn))
            await #expect(throws: BrokerError.unknownJoin(nil), "the seat") { try await desk.decision(forDrawn: other, within: .zero) }
            await #expect(throws: BrokerError.self, "no second draw of the appliance's for the same") {
                try await desk.ask(Self.stranger("10.0.0.1"), commitment: ComparedWords.commitment(to: drawn))
            }
            _ = try await desk.decision(forDrawn: drawn, within: .zero)
            let words = try #require(await desk.undecided().first).words
            #expect(words == ComparedWords.words(key: "key", pin: first.pin, seat: drawn, appliance: first.drawn))
            _ = try await desk.decision(forDrawn: drawn, within: .zero)
            #expect(await desk.undecided().first?.words == words)
            let second = try await desk.ask(Self.stranger("10.0.0.1"), commitment: ComparedWords.commitment(to: other))
            #expect(second.drawn != first.drawn && second.pin != first.pin)
        }
    }

    // MARK: The seat's own program

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// Runs `punnet-seat join` until it ends; gives what it said, and the pin that it keeps.
    private static func seatJoins(_ server: TestServer, at address: String) async throws -> (said: Command, pin: String) {
        let state = server.folder + "/seat-" + UUID().uuidString.prefix(8)
        let seat = Self.root + "/appliance/seat/usr"
        let said = try await Command.run(
            "PUNNET_SEAT_SHARE=\(seat)/share/punnet-seat", "PUNNET_SEAT_STATE=\(state)", "XDG_RUNTIME_DIR=\(server.folder)", "LANG=C.UTF-8",
            "timeout", "50", seat + "/bin/punnet-seat", "join", address)
        let kept = (try? String(contentsOfFile: state + "/seat", encoding: .utf8)) ?? ""
        return (said, String(kept.firstMatch(of: /pin (sha256\S+)/)?.1 ?? ""))
    }

    @Test func theSeatsProgramHasTheSameListOfWords() throws {
        let kept = try String(contentsOfFile: Self.root + "/appliance/seat/usr/share/punnet-seat/words", encoding: .utf8)
        #expect(kept.split(separator: "\n").map(String.init) == ComparedWords.list)
        #expect(ComparedWords.list.count == 256 && Set(ComparedWords.list).count == 256)
    }

    @Test func theSeatsProgramShowsTheWordsOfItsApplianceAndJoinsIt() async throws {
        try await TestServer.run { server in
            async let joined = Self.seatJoins(server, at: "127.0.0.1:\(server.port)")
            #expect(try await eventually { try await !server.joins().isEmpty })
            let join = try #require(try await server.joins().first)
            #expect(try await server.punnet("seat", "accept", join.pin, "--name", "pi-1", "--lab", "room1").status == 0)
            let (said, pin) = try await joined
            #expect(said.status == 0, "\(said.errors)")
            #expect(said.errors.contains(([join.pin] + join.words).joined(separator: " ")), "\(said.errors)")
            #expect(pin == server.pin)
            #expect(try await server.room.seats.seats().map(\.enrolled) == [true])
        }
    }

    /// An administrator who does not compare lets it in all the same; who compares sees it.
    @Test func somebodyInBetweenHasOtherWordsAppear() async throws {
        try await TestServer.run { server in
            let folder = server.folder + "/between"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let stranger = try SelfSignedCertificate(names: ["127.0.0.1"])
            try stranger.certificatePEM.write(toFile: folder + "/cert.pem", atomically: true, encoding: .utf8)
            try stranger.keyPEM.write(toFile: folder + "/key.pem", atomically: true, encoding: .utf8)
            let between = Process()
            between.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            between.arguments = ["python3", Self.root + "/Tests/SeatTests/between.py", folder, "127.0.0.1", "\(server.port)"]
            let input = Pipe()
            between.standardInput = input
            try between.run()
            defer {
                try? input.fileHandleForWriting.close()
                between.waitUntilExit()
            }
            func port() -> String? { try? String(contentsOfFile: folder + "/port", encoding: .utf8) }
            #expect(await eventually { port() != nil })
            let address = "127.0.0.1:\(try #require(port()))"
            async let joined = Self.seatJoins(server, at: address)
            #expect(try await eventually { try await !server.joins().isEmpty })
            let join = try #require(try await server.joins().first)
            #expect(try await server.punnet("seat", "accept", join.pin, "--name", "pi-1", "--lab", "room1").status == 0)
            let (said, pin) = try await joined
            let shown = try #require(said.errors.firstMatch(of: #/([0-9]{6}) ([a-z]+) ([a-z]+) ([a-z]+) ([a-z]+) Compare/#), "\(said.errors)")
            #expect(String(shown.1) == join.pin, "the PIN passes")
            #expect([shown.2, shown.3, shown.4, shown.5].map { String($0) } != join.words)
            #expect(pin == stranger.pin && pin != server.pin, "it was the stranger's key that the seat saw")
        }
    }
}

extension TestServer {
    /// Sends a seat's message; the answer's status is the last line.
    fileprivate func tell(_ path: String, _ body: some Encodable) async throws -> String {
        try await curl(path, "-d", String(decoding: try JSONEncoder().encode(body), as: UTF8.self)).output
    }

    fileprivate func joins() async throws -> [SeatJoinMessage] {
        try JSONDecoder().decode([SeatJoinMessage].self, from: Data(try await punnet("seat", "requests", "--json").output.utf8))
    }
}
