import ControlAPI
import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore
import Synchronization
import Testing

@testable import ControlServer

extension TestServer {
    struct Answer {
        let status: Int
        let headers: String
        let body: String

        func read<Message: Decodable>(_: Message.Type = Message.self) throws -> Message {
            try JSONDecoder().decode(Message.self, from: Data(body.utf8))
        }

        /// The address of the next part of a list.
        var next: String? { headers.firstMatch(of: /(?i)link: <([^>]+)>; rel="next"/).map { String($0.1) } }
    }

    /// Asks on the Unix socket as an administrator.
    func ask(_ path: String, _ options: String...) async throws -> Answer {
        let address = "http://punnetd" + (path.hasPrefix("/") ? path : "/api/v1/" + path)
        let run = try await Command.run(["curl", "-sS", "-i", "-m", "50", "--unix-socket", socket] + options + [address])
        let parts = run.output.components(separatedBy: "\r\n\r\n")
        let status = run.output.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) } ?? 0
        return Answer(status: status, headers: parts[0], body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }
}

@Suite struct ListTests {
    @Test func aListComesInPartsOfWhichEachNamesTheNextInTheOrderInWhichPeopleCount() async throws {
        try await TestServer.run { server in
            for name in ["pi-10", "pi-2", "pi-1", "pi-9", "door"] {
                #expect(try await server.ask("seats", "-d", "{\"name\":\"\(name)\",\"lab\":\"room1\"}").status == 201)
            }
            var (next, parts): (String?, [[String]]) = ("seats?limit=2&lab=room1", [])
            while let path = next {
                let answer = try await server.ask(path)
                try #require(answer.status == 200, "\(answer)")
                parts.append(try answer.read([SeatListMessage].self).map(\.name))
                next = answer.next
                #expect(next?.contains("lab=room1") != false, "the filter is kept: \(next ?? "")")
            }
            #expect(parts == [["door", "pi-1"], ["pi-2", "pi-9"], ["pi-10"]])
            // What was the last meanwhile is gone: the list goes on after where it was.
            #expect(try await server.ask("seats/pi-2", "-X", "DELETE").status == 204)
            #expect(try await server.ask("seats?after=pi-2").read([SeatListMessage].self).map(\.name) == ["pi-9", "pi-10"])
            let all = try await server.punnet("seat", "list", "--json")
            #expect(try JSONDecoder().decode([SeatListMessage].self, from: Data(all.output.utf8)).count == 4)
        }
    }

    @Test(arguments: [
        ("seats?limit=0", "limit"), ("seats?limit=1001", "limit"), ("seats?limit=many", "limit"), ("labs?after=a%20b", "after"),
        ("labs?after=", "after"),
        ("seats?present=maybe", "present"), ("desktops?state=broken", "state"), ("desktops?lab=%00", "lab"), ("sessions?before=0", "before"),
        ("sessions?seat=%22", "seat"), ("journal?before=x", "before"), ("journal?who=", "who"), ("journal?action=%2f", "action"),
        ("operations?state=broken", "state"), ("images?image=a/b", "image"),
    ])
    func aQueryThatIsNotPossibleIsRefusedByFieldValueAndRemedy(_ path: String, _ field: String) async throws {
        try await TestServer.run { server in
            let answer = try await server.ask(path)
            #expect(answer.status == 422, "\(answer)")
            let problem = try answer.read(Problem.self)
            #expect(problem.field == field && problem.value != nil && problem.remedy?.description.isEmpty == false, "\(problem)")
        }
    }

    @Test func listsAreFilteredByWhatTheirThingsAre() async throws {
        try await TestServer.run { server in
            func count(_ path: String) async throws -> Int { try await server.ask(path).read([[String: Any?]].Count.self).count }
            #expect(await eventually { (try? await count("desktops?lab=room1")) == 1 })
            for (path, wanted) in [
                ("desktops?state=leased", 0), ("images?image=debian-desktop", 1), ("images?image=other", 0), ("labs?image=debian-desktop-1", 1),
                ("labs?image=debian-desktop-2", 0), ("seats?present=true", 0), ("sessions?all=true&lab=room1&seat=pi-1&desktop=room1-1", 0),
            ] {
                let found = try await count(path)
                #expect(found == wanted, "\(path)")
            }
            let unknown = try await server.ask("desktops?lab=room9")
            #expect(unknown.status == 404)
        }
    }

    @Test func theJournalIsReadByProgramsAndOnTheCommandLine() async throws {
        try await TestServer.run { server in
            for words in ["seat add pi-1 --lab room1", "lab set room1 --grace 90s", "seat add pi-2 --lab room1"] {
                let done = try await Command.run([TestServer.program] + words.split(separator: " ").map(String.init) + ["--socket", server.socket])
                #expect(done.status == 0, "\(words)")
            }
            let first = try await server.ask("journal?action=seat-add&limit=1")
            #expect(try first.read([JournalMessage].self).map(\.subject) == ["pi-2"])
            let second = try await server.ask(try #require(first.next))
            #expect(try second.read([JournalMessage].self).map(\.subject) == ["pi-1"])
            #expect(second.next == nil)
            let shown = try await server.punnet("journal", "--subject", "room1")
            #expect(shown.output.contains("lab-change") && shown.output.contains("server") && !shown.output.contains("pi-1"), "\(shown)")
            #expect(try await server.punnet("journal", "--limit", "2", "--json").output.components(separatedBy: "\"action\"").count == 3)
            #expect(try await server.punnet("journal", "--limit", "0").status == 64)
        }
    }

    @Test(arguments: [
        ["pi-1", "pi-2", "pi-10"], ["a-9", "b-1"], ["pi", "pi-0", "pi-01", "pi-1"], ["room1-2", "room10-1"], ["x", "x99999999999999999999"],
    ])
    func namesAreInTheOrderInWhichPeopleCount(_ names: [String]) {
        #expect(names.shuffled().map(CountedName.init).sorted().map(\.text) == names)
    }
}

/// Reads a JSON array for its length alone.
extension Array where Element == [String: Any?] {
    struct Count: Decodable {
        let count: Int
        init(from decoder: any Decoder) throws { count = try decoder.unkeyedContainer().count ?? 0 }
    }
}

@Suite struct IdempotencyTests {
    @Test func aRequestThatIsSentAgainIsAnsweredAgainAndNotDoneAgain() async throws {
        try await TestServer.run { server in
            let body = "{\"name\":\"pi-1\",\"lab\":\"room1\"}"
            let first = try await server.ask("seats", "-H", "Idempotency-Key: \"k-1\"", "-d", body)
            let again = try await server.ask("seats", "-H", "Idempotency-Key: k-1", "-d", body)
            #expect(first.status == 201 && again.status == 201)
            #expect(again.body == first.body, "the same word")
            #expect(try await server.ask("seats", "-d", body).body != first.body, "without the key: another word")
            #expect(try await server.room.people.journal(before: nil, limit: 10).count { $0.action == "seat-add" } == 2)

            let other = try await server.ask("seats", "-H", "Idempotency-Key: k-1", "-d", "{\"name\":\"pi-2\",\"lab\":\"room1\"}")
            #expect(other.status == 422 && other.body.contains("key-reused"), "\(other)")
            let elsewhere = try await server.ask("images", "-H", "Idempotency-Key: k-1", "-d", "{\"folder\":\"/none\"}")
            #expect(elsewhere.status == 422, "another address is another request")
            #expect(try await server.ask("seats", "-H", "Idempotency-Key: \(String(repeating: "k", count: 256))", "-d", body).status == 422)
        }
    }

    @Test func whatWasRefusedMayBeTriedAgainUnderItsKey() async throws {
        try await TestServer.run { server in
            let body = "{\"name\":\"pi-1\",\"lab\":\"room2\"}"
            let refused = try await server.ask("seats", "-H", "Idempotency-Key: k", "-d", body)
            #expect(refused.status == 404)
            #expect(try await server.punnet("lab", "create", "room2", "--image", "debian-desktop", "--size", "0").status == 0)
            #expect(try await server.ask("seats", "-H", "Idempotency-Key: k", "-d", body).status == 201)
        }
    }

    @Test func anImageIsTakenInOnceByOneOperation() async throws {
        try await TestServer.run { server in
            let body = "{\"folder\":\"\(server.folder)\"}"
            let first = try await server.ask("images", "-H", "Idempotency-Key: k", "-d", body)
            let again = try await server.ask("images", "-H", "Idempotency-Key: k", "-d", body)
            #expect(first.status == 202 && again.status == 202)
            let (one, other) = (try first.read(OperationMessage.self), try again.read(OperationMessage.self))
            #expect(one.id == other.id && again.headers.contains(one.id), "its header names the same operation")
            #expect(try await server.ask("operations").read([OperationMessage].self).count == 1)
        }
    }

    private static func request(_ body: String) -> Request {
        Request(
            head: HTTPRequest(method: .post, scheme: nil, authority: nil, path: "/api/v1/seats"), body: RequestBody(buffer: ByteBuffer(string: body)))
    }

    @Test func whileTheFirstIsWorkedOnTheSecondIsRefused() async throws {
        let keys = IdempotencyKeys()
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let (begun, began) = AsyncStream<Void>.makeStream()
        async let first = keys.answer(to: Self.request("a"), key: "k", by: "ada", upTo: 100) { _ in
            began.yield()
            for await _ in gate { break }
            return Response(status: .created)
        }
        for await _ in begun { break }
        let refused = try await #require(throws: Problem.self) {
            try await keys.answer(to: Self.request("a"), key: "k", by: "ada", upTo: 100) { _ in Response(status: .ok) }
        }
        #expect(refused.status == 409 && refused.retryAfterSeconds != nil)
        // Another author's key is another key.
        #expect(try await keys.answer(to: Self.request("a"), key: "k", by: "bob", upTo: 100) { _ in Response(status: .ok) }.status == .ok)
        opener.finish()
        let created = try await first
        #expect(created.status == .created)
        #expect(try await keys.answer(to: Self.request("a"), key: "k", by: "ada", upTo: 100) { _ in Response(status: .ok) }.status == .created)
    }

    @Test func aKeyIsForgottenAfterADayAndTheOldestWhereThereAreMany() async throws {
        let clock = Mutex(ContinuousClock.now)
        let keys = IdempotencyKeys(most: 3) { clock.withLock(\.self) }
        func status(_ key: String, _ status: HTTPResponse.Status) async throws -> HTTPResponse.Status {
            clock.withLock { $0 += .seconds(1) }
            return try await keys.answer(to: Self.request("a"), key: key, by: "ada", upTo: 100) { _ in Response(status: status) }.status
        }
        for key in ["1", "2", "3", "4"] { #expect(try await status(key, .created) == .created) }
        #expect(try await status("4", .ok) == .created, "it is kept")
        #expect(try await status("1", .ok) == .ok, "it was the oldest")
        clock.withLock { $0 += IdempotencyKeys.lifetime }
        #expect(try await status("4", .ok) == .ok, "a day is over")
    }
}

@Suite struct ChangesTests {
    @Test func programsAreToldWhatChanges() async throws {
        try await TestServer.run { server in
            let file = server.folder + "/events"
            let reader = Process()
            reader.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            reader.arguments = ["curl", "-sS", "-N", "-m", "60", "--unix-socket", server.socket, "-o", file, "http://punnetd/api/v1/events"]
            try reader.run()
            defer { reader.terminate() }
            func told() -> String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
            #expect(await eventually { told().hasPrefix(":") })
            #expect(try await server.punnet("seat", "add", "pi-1", "--lab", "room1").status == 0)
            #expect(await eventually { told().contains("event: seat\ndata: {") && told().contains("\"name\":\"pi-1\"") })
            #expect(try await server.punnet("lab", "set", "room1", "--grace", "90s").status == 0)
            #expect(await eventually { told().contains("event: lab\ndata: {") && told().contains("\"graceSeconds\":90") })
            #expect(try await server.punnet("seat", "remove", "pi-1", "--yes").status == 0)
            #expect(await eventually { told().contains("event: removed\ndata: {\"kind\":\"seat\",\"name\":\"pi-1\"}") }, "\(told())")
        }
    }

    @Test func theCommandLinePrintsThemAndEndsWithTheServer() async throws {
        let reader = Process()
        let folder = FileManager.default.temporaryDirectory.path + "/punnet-events-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = folder + "/printed"
        try Data().write(to: URL(fileURLWithPath: file))
        func printed() -> String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
        try await TestServer.run { server in
            reader.executableURL = URL(fileURLWithPath: TestServer.program)
            reader.arguments = ["events", "--socket", server.socket]
            reader.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
            reader.standardError = FileHandle.nullDevice
            try reader.run()
            // Until its stream is open it is told nothing.
            var number = 0
            let heard = try await eventually {
                number += 1
                _ = try await server.punnet("seat", "add", "pi-\(number)", "--lab", "room1")
                return printed().contains("{\"event\":\"seat\",\"data\":{")
            }
            #expect(heard, "\(printed())")
        }
        #expect(await eventually { !reader.isRunning })
        #expect(reader.terminationStatus == 69)
        for line in printed().split(separator: "\n") { #expect((try? JSONSerialization.jsonObject(with: Data(line.utf8))) != nil, "\(line)") }
    }

    @Test func whatIsAsItWasIsNotToldAgain() throws {
        struct Thing: Encodable, Hashable, Sendable { var size: Int }
        var changes = RoomChanges()
        #expect(try changes.look([(.lab, "a", Thing(size: 1)), (.lab, "b", Thing(size: 1))]).count == 2)
        #expect(try changes.look([(.lab, "a", Thing(size: 1)), (.lab, "b", Thing(size: 1))]).isEmpty)
        #expect(try changes.look([(.lab, "a", Thing(size: 2))]).map(\.text) == [
            "event: lab\ndata: {\"size\":2}\n\n", "event: removed\ndata: {\"kind\":\"lab\",\"name\":\"b\"}\n\n",
        ])
    }
}
