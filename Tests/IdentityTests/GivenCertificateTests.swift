import Foundation
import Testing

@testable import Identity

/// Certificates that administrators bring along.
@Suite struct GivenCertificateTests {
    private static func made(_ names: [String]) throws -> (chain: String, key: String) {
        let key = try SigningKey()
        return (try X509Certificate.made(of: key, names: names).pem(), try key.pem())
    }

    @Test func oneIsKeptAndReadBack() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/punnet-given-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        #expect(try GivenCertificate.load(from: folder) == nil)
        let (chain, key) = try Self.made(["lab.example", "10.0.0.2"])
        let above = try Self.made(["above.example"]).chain
        let given = try GivenCertificate(untrustedChainPEM: "something before\n" + chain + above, untrustedKeyPEM: key)
        #expect(given.names == "DNS:lab.example, IP Address:10.0.0.2")
        #expect(given.covers("lab.example") && given.covers("LAB.example") && !given.covers("example") && !given.covers("") && !given.covers("lab.example\0"))
        #expect(given.chainPEM == chain + above, "nothing else is kept")
        try given.keep(in: folder)
        let again = try #require(try GivenCertificate.load(from: folder))
        #expect(again.chainPEM == given.chainPEM && again.keyPEM == given.keyPEM && again.ends == given.ends)
        try GivenCertificate.remove(from: folder)
        try GivenCertificate.remove(from: folder)
        #expect(try GivenCertificate.load(from: folder) == nil)
    }

    @Test func whatDoesNotBelongTogetherIsRefused() throws {
        let (first, second) = (try Self.made(["a.example"]), try Self.made(["a.example"]))
        #expect(throws: IdentityError.mismatch) { try GivenCertificate(untrustedChainPEM: first.chain, untrustedKeyPEM: second.key) }
        for (chain, key) in [("", first.key), (first.chain, ""), (first.key, first.chain), ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", first.key)] {
            #expect(throws: IdentityError.self) { try GivenCertificate(untrustedChainPEM: chain, untrustedKeyPEM: key) }
        }
    }
}
