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

    @Test func whatASeatSaysOfItselfIsShownAndNotBelievedBlindly() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let token = try await server.enrolledSeat("pi-01")
            func tell(_ body: String) async throws -> String {
                try await server.curl("/api/v1/seat/health", "-X", "PUT", "-H", "Authorization: Bearer \(token)", "-d", body).output
            }
            #expect(try await !browser.get("/seats/pi-01").body.contains("health-heading"))
            let said = #"{"model":"Raspberry Pi 4 <b>\n","version":"0.1.0","uptimeSeconds":7380,"millidegrees":51540,"memoryTotal":1073741824,"#
                + #""memoryAvailable":805306368,"throttledFlags":327681,"screenWidth":1920,"screenHeight":1080}"#
            #expect(try await tell(said).hasSuffix("\n204"))
            let list = try await server.punnet("seat", "list", "--json").output
            let seat = try #require(try JSONDecoder().decode([SeatListMessage].self, from: Data(list.utf8)).first)
            let health = try #require(seat.health)
            #expect(health.model == "Raspberry Pi 4 <b>" && health.uptimeSeconds == 7380 && health.millidegrees == 51_540)
            #expect(health.memoryAvailable == 768 << 20 && health.screenWidth == 1920 && health.screenHeight == 1080)
            #expect(health.warnings == ["under-voltage", "throttled-before"])
            let shown = try await server.punnet("seat", "show", "pi-01")
            for text in ["pi-01: off. Lab room1.", "52 °C", "1920 × 1080", "under-voltage, throttled-before"] {
                #expect(shown.output.contains(text), "\(text): \(shown.output)")
            }
            #expect(try await server.punnet("seat", "show", "pi-09").status == 1)
            let page = try await browser.get("/seats/pi-01").body
            for text in ["Raspberry Pi 4 &lt;b&gt;", "52 °C", "1920 × 1080", "power supply"] { #expect(page.contains(text), "\(text)") }

            for (field, value) in [
                ("uptimeSeconds", "-1"), ("millidegrees", "9000000"), ("memoryTotal", "-5"), ("throttledFlags", "1048576"), ("screenWidth", "0"),
            ] {
                let refused = try await tell("{\"\(field)\":\(value)}")
                #expect(refused.hasSuffix("\n422") && refused.contains("\"field\":\"\(field)\""), "\(refused)")
                #expect(refused.contains("\"value\":\"\(value)\"") && refused.contains("\"remedy\":"), "\(refused)")
            }
            #expect(try await tell("{\"model\":7}").hasSuffix("\n400"))
            #expect(try await server.room.seats.seats().first?.health?.millidegrees == 51_540, "what was refused changes nothing")
            #expect(try await tell("{}").hasSuffix("\n204"))
            #expect(try await server.room.seats.seats().first?.health?.model == nil, "the last report counts")
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
