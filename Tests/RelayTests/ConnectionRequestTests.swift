import Identity
import Testing

@testable import Relay

@Suite struct ConnectionRequestTests {
    private let good = Packets.request(ticket: Packets.goodTicket)

    private func fault(_ bytes: [UInt8]) -> ConnectionRequest.Fault? {
        if case .malformed(let fault) = ConnectionRequest.read(bytes) { fault } else { nil }
    }

    private func ticket(_ bytes: [UInt8]) -> Ticket? {
        if case .complete(let request) = ConnectionRequest.read(bytes) { request.ticket } else { nil }
    }

    @Test func aRequestWithATicketIsRead() throws {
        let ticket = try #require(self.ticket(good))
        #expect(ticket == Ticket(Array(Packets.goodTicket.utf8)))
        #expect(ticket.hash == Digest.sha256(Packets.goodTicket))
    }

    @Test func everyBeginningOfAGoodRequestIsIncomplete() {
        for length in 0..<good.count {
            #expect(ConnectionRequest.read(Array(good[..<length])) == .incomplete)
        }
    }

    @Test func aByteAfterTheRequestIsRefused() {
        #expect(fault(good + [0]) == .excess)
    }

    @Test func whatIsNoTPKTIsRefusedAtTheFirstByteThatShowsIt() {
        #expect(fault([0x16]) == .notTPKT)
        #expect(fault(Array("GET / HTTP/1.1".utf8)) == .notTPKT)
        #expect(fault([3, 1]) == .notTPKT)
        #expect(fault([3, 0, 0, 10]) == .length)
        #expect(fault([3, 0, 1, 4]) == .length)
        #expect(fault([3, 0, 0xff, 0xff]) == .length)
        #expect(fault([3, 0, 0, 0]) == .length)
        #expect(fault([3, 0, 0, 60, 54]) == .length)
        #expect(fault([3, 0, 0, 60, 55, 0xd0]) == .notConnectionRequest)
    }

    @Test func aLengthThatDoesNotFitTheX224HeaderIsRefused() {
        for change in [-1, 1] {
            var packet = good
            packet[4] = UInt8(Int(packet[4]) + change)
            #expect(fault(packet) == .length)
            packet = good
            packet[3] = UInt8(Int(packet[3]) + change)
            #expect(fault(packet) == .length)
        }
    }

    @Test(arguments: [20, 43, 86]) func aTicketOfAllowedLengthIsRead(length: Int) {
        #expect(ticket(Packets.request(ticket: String(repeating: "a", count: length))) != nil)
    }

    @Test(arguments: [0, 1, 19, 87, 200]) func aTicketOfAnotherLengthIsRefused(length: Int) {
        #expect(fault(Packets.request(ticket: String(repeating: "a", count: length))) == .noTicket)
    }

    @Test func onlyBase64URLCharactersMakeATicket() {
        let allowed = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        for character in UInt8.min...UInt8.max {
            let characters = [UInt8](repeating: UInt8(ascii: "x"), count: 30) + [character]
            let packet = Packets.request(variablePart: Array("punnet=".utf8) + characters + [13, 10] + Packets.negotiation)
            #expect((ticket(packet) != nil) == allowed.contains(character))
        }
    }

    @Test(arguments: [
        "Cookie: mstshash=student", "Cookie: msts=3640205228.15629.0000", "", "punnet", "PUNNET=" + Packets.goodTicket,
        " punnet=" + Packets.goodTicket, "punnet=" + Packets.goodTicket + " ", "punnet=" + Packets.goodTicket + "\r",
    ])
    func anotherTokenIsRefused(token: String) {
        #expect(fault(Packets.request(token: token)) == .noTicket)
    }

    @Test func aTokenThatIsNotEndedByCarriageReturnAndLineFeedIsRefused() {
        let token = Array(("punnet=" + Packets.goodTicket).utf8)
        for end: [UInt8] in [[], [10], [13], [10, 13], [13, 13]] {
            #expect(fault(Packets.request(variablePart: token + end + Packets.negotiation)) == .noTicket)
        }
    }

    @Test(
        arguments: [
            [], [1], [1, 0, 8, 0, 1, 0, 0], [2, 0, 8, 0, 1, 0, 0, 0], [1, 0, 7, 0, 1, 0, 0, 0], [1, 0, 8, 1, 1, 0, 0, 0],
            [1, 4, 8, 0, 1, 0, 0, 0], [1, 0, 8, 0, 0, 0, 0, 0],
        ] as [[UInt8]])
    func aRequestWithoutAGoodNegotiationIsRefused(negotiation: [UInt8]) {
        #expect(fault(Packets.request(token: "punnet=" + Packets.goodTicket, negotiation: negotiation)) == .negotiation)
    }

    @Test func aCorrelationIdentifierIsAllowedWhereItIsAnnouncedAndWhole() {
        let announced: [UInt8] = [1, 8, 8, 0, 1, 0, 0, 0]
        let identifier: [UInt8] = [6, 0, 36, 0] + [UInt8](repeating: 0x5a, count: 16) + [UInt8](repeating: 0, count: 16)
        let token = "punnet=" + Packets.goodTicket
        #expect(ticket(Packets.request(token: token, negotiation: announced + identifier)) != nil)
        #expect(fault(Packets.request(token: token, negotiation: Packets.negotiation + identifier)) == .excess)
        #expect(fault(Packets.request(token: token, negotiation: announced)) == .correlation)
        #expect(fault(Packets.request(token: token, negotiation: announced + identifier.dropLast())) == .correlation)
        #expect(fault(Packets.request(token: token, negotiation: announced + identifier.dropLast() + [1])) == .correlation)
    }

    @Test func changingAnyOneByteNeverLetsAnotherPacketThrough() {
        let ticketPlace = 18..<(18 + Packets.goodTicket.utf8.count)
        let flags = good.count - 7
        let protocols = (good.count - 4)..<good.count
        for place in good.indices {
            for value in UInt8.min...UInt8.max where value != good[place] {
                var packet = good
                packet[place] = value
                guard case .complete(let request) = ConnectionRequest.read(packet) else { continue }
                #expect(ticketPlace.contains(place) || (place == flags && value & ~3 == 0) || protocols.contains(place))
                #expect(request.length == packet.count)
                #expect((request.ticket != ticket(good)) == ticketPlace.contains(place))
            }
        }
    }

    @Test func randomBytesAreNeitherLetThroughNorWaitedForBeyondTheLongestPacket() {
        var random = SeededRandom(seed: 20_26)
        for _ in 0..<50_000 {
            var bytes = [UInt8]((0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random) })
            // Most begin as a packet does, so that the later checks are reached too.
            let kept = Int.random(in: 0...min(bytes.count, good.count), using: &random)
            bytes.replaceSubrange(..<kept, with: good[..<kept])
            switch ConnectionRequest.read(bytes) {
            case .complete: #expect(bytes.count == good.count)
            case .incomplete: #expect(bytes.count < ConnectionRequest.maximumLength)
            case .malformed: break
            }
        }
    }

    @Test func aTicketIsNeverShown() throws {
        let ticket = try #require(Ticket(Array(Packets.goodTicket.utf8)))
        for text in ["\(ticket)", String(reflecting: ticket), "\(ConnectionRequest.read(good))"] {
            #expect(!text.contains(Packets.goodTicket))
        }
    }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
