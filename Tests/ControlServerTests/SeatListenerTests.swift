import ControlServer
import Foundation
import Testing

@Suite struct SeatListenerTests {
    @Test func healthIsAnsweredOverTLSToWhoeverPinsTheKey() async throws {
        try await TestServer.run { server in
            let health = try await server.curl("/health")
            #expect(health.output == "{\"status\":\"ok\"}\n200")
            #expect(try await server.curl("/ready").output == "{\"status\":\"ready\"}\n200")
            let wrong = try await Command.run(
                "curl", "-sS", "-k", "--pinnedpubkey", "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", server.address + "/health")
            #expect(wrong.status == 90)
        }
    }

    @Test(arguments: ["/api/v1/room", "/api/v1/labs", "/api/v1/images", "/api/v1/seats", "/api/v1/sessions", "/api/v2/seat/claim"])
    func aSeatsTokenOpensNothingOfTheAdministratorsPart(_ path: String) async throws {
        try await TestServer.run { server in
            let token = try await server.enrolledSeat("pi-01")
            for header in ["X-Nothing: 1", "Authorization: Bearer \(token)", "Authorization: Basic \(token)"] {
                let answer = try await server.curl(path, "-H", header)
                #expect(answer.output.hasSuffix(path.contains("v2") ? "\n404" : "\n401"), "\(header)")
            }
        }
    }

    @Test func everyAnswerCarriesTheSecurityHeaders() async throws {
        try await TestServer.run { server in
            for path in ["/health", "/nowhere"] {
                let answer = try await server.curl(path, "-D", "-", "-o", "/dev/null")
                let headers = answer.output.lowercased()
                for header in [
                    "strict-transport-security: max-age=", "x-content-type-options: nosniff", "cache-control: no-store",
                    "content-security-policy: default-src 'none'", "date: ",
                ] {
                    #expect(headers.contains(header), "\(header) of \(path)")
                }
                #expect(!headers.contains("server:"))
            }
        }
    }

    @Test func olderTLSIsRefused() async throws {
        try await TestServer.run { server in
            let old = try await server.curl("/health", "--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0")
            #expect(old.status == 35)
            let current = try await server.curl("/health", "--tlsv1.2", "--tls-max", "1.2")
            #expect(current.output.hasSuffix("200"))
        }
    }

    @Test(arguments: ["claim", "sessions/1/end", "events"])
    func withoutAKnownTokenNothingOfASeatIsReached(_ path: String) async throws {
        try await TestServer.run { server in
            let method = path == "events" ? "GET" : "POST"
            for header in ["X-None: 1", "Authorization: Bearer wrong", "Authorization: Basic Z29vZA=="] {
                let answer = try await server.curl("/api/v1/seat/" + path, "-X", method, "-H", header, "-d", "{}")
                #expect(answer.output.hasSuffix("\n401"), "\(header)")
                #expect(answer.output.contains("token-refused"))
            }
        }
    }

    @Test func aBodyThatIsTooLargeIsRefused() async throws {
        try await TestServer.run { server in
            let body = server.folder + "/large.json"
            try Data("{\"word\":\"\(String(repeating: "a", count: 10_000))\"}".utf8).write(to: URL(fileURLWithPath: body))
            let answer = try await server.curl("/api/v1/seats/enrol", "--data-binary", "@" + body)
            #expect(answer.output.hasSuffix("\n413"))
            #expect(answer.output.contains("too-large"))
        }
    }

    @Test(arguments: ["", "{", "[]", "{\"wort\":\"x\"}", "{\"word\":7}"])
    func aBodyThatIsNotUnderstoodIsSaidSo(_ body: String) async throws {
        try await TestServer.run { server in
            let answer = try await server.curl("/api/v1/seats/enrol", "--data-binary", body)
            #expect(answer.output.hasSuffix("\n400"))
            #expect(answer.output.contains("unreadable"))
        }
    }

    @Test func guessingWordsIsSlowedDown() async throws {
        try await TestServer.run { server in
            var statuses: [String] = []
            for _ in 0..<8 {
                let answer = try await server.curl("/api/v1/seats/enrol", "-d", "{\"word\":\"CCCC-CCCC-CCCC\"}")
                statuses.append(String(answer.output.suffix(3)))
            }
            #expect(statuses.prefix(5).allSatisfy { $0 != "429" })
            #expect(statuses.suffix(3).allSatisfy { $0 == "429" })
            let answer = try await server.curl("/api/v1/seats/enrol", "-d", "{\"word\":\"CCCC-CCCC-CCCC\"}", "-D", "-")
            #expect(answer.output.lowercased().contains("retry-after: "))
        }
    }

    @Test func oneAddressCannotTakeAllConnections() async throws {
        try await TestServer.run(changing: { $0.connectionLimitPerAddress = 2 }) { server in
            let refused = try await eventually {
                // Anew for each try: the server ends those that stay silent too long.
                let idle = [try LoopbackSocket(port: server.port), try LoopbackSocket(port: server.port)]
                defer { idle.forEach { $0.end() } }
                return try await server.curl("/health").status != 0
            }
            #expect(refused)
            let served = try await eventually { try await server.curl("/health").status == 0 }
            #expect(served)
        }
    }

    @Test func headersWithoutBoundAreRefused() async throws {
        try await TestServer.run { server in
            let answer = try await server.curl("/health", "-H", "X-Long: " + String(repeating: "a", count: 20_000))
            #expect(!answer.output.hasSuffix("200"))
            #expect(try await server.curl("/health").output.hasSuffix("200"))
        }
    }
}

/// A plain TCP connection to loopback that says nothing.
final class LoopbackSocket: Sendable {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        guard connected == 0 else { throw POSIXError(.ECONNREFUSED) }
    }

    func send(_ text: String) {
        _ = text.withCString { write(descriptor, $0, strlen($0)) }
    }

    /// What the other side sends until it closes, or nil where it says nothing for so long.
    func readToEnd(within seconds: Int) -> String? {
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var all: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { return String(decoding: all, as: UTF8.self) }
            if count < 0 { return errno == ECONNRESET ? String(decoding: all, as: UTF8.self) : nil }
            all += buffer.prefix(count)
        }
    }

    func end() { close(descriptor) }
}
