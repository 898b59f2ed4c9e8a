import Foundation
import Testing

@testable import Identity

@Suite struct RDPProbeTests {
    private func probe(_ port: UInt16, deadline: Duration = .seconds(10)) async throws(ProbeError) -> [UInt8] {
        try await RDPProbe.fingerprint(host: "127.0.0.1", port: port, deadline: deadline)
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func theFingerprintIsOfTheCertificateThatTheServerShows(version: String) async throws {
        let server = try TLSServer([version])
        let desktop = try X224Answerer(.answer(X224Answerer.agreed, thenTo: server.port))
        #expect(try await probe(desktop.port) == server.certificate.fingerprint)
        let seen = desktop.finished()
        #expect(seen.request == ConnectionConfirm.request)
        #expect(seen.sawOrderlyEnd, "the probe says goodbye instead of resetting the connection")
    }

    @Test func aPortWhereNothingListensIsRefused() async throws {
        let (listener, port) = try X224Answerer.listen()
        close(listener)
        await #expect(throws: ProbeError.refused(host: "127.0.0.1", port: port)) { try await self.probe(port) }
    }

    @Test(arguments: ["desktop.example", "", "127.0.0.1 ", "256.1.1.1"])
    func whatIsNoAddressIsNotLookedUp(host: String) async throws {
        await #expect(throws: ProbeError.invalidAddress(host)) {
            try await RDPProbe.fingerprint(host: host, port: 3389, deadline: .seconds(1))
        }
    }

    @Test func everyTruncatedAnswerIsAClosedConnection() async throws {
        for count in 0..<X224Answerer.agreed.count {
            let desktop = try X224Answerer(.close(after: Array(X224Answerer.agreed.prefix(count))))
            await #expect(throws: ProbeError.closed(.negotiating)) { try await self.probe(desktop.port) }
        }
    }

    @Test func aServerThatGoesBeforeTLSIsAClosedConnection() async throws {
        let desktop = try X224Answerer(.close(after: X224Answerer.agreed))
        await #expect(throws: ProbeError.closed(.handshaking)) { try await self.probe(desktop.port) }
    }

    @Test(arguments: [
        ("no TPKT", Array("HTTP/1.1 400 Bad Request\r\n".utf8)), ("too long", [3, 0, 0xff, 0xff, 14]), ("too short", [3, 0, 0, 4]),
        ("wrong inner length", [3, 0, 0, 19, 6, 0xd0] + [UInt8](repeating: 0, count: 13)),
        ("a Disconnect", [3, 0, 0, 19, 14, 0x80, 0, 0, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0]),
        ("unknown negotiation", [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 9, 0, 8, 0, 1, 0, 0, 0]),
        ("wrong negotiation length", [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 9, 0, 1, 0, 0, 0]),
    ])
    func garbageIsNotRDP(what: String, answer: [UInt8]) async throws {
        let desktop = try X224Answerer(.close(after: answer))
        do {
            _ = try await probe(desktop.port)
            Issue.record("\(what) was believed")
        } catch {
            guard case .notRDP = error else { throw error }
        }
    }

    @Test func aServerWithoutTLSSaysWhatItChose() async throws {
        let plain = try X224Answerer(.close(after: [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 2, 0, 8, 0, 0, 0, 0, 0]))
        await #expect(throws: ProbeError.noTLS(chosen: 0)) { try await self.probe(plain.port) }
        let old = try X224Answerer(.close(after: [3, 0, 0, 11, 6, 0xd0, 0, 0, 0, 0, 0]))
        await #expect(throws: ProbeError.noTLS(chosen: nil)) { try await self.probe(old.port) }
    }

    @Test func aRefusedNegotiationKeepsItsCode() async throws {
        let desktop = try X224Answerer(.close(after: [3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0, 0, 3, 0, 8, 0, 5, 0, 0, 0]))
        await #expect(throws: ProbeError.negotiationRefused(code: 5)) { try await self.probe(desktop.port) }
    }

    @Test func aServerThatSpeaksNoTLSAfterAgreeingFailsTheHandshake() async throws {
        let desktop = try X224Answerer(.close(after: X224Answerer.agreed + Array("this is no TLS record at all".utf8)))
        do {
            _ = try await probe(desktop.port)
            Issue.record("garbage was believed")
        } catch {
            guard case .handshakeFailed = error else { throw error }
        }
    }

    @Test(arguments: [([UInt8](), ProbeError.Step.negotiating), ([3, 0, 0], .negotiating), (X224Answerer.agreed, .handshaking)])
    func aServerThatFallsSilentTimesOutInItsStep(said: [UInt8], step: ProbeError.Step) async throws {
        let desktop = try X224Answerer(.silence(after: said))
        let limit = Duration.milliseconds(200)
        await #expect(throws: ProbeError.timedOut(step, after: limit)) { try await self.probe(desktop.port, deadline: limit) }
    }

    @Test func aPortThatAcceptsNothingTimesOutWhileConnecting() async throws {
        // A listener without room in its queue leaves further connections unanswered.
        let (listener, port) = try X224Answerer.listen()
        defer { close(listener) }
        listen(listener, 0)
        let limit = Duration.milliseconds(300)
        var steps: [ProbeError] = []
        while steps.last != .timedOut(.connecting, after: limit), steps.count < 4 {
            do { _ = try await probe(port, deadline: limit) } catch { steps.append(error) }
        }
        // The first probes wait in the queue for an answer; they are closed by now, but stay queued.
        #expect(steps.last == .timedOut(.connecting, after: limit))
    }

    @Test func aCancelledProbeEndsLongBeforeItsDeadline() async throws {
        let desktop = try X224Answerer(.silence(after: []))
        let port = desktop.port
        let task = Task { try await RDPProbe.fingerprint(host: "127.0.0.1", port: port, deadline: .seconds(600)) }
        task.cancel()
        await #expect(throws: ProbeError.cancelled) { try await task.value }
    }

    @Test func aProbeThatFailedHoldsNoSocketAnyMore() async throws {
        let desktop = try X224Answerer(.silence(after: []))
        let limit = Duration.milliseconds(100)
        await #expect(throws: ProbeError.timedOut(.negotiating, after: limit)) { try await self.probe(desktop.port, deadline: limit) }
        #expect(desktop.finished().sawOrderlyEnd)
        #expect(try Self.socketsHeld(toPort: desktop.port) == 0)
    }

    @Test func aProbeThatSucceededHoldsNoSocketAnyMore() async throws {
        let server = try TLSServer()
        let desktop = try X224Answerer(.answer(X224Answerer.agreed, thenTo: server.port))
        _ = try await probe(desktop.port)
        #expect(try Self.socketsHeld(toPort: desktop.port) == 0)
    }

    /// How many sockets connected to this loopback port some process still holds; a closed one has no inode any more.
    private static func socketsHeld(toPort port: UInt16) throws -> Int {
        let digits = String(port, radix: 16, uppercase: true)
        let peer = "0100007F:" + String(repeating: "0", count: 4 - digits.count) + digits
        let table = try String(contentsOfFile: "/proc/net/tcp", encoding: .utf8)
        return table.split(separator: "\n").filter { line in
            let fields = line.split(separator: " ")
            return fields.count > 9 && fields[2] == peer && fields[9] != "0"
        }.count
    }
}
