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

    /// Asks until it is answered, and tells the fingerprint. Ends only by that or by cancellation.
    ///
    /// The kernel's own answer (nobody there, refused) often takes longer than the pause between two tries.
    func await(_ address: IPv4Address, by clock: BrokerClock) async throws(CancellationError) -> [UInt8] {
        while true {
            if let fingerprint = try? await ask(address) { return fingerprint }
            do { try await clock.sleep(for: .milliseconds(300)) } catch { throw CancellationError() }
        }
    }
}
