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
    /// `tell` is told what is found there instead, in plain words, when it is another than before.
    /// The kernel's own answer (nobody there, refused) often takes longer than the pause between two tries.
    func await(
        _ address: IPv4Address, by clock: BrokerClock, telling tell: (String) async -> Void
    ) async throws(CancellationError) -> [UInt8] {
        var told: String?
        while true {
            let finding: String
            do { return try await ask(address) } catch { finding = Self.finding(of: error, at: address) }
            if Task.isCancelled { throw CancellationError() }
            if finding != told { await tell(finding) }
            told = finding
            do { try await clock.sleep(for: .milliseconds(300)) } catch { throw CancellationError() }
        }
    }

    /// What is there instead of RDP, in plain words.
    static func finding(of error: any Error, at address: IPv4Address) -> String {
        guard let error = error as? ProbeError else { return "\(error)" }
        return switch error {
        case .unreachable, .timedOut(.connecting, _):
            "nothing answers at \(address): it does not boot, or has no address (DHCP). Look at its console's last lines and, for the "
                + "desktops' network, at 'virsh net-list --all'"
        case .refused:
            "it is up at \(address), but nothing listens on port \(port): its RDP server does not start"
        case .timedOut, .closed, .notRDP, .noTLS, .negotiationRefused, .handshakeFailed:
            "something answers at \(address) port \(port), but not as RDP over TLS: \(error)"
        case .invalidAddress, .cancelled, .system: "\(error)"
        }
    }
}
