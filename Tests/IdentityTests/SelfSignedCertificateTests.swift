import Foundation
import Testing

@testable import Identity

@Suite struct SelfSignedCertificateTests {
    @Test func opensslReadsTheCertificateAsItWasMeant() throws {
        let folder = try TemporaryFolder()
        _ = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet.example", "punnet", "192.0.2.7", "2001:db8::7"])
        let text = try run("/usr/bin/openssl", ["x509", "-in", folder.path + "/certificate.pem", "-noout", "-text"]).output
        #expect(text.contains("Version: 3"))
        #expect(text.contains("ASN1 OID: prime256v1"))
        #expect(text.contains("Signature Algorithm: ecdsa-with-SHA256"))
        #expect(text.contains("Subject: CN = punnet.example"))
        #expect(text.contains("DNS:punnet.example, DNS:punnet, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7"))
        #expect(text.contains("CA:FALSE"))
        let nineYears = String(9 * 365 * 86_400)
        #expect(
            try run("/usr/bin/openssl", ["x509", "-in", folder.path + "/certificate.pem", "-noout", "-checkend", nineYears]).status == 0)
        let verified = try run(
            "/usr/bin/openssl",
            ["verify", "-CAfile", folder.path + "/certificate.pem", "-verify_hostname", "punnet", folder.path + "/certificate.pem"])
        #expect(verified.status == 0, "\(verified.output)")
    }

    @Test func curlAcceptsThePinAndNoOther() throws {
        let server = try TLSServer()
        let url = "https://127.0.0.1:\(server.port)/"
        func status(_ pin: String) throws -> Int32 {
            try run("/usr/bin/curl", ["-sk", "--noproxy", "*", "-o", "/dev/null", "--max-time", "20", "--pinnedpubkey", pin, url]).status
        }
        #expect(try status(server.certificate.pin) == 0)
        let pinMismatch: Int32 = 90
        #expect(try status(SelfSignedCertificate(names: ["other"]).pin) == pinMismatch)
    }

    @Test func curlVerifiesTheNamesWithTheCertificateAsItsAnchor() throws {
        let server = try TLSServer()
        let folder = try TemporaryFolder()
        let anchor = folder.path + "/anchor.pem"
        try server.certificate.certificatePEM.write(toFile: anchor, atomically: true, encoding: .utf8)
        func status(_ host: String) throws -> Int32 {
            try run(
                "/usr/bin/curl",
                [
                    "-s", "--noproxy", "*", "-o", "/dev/null", "--max-time", "20", "--cacert", anchor,
                    "--connect-to", "::127.0.0.1:\(server.port)", "https://\(host):\(server.port)/",
                ]
            ).status
        }
        #expect(try status("desktop.example") == 0)
        #expect(try status("127.0.0.1") == 0)
        #expect(try status("another.example") != 0)
    }

    @Test func whatIsKeptIsTakenAgain() throws {
        let folder = try TemporaryFolder()
        let first = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        let second = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        #expect(first.certificatePEM == second.certificatePEM)
        #expect(first.keyPEM == second.keyPEM)
        #expect(first.pin == second.pin)
        #expect(first.fingerprint == second.fingerprint)
    }

    @Test func theKeyIsReadableByItsOwnerAlone() throws {
        let folder = try TemporaryFolder()
        _ = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        let path = folder.path + "/key.pem"
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        #expect(throws: IdentityError.keyExposed(path: path, mode: 0o640)) {
            try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        }
    }

    @Test func aNewNameGivesANewCertificateOfTheSameKey() throws {
        let folder = try TemporaryFolder()
        let first = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        let second = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet", "192.0.2.9"])
        #expect(second.pin == first.pin)
        #expect(second.fingerprint != first.fingerprint)
        #expect(try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["192.0.2.9"]).fingerprint == second.fingerprint)
    }

    @Test func aCrashBetweenKeyAndCertificateKeepsTheKey() throws {
        let folder = try TemporaryFolder()
        let first = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        try FileManager.default.removeItem(atPath: folder.path + "/certificate.pem")
        try "half a key".write(toFile: folder.path + "/key.pem.new", atomically: false, encoding: .utf8)
        #expect(try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"]).pin == first.pin)
    }

    @Test func aKeyIsNeverReplaced() throws {
        let folder = try TemporaryFolder()
        let key = folder.path + "/key.pem"
        let certificate = folder.path + "/certificate.pem"
        _ = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        try FileManager.default.removeItem(atPath: key)
        #expect(throws: IdentityError.keyMissing(path: key)) { try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"]) }

        let other = try SelfSignedCertificate(names: ["punnet"])
        try other.keyPEM.write(toFile: key, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
        #expect(throws: IdentityError.unreadable(path: certificate, detail: "it is not of the key beside it")) {
            try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"])
        }
        try "no key at all".write(toFile: key, atomically: false, encoding: .utf8)
        #expect(throws: IdentityError.self) { try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["punnet"]) }
        #expect(try String(contentsOfFile: key, encoding: .utf8) == "no key at all")
    }

    @Test(arguments: ["", "a,IP:10.0.0.1", "a b", "-a", "a..b", "dirName:x", "*.example", String(repeating: "a", count: 64), "é"])
    func whatIsNoHostNameDoesNotReachTheCertificate(name: String) {
        #expect(throws: IdentityError.invalidName(name)) { try SelfSignedCertificate(names: [name]) }
    }

    @Test func aFolderThatIsNotThereIsNamed() {
        #expect(throws: IdentityError.self) { try SelfSignedCertificate.load(orCreateIn: "/nonexistent/folder", names: ["punnet"]) }
    }
}
