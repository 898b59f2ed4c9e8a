import Foundation
import Identity
import Testing

@testable import ControlServer

private func mode(_ path: String) -> mode_t? {
    var facts = stat()
    return lstat(path, &facts) == 0 ? facts.st_mode : nil
}

@Suite struct ControlSocketTests {
    @Test func theSocketIsRootsAloneWhereTheGroupDoesNotExistAndGoesWithTheServer() async throws {
        var path = ""
        try await TestServer.run { server in
            path = server.socket
            #expect(mode(path) == S_IFSOCK | 0o600)
            #expect(mode(path + ".new") == nil)
        }
        #expect(mode(path) == nil)
    }

    @Test(.enabled(if: getuid() == 0, "groups are set by root"))
    func theGroupMayConnectWhereItExists() async throws {
        try await TestServer.run(changing: { $0.administratorsGroup = "nogroup" }) { server in
            #expect(mode(server.socket) == S_IFSOCK | 0o660)
            var facts = stat()
            lstat(server.socket, &facts)
            #expect(facts.st_gid == groupID("nogroup"))
        }
    }

    @Test(.enabled(if: getuid() == 0, "another user is needed"))
    func whoIsNeitherRootNorOfTheGroupIsRefusedByTheKernelsWord() async throws {
        try await TestServer.run { server in
            // Whoever can open the file is still asked who they are.
            chmod(server.socket, 0o666)
            let nobody = try await Command.run(
                "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "curl", "-sS", "-w", "\n%{http_code}", "--unix-socket",
                server.socket, "http://punnetd/api/v1/room")
            #expect(nobody.output.hasSuffix("\n403"))
            #expect(nobody.output.contains("not-permitted"))
            let root = try await Command.run(
                "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", server.socket, "http://punnetd/api/v1/room")
            #expect(root.output != "403")
        }
    }

    @Test(.enabled(if: getuid() == 0, "another user is needed"))
    func aMemberOfTheGroupIsPermitted() async throws {
        try await TestServer.run(changing: { $0.administratorsGroup = "nogroup" }) { server in
            let member = try await Command.run(
                "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                "--unix-socket", server.socket, "http://punnetd/api/v1/room")
            #expect(member.status == 0)
            #expect(member.output != "403")
        }
    }

    @Test func seatsAreNotServedOnTheSocket() async throws {
        try await TestServer.run { server in
            let answer = try await Command.run(
                "curl", "-sS", "-X", "POST", "-d", "{}", "-w", "\n%{http_code}", "--unix-socket", server.socket,
                "http://punnetd/api/v1/seat/claim")
            #expect(answer.output.hasSuffix("\n404"))
        }
    }

    @Test func aSocketThatAKilledProcessLeftIsReplaced() async throws {
        try await TestServer.run(changing: { configuration in leaveSocket(at: configuration.socketPath) }) { server in
            let answer = try await Command.run(
                "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", server.socket, "http://punnetd/api/v1/nowhere")
            #expect(answer.output == "404")
        }
    }

    @Test func aLivingServersSocketIsNotTaken() async throws {
        try await TestServer.run { first in
            let error = await #expect(throws: ControlServerError.self) {
                try await TestServer.run(changing: { $0.socketPath = first.socket }) { _ in Issue.record("a second server served") }
            }
            #expect(error?.description.contains("another process serves on \(first.socket)") == true)
            let answer = try await Command.run(
                "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", first.socket, "http://punnetd/api/v1/nowhere")
            #expect(answer.output == "404")
        }
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() async throws {
        let error = await #expect(throws: ControlServerError.self) {
            try await TestServer.run(changing: { _ = FileManager.default.createFile(atPath: $0.socketPath, contents: nil) }) { _ in }
        }
        #expect(error?.description.contains("is no socket") == true)
    }

    @Test func anAddressInUseIsSaidWithTheAddress() async throws {
        try await TestServer.run { first in
            let error = await #expect(throws: ControlServerError.self) {
                try await TestServer.run(changing: { $0.port = first.port }) { _ in }
            }
            #expect(error?.description.contains("\(first.port)") == true)
        }
    }

    @Test func aKeyThatIsNotTheCertificatesIsRefusedAtTheStart() async throws {
        let other = FileManager.default.temporaryDirectory.path + "/punnet-other-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: other) }
        let stranger = try SelfSignedCertificate.load(orCreateIn: other, names: ["stranger"])
        await #expect(throws: ControlServerError.self) {
            try await TestServer.run(changing: { $0.privateKeyPEM = stranger.keyPEM }) { _ in }
        }
    }
}

/// Leaves a socket's file as a process does that is killed.
private func leaveSocket(at path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    _ = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    close(descriptor)
}
