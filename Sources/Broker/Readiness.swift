import DesktopModel
import Hypervisor
import Identity

/// Whether a desktop's RDP really answers, at the address that was reserved for it.
public struct Readiness: Sendable {
    /// The port of a desktop's RDP server.
    static let port: UInt16 = 3389

    private let ask: @Sendable (IPv4Address) async throws -> [UInt8]

    /// Asks in this way: it answers with the certificate's fingerprint, 32 bytes, and throws where nothing answers yet.
    public init(asking ask: @escaping @Sendable (IPv4Address) async throws -> [UInt8]) { self.ask = ask }

    /// Asks as an RDP client does, a complete TLS handshake included, for which one try has 20 seconds.
    public static let overRDP = Readiness { address in
        try await RDPProbe.fingerprint(host: address.description, port: port, deadline: .seconds(20))
    }

    /// Asks until it is answered, and gives the fingerprint. Ends only by that or by cancellation.
    ///
    /// `tell` is told what is found there instead, when it is another than before.
    /// The kernel's own answer (nobody there, refused) often takes longer than the pause between two tries.
    func await(
        _ address: IPv4Address, by clock: BrokerClock, telling tell: (Sentence) async -> Void
    ) async throws(CancellationError) -> [UInt8] {
        var told: Sentence?
        while true {
            let finding: Sentence
            do { return try await ask(address) } catch { finding = Self.finding(of: error, at: address) }
            if Task.isCancelled { throw CancellationError() }
            if finding != told { await tell(finding) }
            told = finding
            do { try await clock.sleep(for: .milliseconds(300)) } catch { throw CancellationError() }
        }
    }

    /// What is there instead of RDP.
    static func finding(of error: any Error, at address: IPv4Address) -> Sentence {
        guard let error = error as? ProbeError else { return Sentence(error) }
        return switch error {
        case .unreachable, .timedOut(.connecting, _): Cause.nothingThere(address)
        case .refused: Cause.nothingListens(address, port)
        case .timedOut(_, let limit): Cause.notRDP(address, port, Cause.fellSilent(limit.text))
        case .closed: Cause.notRDP(address, port, Cause.hungUp())
        case .notRDP(let how): Cause.notRDP(address, port, Cause.saidOtherwise(how))
        case .noTLS: Cause.notRDP(address, port, Cause.withoutTLS())
        case .negotiationRefused(let code): Cause.notRDP(address, port, Cause.refusedTLS(code))
        case .handshakeFailed(let detail): Cause.notRDP(address, port, Cause.failedTLS(detail))
        case .invalidAddress, .cancelled, .system: Sentence(error)
        }
    }
}
