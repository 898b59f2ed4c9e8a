import Hypervisor
import Identity

/// Whether a desktop's RDP really answers, at the address that was reserved for it.
struct Readiness: Sendable {
    /// The port of a desktop's RDP server.
    static let port: UInt16 = 3389
    /// The pause between two tries. The kernel's own answer (nobody there, refused) often takes longer than this.
    var pause: Duration = .milliseconds(300)
    /// How long one try may take, a slow TLS handshake included.
    var tryTime: Duration = .seconds(20)

    /// Asks until RDP answers with a complete TLS handshake and tells its certificate's fingerprint. Ends only by that or by cancellation.
    func await(_ address: IPv4Address) async throws(CancellationError) -> [UInt8] {
        while true {
            if let fingerprint = try? await RDPProbe.fingerprint(host: address.description, port: Self.port, deadline: tryTime) {
                return fingerprint
            }
            do {
                try await Task.sleep(for: pause)
            } catch {
                throw CancellationError()
            }
        }
    }
}
