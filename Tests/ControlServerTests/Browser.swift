import Foundation
import Testing

/// curl as a browser: it keeps cookies, takes a form's secret from the page that it was shown, and says where it comes from.
final class Browser {
    struct Answer {
        let status: Int
        let headers: String
        let body: String

        func header(_ name: String) -> String? {
            headers.split(whereSeparator: \.isNewline).first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
                .map { $0.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces) }
        }
    }

    private let server: TestServer
    let jar: String
    private let number = UUID().uuidString.prefix(8)
    /// What the last page's forms carry.
    private(set) var csrf = ""

    init(_ server: TestServer) {
        self.server = server
        jar = server.folder + "/cookies-\(number)"
    }

    func get(_ path: String, _ options: String...) async throws -> Answer {
        let answer = try await ask(path, options)
        if let found = answer.body.firstMatch(of: /name="csrf" value="([0-9a-f]{64})"/) { csrf = String(found.1) }
        return answer
    }

    /// Sends a form with the secret of the page that was shown last; `csrf` sends another one, or none where it is empty.
    func post(_ path: String, _ fields: KeyValuePairs<String, String> = [:], csrf other: String? = nil, _ options: String...) async throws -> Answer {
        let secret = other ?? csrf
        var words = fields.flatMap { ["--data-urlencode", "\($0.key)=\($0.value)"] }
        if !secret.isEmpty { words += ["--data-urlencode", "csrf=\(secret)"] }
        if words.isEmpty { words = ["-d", ""] }
        return try await ask(path, words + ["-H", "Sec-Fetch-Site: same-origin"] + options)
    }

    private func ask(_ path: String, _ options: [String]) async throws -> Answer {
        let (headers, body) = (server.folder + "/headers-\(number)", server.folder + "/body-\(number)")
        try? Data().write(to: URL(fileURLWithPath: body))
        let run = try await Command.run(
            ["curl", "-sS", "-k", "--pinnedpubkey", server.pin, "-b", jar, "-c", jar, "-m", "50", "-D", headers, "-o", body, "-w", "%{http_code}"]
                + options + [server.address + path])
        return Answer(
            status: Int(run.output) ?? 0, headers: (try? String(contentsOfFile: headers, encoding: .utf8)) ?? "",
            body: (try? String(decoding: Data(contentsOf: URL(fileURLWithPath: body)), as: UTF8.self)) ?? "")
    }

    /// Begins the panel as its first administrator.
    func begin(name: String = "ada", password: String = "correct horse") async throws {
        _ = try await get("/first-start")
        let code = try #require(server.room.code.text)
        let begun = try await post("/first-start", ["code": code, "name": name, "password": password, "again": password])
        try #require(begun.status == 303 && begun.header("location") == "/", "\(begun)")
        _ = try await get("/settings")
    }

    func signIn(_ name: String, _ password: String) async throws -> Answer {
        _ = try await get("/sign-in")
        let answer = try await post("/sign-in", ["name": name, "password": password])
        if answer.status == 303 { _ = try await get("/settings") }
        return answer
    }

    /// Adds a teacher of these labs and signs in as them, in another browser.
    func teacher(_ name: String, of labs: [String]) async throws -> Browser {
        let words = labs.flatMap { ["--data-urlencode", "lab=\($0)"] }
        let added = try await ask(
            "/panel/people/add",
            ["-H", "Sec-Fetch-Site: same-origin", "-d", "csrf=\(csrf)&name=\(name)&role=teacher&password=another+horse"] + words)
        try #require(added.status == 303, "\(added)")
        let other = Browser(server)
        try #require(try await other.signIn(name, "another horse").status == 303)
        return other
    }
}
