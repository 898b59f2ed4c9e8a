import ControlAPI
import Foundation
import Testing

@testable import ControlServer

@Suite struct SeatStreamTests {
    @Test func theStreamBeginsAtOnceAndEndsWithTheServer() async throws {
        var reader: Task<Command, any Error>?
        try await TestServer.run { server in
            let file = server.folder + "/stream"
            let token = try await server.enrolledSeat("pi-01")
            reader = Task {
                try await server.curl("/api/v1/seat/events", "-N", "-o", file, "-D", file + ".head", "-H", "Authorization: Bearer " + token)
            }
            let begun = await eventually { (try? String(contentsOfFile: file, encoding: .utf8))?.hasPrefix(":\n\n") == true }
            #expect(begun)
            let head = try String(contentsOfFile: file + ".head", encoding: .utf8)
            #expect(head.contains("content-type: text/event-stream") || head.contains("Content-Type: text/event-stream"))
        }
        let ended = try #require(try await reader?.value)
        #expect(ended.status == 0, "the stream was cut and not ended: \(ended.errors)")
    }

    @Test func aSeatIsPresentWhileItsStreamIsOpenAndNoLonger() async throws {
        try await TestServer.run { server in
            let token = try await server.enrolledSeat("pi-01")
            func isPresent() async throws -> Bool {
                let list = try await server.punnet("seat", "list", "--json")
                return try JSONDecoder().decode([SeatListMessage].self, from: Data(list.output.utf8)).first?.present ?? false
            }
            #expect(try await isPresent() == false)
            let reader = try Process.run(
                URL(fileURLWithPath: "/usr/bin/env"),
                arguments: [
                    "curl", "-sSNk", "-o", "/dev/null", "-H", "Authorization: Bearer " + token, server.address + "/api/v1/seat/events",
                ])
            let came = try await eventually { try await isPresent() }
            #expect(came)
            kill(reader.processIdentifier, SIGKILL)
            let gone = try await eventually { try await !isPresent() }
            #expect(gone)
        }
    }

    @Test func aWaitingSeatIsToldThatItMovedUp() async throws {
        try await TestServer.run { server in
            let (first, second) = (try await server.enrolledSeat("pi-01"), try await server.enrolledSeat("pi-02"))
            let file = server.folder + "/stream"
            let reader = Task {
                try await server.curl("/api/v1/seat/events", "-N", "-o", file, "-H", "Authorization: Bearer " + second)
            }
            let isOpen = await eventually { (try? String(contentsOfFile: file, encoding: .utf8))?.isEmpty == false }
            #expect(isOpen)
            for token in [first, second] {
                let claim = try await server.curl(
                    "/api/v1/seat/claim", "-H", "Authorization: Bearer " + token, "-d",
                    "{\"bootID\":\"3f2504e0-4f89-41d3-9a0c-0305e82c3301\"}")
                #expect(claim.output == "{\"place\":\(token == first ? 1 : 2),\"state\":\"waiting\"}\n202")
            }
            #expect(try await server.punnet("seat", "remove", "pi-01").status == 0)
            let told = await eventually {
                (try? String(contentsOfFile: file, encoding: .utf8))?.contains("event: place\ndata: {\"place\":1}\n\n") == true
            }
            #expect(told)
            reader.cancel()
        }
    }

    @Test func aClientThatNeverShakesHandsIsClosed() async throws {
        try await TestServer.run { server in
            let silent = try LoopbackSocket(port: server.port)
            defer { silent.end() }
            let closed = await Task.detached { silent.readToEnd(within: 40) }.value
            #expect(closed == "")
        }
    }
}
