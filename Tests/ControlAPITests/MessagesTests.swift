import ControlAPI
import Foundation
import Testing

private func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

private func read<Value: Decodable>(_ text: String, as type: Value.Type = Value.self) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(text.utf8))
}

private func expectRoundTrip<Value: Codable & Equatable>(_ value: Value) throws {
    #expect(try read(try json(value), as: Value.self) == value)
}

@Suite struct MessagesTests {
    private let lease = LeaseMessage(
        session: 12, desktop: "room1-3", ticket: "t", account: .init(user: "student", password: "p"), fingerprint: "aa:bb", relayPort: 3389,
        resumed: false, afterSession: "claim-again", graceSeconds: 60, idleSeconds: 0, warningSeconds: 300)

    @Test func aLeaseIsWrittenAsSeatsReadIt() throws {
        #expect(
            try json(ClaimMessage.leased(lease)) == """
                {"account":{"password":"p","user":"student"},"afterSession":"claim-again","desktop":"room1-3","fingerprint":"aa:bb",\
                "graceSeconds":60,"idleSeconds":0,"relayPort":3389,"resumed":false,"session":12,"state":"leased","ticket":"t","warningSeconds":300}
                """)
    }

    @Test func aPlaceInTheLineIsWrittenAsSeatsReadIt() throws {
        #expect(try json(ClaimMessage.waiting(place: 2)) == #"{"place":2,"state":"waiting"}"#)
    }

    @Test func bothAnswersToAClaimReadBack() throws {
        try expectRoundTrip(ClaimMessage.leased(lease))
        try expectRoundTrip(ClaimMessage.waiting(place: 1))
    }

    @Test func aClaimWithAnUnknownStateIsRefused() {
        #expect(throws: DecodingError.self) { try read(#"{"state":"perhaps"}"#, as: ClaimMessage.self) }
    }

    @Test func aMomentIsAnRFC3339StringInUTC() throws {
        let moment = Moment(seconds: 1_772_439_300)
        #expect(try json([moment]) == #"["2026-03-02T08:15:00Z"]"#)
        #expect(try read(#"["2026-03-02T17:15:00+09:00"]"#, as: [Moment].self) == [moment])
        #expect(throws: DecodingError.self) { try read(#"["yesterday"]"#, as: [Moment].self) }
        #expect(throws: DecodingError.self) { try read("[1772439300]", as: [Moment].self) }
    }

    @Test func aProblemCarriesWhatIsKnownAndNothingElse() throws {
        let bare = Problem(kind: "unknown", title: "Not found", status: 404, detail: .outside("there is no lab 'x'"))
        #expect(
            try json(bare) == #"{"detail":"there is no lab 'x'","status":404,"title":"Not found","type":"tag:punnet,2026:unknown"}"#)
        #expect(bare.kind == "unknown")
        try expectRoundTrip(
            Problem(
                kind: "invalid", title: "Not possible", status: 422, detail: .outside("d"), field: "size", value: "-1", remedy: .outside("r"),
                retryAfterSeconds: 2))
    }

    @Test func theRoomAndItsPartsReadBack() throws {
        let lab = LabMessage(
            name: "room1", image: "debian-desktop-1", vcpus: 1, memory: 512 << 20, size: 2, leastReady: 1, atOnce: 0, graceSeconds: 60,
            airingSeconds: 600, afterSession: "shut-down", longestSeconds: 2700, idleSeconds: 0, warningSeconds: 300, internet: true,
            desktops: ["ready": 1, "leased": 1], waiting: 0)
        try expectRoundTrip(
            RoomMessage(
                labs: [lab], memory: .init(total: 4 << 30, forDesktops: 3 << 30, promised: 1 << 30), disk: .init(free: 5, total: nil),
                seatsPresent: 1, seats: 2, troubles: ["the disk is full"]))
        try expectRoundTrip(
            DesktopMessage(
                name: "room1-1", lab: "room1", state: "leased", step: nil, session: 12, generation: 3, vcpus: 2, memory: 1 << 30,
                hasOwnHardware: true, isSetAside: false, address: "10.77.0.2", since: Moment(seconds: 5), explanation: nil))
        try expectRoundTrip(
            SessionMessage(
                id: 1, seat: "pi-07", desktop: "room1-1", began: Moment(seconds: 1), ended: Moment(seconds: 2), reason: "log-off",
                connected: false))
        try expectRoundTrip(
            OperationMessage(
                id: "x", kind: "image-add", subject: "/images/x", began: Moment(seconds: 5), state: .failed, revision: 3,
                progress: .init(done: 1, total: 2),
                problem: Problem(kind: "k", title: "t", status: 500, detail: .outside("d"))))
    }

    @Test func whatALabChangeDoesNotNameIsAbsent() throws {
        #expect(try json(LabChangeMessage(size: 3)) == #"{"size":3}"#)
        #expect(try read("{}", as: LabChangeMessage.self) == LabChangeMessage())
    }
}
