import ControlAPI
import Foundation
import Testing

@Suite struct SeatLifeTests {
    private let claim = #"{"bootID":"3f2504e0-4f89-41d3-9a0c-0305e82c3301"}"#

    @Test func aSeatEnrolsByTheLineThatItsAddingPrints() async throws {
        try await TestServer.run { server in
            let added = try await server.punnet("seat", "add", "pi-07", "--lab", "room1")
            #expect(added.status == 0)
            let line = try #require(added.output.split(separator: "\n").first { $0.contains("punnet-seat enrol") })
            let words = line.split(separator: " ")
            #expect(words.prefix(2) == ["punnet-seat", "enrol"])
            #expect(words[2].hasPrefix("192.0.2.1"))
            #expect(words.suffix(2) == ["--pin", Substring(server.pin)])

            let body = "{\"word\":\"\(words[3])\"}"
            let enrolled = try await server.curl("/api/v1/seats/enrol", "-d", body)
            #expect(enrolled.output.hasSuffix("\n200"))
            let answer = try JSONDecoder().decode(EnrolAnswer.self, from: Data(enrolled.output.dropLast(4).utf8))
            #expect(answer.name == "pi-07")

            let again = try await server.curl("/api/v1/seats/enrol", "-d", body)
            #expect(again.output.hasSuffix("\n403"))
            #expect(again.output.contains("word-refused"))
        }
    }

    @Test func aClaimWithoutAFreeDesktopGetsAPlace() async throws {
        try await TestServer.run { server in
            let token = try await server.enrolledSeat("pi-01")
            for _ in 0..<2 {
                let answer = try await server.curl("/api/v1/seat/claim", "-H", "Authorization: Bearer " + token, "-d", claim)
                #expect(answer.output == "{\"place\":1,\"state\":\"waiting\"}\n202")
            }
        }
    }

    @Test func aClaimWithoutABootIDIsRefused() async throws {
        try await TestServer.run { server in
            let token = try await server.enrolledSeat("pi-01")
            let answer = try await server.curl(
                "/api/v1/seat/claim", "-H", "Authorization: Bearer " + token, "-d", "{\"bootID\":\"yesterday\"}")
            #expect(answer.output.hasSuffix("\n422"))
            #expect(answer.output.contains("\"field\":\"bootID\""))
        }
    }

    @Test func aSessionThatDoesNotExistCannotBeEnded() async throws {
        try await TestServer.run { server in
            let token = try await server.enrolledSeat("pi-01")
            let bearer = "Authorization: Bearer " + token
            let unknown = try await server.curl("/api/v1/seat/sessions/12/end", "-H", bearer, "-d", "{\"reason\":\"log-off\"}")
            #expect(unknown.output.hasSuffix("\n404"))
            let reason = try await server.curl("/api/v1/seat/sessions/12/end", "-H", bearer, "-d", "{\"reason\":\"administrator\"}")
            #expect(reason.output.hasSuffix("\n422"))
        }
    }

    @Test func aRemovedSeatsTokenIsGoodNoLonger() async throws {
        try await TestServer.run { server in
            let bearer = "Authorization: Bearer " + (try await server.enrolledSeat("pi-01"))
            #expect(try await server.curl("/api/v1/seat/claim", "-H", bearer, "-d", claim).output.hasSuffix("202"))
            #expect(try await server.punnet("seat", "remove", "pi-01").status == 0)
            #expect(try await server.curl("/api/v1/seat/claim", "-H", bearer, "-d", claim).output.hasSuffix("401"))
        }
    }
}
