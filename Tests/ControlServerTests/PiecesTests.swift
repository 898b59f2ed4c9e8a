import Broker
import ControlAPI
import DesktopModel
import NIOCore
import Testing

@testable import ControlServer

@Suite struct UntrustedTests {
    @Test func aBootIDIsAUUIDOf36Characters() throws {
        #expect(try Untrusted.bootID("3F2504E0-4F89-41D3-9A0C-0305E82C3301") == "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    }

    @Test(arguments: [
        "", "3f2504e0-4f89-41d3-9a0c-0305e82c330", "3f2504e0-4f89-41d3-9a0c-0305e82c33011", "3f2504e004f89-41d3-9a0c-0305e82c3301",
        "3f2504e0-4f89-41d3-9a0c-0305e82c330g", "3f2504e0-4f89-41d3-9a0c-0305e82c33é", "'; drop table seats; --------------------",
    ])
    func whatIsNoBootIDIsRefused(_ text: String) throws {
        let problem = try #require(throws: Problem.self) { try Untrusted.bootID(text) }
        #expect(problem.status == 422)
        #expect(problem.field == "bootID")
    }

    @Test func aTokenIsReadFromABearerHeaderOnly() {
        #expect(Untrusted.bearerToken("Bearer abc-_.~+/=") == "abc-_.~+/=")
        #expect(Untrusted.bearerToken("bearer abc") == "abc")
        for header in [nil, "", "abc", "Basic abc", "Bearer", "Bearer ", "Bearer a b", "Bearer a\"b", "Bearer é"] {
            #expect(Untrusted.bearerToken(header) == nil, "\(header ?? "no header")")
        }
        #expect(Untrusted.bearerToken("Bearer " + String(repeating: "a", count: 600)) == nil)
    }

    @Test func aSeatMayGiveThreeReasonsOnly() throws {
        #expect(try Untrusted.seatReason("log-off") == .logOff)
        #expect(try Untrusted.seatReason("closed") == .closed)
        #expect(try Untrusted.seatReason("idle") == .idle)
        for reason in EndReason.allCases where ![.logOff, .closed, .idle].contains(reason) {
            #expect(throws: Problem.self) { try Untrusted.seatReason(reason.rawValue) }
        }
    }

    @Test(arguments: ["images", "./images", "/srv/../etc", "", "/a\0b", "/" + String(repeating: "a", count: 5000)])
    func aFolderIsAnAbsolutePathThatGoesForward(_ text: String) {
        #expect(throws: Problem.self) { try Untrusted.folder(text) }
    }

    @Test(arguments: ["", "a/b", "a b", "../x", "%2e", "교실", String(repeating: "a", count: 65)])
    func aNameInAnAddressIsPlain(_ text: String) {
        #expect(throws: Problem.self) { try Untrusted.name(text, field: "lab") }
    }

    @Test func aRefusedValueIsRepeatedShortAndWithoutControlCharacters() throws {
        let problem = try #require(throws: Problem.self) {
            try Untrusted.name("\u{1b}[2J" + String(repeating: "x", count: 1000), field: "lab")
        }
        let value = try #require(problem.value)
        #expect(value.count < 70)
        #expect(!value.unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test func sessionsHaveNumbersFromOne() throws {
        #expect(try Untrusted.sessionID("12") == SessionID(rawValue: 12))
        for text in ["0", "-1", "x", "", "99999999999999999999"] { #expect(throws: Problem.self) { try Untrusted.sessionID(text) } }
    }
}

@Suite struct ProblemMappingTests {
    @Test(arguments: [
        (.noDesktops(lab: "l"), 409), (.unknownLab("l"), 404), (.unknownImage("i"), 404), (.unknownDesktop("d"), 404),
        (.unknownSeat("s"), 404), (.unknownSession(SessionID(rawValue: 1)), 404), (.notYourSession(SessionID(rawValue: 1)), 403),
        (.unknownJoin("482913"), 404), (.unknownJoin(nil), 404), (.tooManyJoins, 429), (.wordRefused, 403),
        (.seatIsBlocked("s"), 403), (.nameTaken(kind: "lab", name: "l"), 409), (.inUse(kind: "lab", name: "l", by: .outside("seat 's'")), 409),
        (.invalid(field: "size", value: "-1", remedy: .outside("r")), 422),
        (.doesNotFit(asked: 9, holds: 2, profile: Profile(vcpus: 1, memory: .gibibytes(1)), limit: .addresses(left: 2)), 409),
        (.storage(.outside("x")), 503),
        (.hypervisor(.outside("x")), 500), (.unavailable, 503),
    ] as [(BrokerError, Int)])
    func everyErrorOfTheBrokerHasItsStatus(_ error: BrokerError, _ status: Int) {
        let problem = Problem(error, audience: .administrator)
        #expect(problem.status == status)
        #expect(problem.detail == error.sentence && problem.detail.description == error.description)
    }

    @Test func aSeatIsNotToldWhatLiesBeneath() {
        for error in [BrokerError.storage(.outside("/var/lib/punnet/punnet.db: disk I/O error")), .hypervisor(.outside("libxl: -3 /dev/xen/privcmd"))] {
            #expect(!Problem(error, audience: .seat).detail.description.contains("/"))
        }
    }

    @Test func aProblemIsAnsweredAsItsMediaTypeWithWhenToTryAgain() {
        let response = Problem(BrokerError.unavailable, audience: .seat).response
        #expect(response.status.code == 503)
        #expect(response.headers[.contentType] == "application/problem+json")
        #expect(response.headers[.retryAfter] == "2")
        #expect(Problem.tokenRefused.response.headers[.wwwAuthenticate] == "Bearer")
    }

    @Test func anInvalidFieldIsNamedWithValueAndRemedy() {
        let problem = Problem(.invalid(field: "size", value: "-1", remedy: .outside("use 0 to 200")), audience: .administrator)
        #expect(problem.field == "size")
        #expect(problem.value == "-1")
        #expect(problem.remedy?.description == "use 0 to 200")
    }
}

@Suite struct AttemptsTests {
    private let a = PeerAddress("192.0.2.1")
    private let b = PeerAddress("192.0.2.2")

    @Test func oneAddressRunsOutAndAnotherDoesNot() throws {
        let attempts = Attempts(perAddress: .init(burst: 3, refill: .seconds(10)), inAll: .init(burst: 100, refill: .seconds(1)))
        let now = ContinuousClock.now
        for _ in 0..<3 { #expect(attempts.take(a, at: now) == nil) }
        #expect(attempts.take(a, at: now) == .seconds(10))
        #expect(attempts.take(b, at: now) == nil)
    }

    @Test func aTryComesBackWithTime() {
        let attempts = Attempts(perAddress: .init(burst: 2, refill: .seconds(10)), inAll: .init(burst: 100, refill: .seconds(1)))
        let now = ContinuousClock.now
        for _ in 0..<2 { _ = attempts.take(a, at: now) }
        #expect(attempts.take(a, at: now + .seconds(9)) == .seconds(1))
        #expect(attempts.take(a, at: now + .seconds(10)) == nil)
        #expect(attempts.take(a, at: now + .seconds(10)) != nil)
    }

    @Test func allAddressesTogetherRunOutToo() {
        let attempts = Attempts(perAddress: .init(burst: 3, refill: .seconds(10)), inAll: .init(burst: 5, refill: .seconds(1)))
        let now = ContinuousClock.now
        for number in 0..<5 { #expect(attempts.take(PeerAddress("192.0.2.\(number)"), at: now) == nil) }
        #expect(attempts.take(PeerAddress("192.0.2.99"), at: now) == .seconds(1))
    }

    @Test func aRightWordGivesItsTryBack() {
        let attempts = Attempts(perAddress: .init(burst: 1, refill: .seconds(10)), inAll: .init(burst: 1, refill: .seconds(1)))
        let now = ContinuousClock.now
        for _ in 0..<20 {
            #expect(attempts.take(a, at: now) == nil)
            attempts.giveBack(a)
        }
    }

    @Test func theTableOfAddressesStaysBoundedAndTheBucketForAllStillCounts() {
        let attempts = Attempts(
            perAddress: .init(burst: 1, refill: .seconds(10)), inAll: .init(burst: 50, refill: .seconds(1)), addressLimit: 10)
        let now = ContinuousClock.now
        let admitted = (0..<200).filter { attempts.take(PeerAddress("198.51.100.\($0)"), at: now) == nil }
        #expect(admitted.count == 50)
    }
}

@Suite struct ConnectionGateTests {
    @Test func oneAddressLeavesRoomForOthers() {
        let gate = ConnectionGate(limit: 5, limitPerAddress: 2)
        let (a, b) = (PeerAddress("192.0.2.1"), PeerAddress("192.0.2.2"))
        #expect(gate.admit(a) && gate.admit(a))
        #expect(!gate.admit(a))
        #expect(gate.admit(b))
        gate.leave(a)
        #expect(gate.admit(a))
    }

    @Test func aNetworkOfIPv6CountsAsOneAddress() {
        let gate = ConnectionGate(limit: 100, limitPerAddress: 2)
        let admitted = (0..<10).filter { gate.admit(PeerAddress("2001:db8:1:2::\($0)")) }
        #expect(admitted.count == 2)
        #expect(gate.admit(PeerAddress("2001:db8:1:3::1")))
    }

    @Test func theLimitInAllHolds() {
        let gate = ConnectionGate(limit: 3, limitPerAddress: 2)
        let admitted = (0..<10).filter { gate.admit(PeerAddress("192.0.2.\($0)")) }
        #expect(admitted.count == 3)
    }
}

@Suite struct PeerAddressTests {
    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("::FFFF:C000:0207", "192.0.2.7"), ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"), ("::1", "::1"), ("::192.0.2.7", "::192.0.2.7"),
    ])
    func anAddressIsTheSameHoweverThePeerCame(_ given: String, _ expected: String) {
        #expect(PeerAddress(given).description == expected)
    }
}

@Suite struct ServerSentEventTests {
    @Test func eventsAreWrittenAsSeatsReadThem() throws {
        #expect(try ServerSentEvent(.place(2)).text == "event: place\ndata: {\"place\":2}\n\n")
        #expect(try ServerSentEvent(.offer(within: .seconds(10))).text == "event: offer\ndata: {\"withinSeconds\":10}\n\n")
        #expect(
            try ServerSentEvent(.ended(SessionID(rawValue: 12), .linkLost)).text
                == "event: ended\ndata: {\"reason\":\"link-lost\",\"session\":12}\n\n")
        #expect(ServerSentEvent.comment.text == ":\n\n")
    }

    @Test func noTextFromOutsideCanBeginAnotherEvent() throws {
        let event = try ServerSentEvent("ended", SeatMessage.Ended(session: 1, reason: "a\n\nevent: offer\ndata: {}"))
        #expect(event.text.split(separator: "\n").count == 2)
    }
}

@Suite struct EnrolmentTests {
    @Test func theLineToTypeIsComplete() {
        let enrolment = Enrolment(pin: "sha256//abc+/=", addresses: ["192.0.2.1", "192.0.2.2"], port: 443)
        #expect(enrolment.command(word: "ABCD-EFGH-JKMN") == "punnet-seat enrol 192.0.2.1 ABCD-EFGH-JKMN --pin sha256//abc+/=")
    }

    @Test func anotherPortAndAnIPv6AddressAreWrittenAsInAnURL() {
        let enrolment = Enrolment(pin: "p", addresses: ["2001:db8::1"], port: 8443)
        #expect(enrolment.command(word: "W") == "punnet-seat enrol [2001:db8::1]:8443 W --pin p")
    }
}

@Suite struct HTTPDateTests {
    @Test func aDateIsWrittenAsHTTPAsks() {
        #expect(HTTPDate.text(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.text(1_772_409_600) == "Mon, 02 Mar 2026 00:00:00 GMT")
    }
}
