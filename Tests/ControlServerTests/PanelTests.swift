import Broker
import ControlAPI
import DesktopModel
import Foundation
import Testing

@testable import ControlServer

/// The panel as browsers are served it, over TLS.
@Suite struct PanelTests {
    // MARK: The first start

    @Test func nothingIsServedBeforeTheFirstAdministratorIsMade() async throws {
        try await TestServer.run { server in
            let browser = Browser(server)
            for route in PanelRoutes.table where !route.path.hasPrefix("first-start") && !route.path.hasPrefix("panel/:file") {
                let path = Self.path(of: route)
                let answer = route.method == .get ? try await browser.get(path) : try await browser.post(path)
                let isRefused = answer.status == 403 || (answer.status == 303 && answer.header("location") == "/first-start")
                #expect(isRefused, "\(route.method) \(path): \(answer.status)")
            }
            #expect(try await browser.get("/first-start").status == 200)
        }
    }

    @Test func theCodeOfTheConsoleMakesOneAdministratorAndNoSecond() async throws {
        try await TestServer.run { server in
            #expect(try await server.room.people.drawCode() != nil)
            let code = try #require(server.room.code.text)
            let browser = Browser(server)
            _ = try await browser.get("/first-start")
            let wrong = try await browser.post(
                "/first-start", ["code": "CDFG-HJKM-NPQR", "name": "ada", "password": "correct horse", "again": "correct horse"])
            #expect(wrong.status == 422)
            let differs = try await browser.post(
                "/first-start", ["code": code, "name": "ada", "password": "correct horse", "again": "correct house"])
            #expect(differs.status == 422)
            let short = try await browser.post("/first-start", ["code": code, "name": "ada", "password": "short", "again": "short"])
            #expect(short.status == 422 && short.body.contains("value=\"ada\""))
            let begun = try await browser.post(
                "/first-start", ["code": code.lowercased(), "name": "ada", "password": "correct horse", "again": "correct horse"])
            #expect(begun.status == 303)
            #expect(server.room.code.text == nil, "the console shows it no longer")
            #expect(try await browser.get("/").status == 200)

            let second = Browser(server)
            #expect(try await second.get("/first-start").header("location") == "/sign-in")
            server.room.code.show("LEFT-OVER-CODE")
            #expect(try await server.room.people.drawCode() == nil)
            #expect(server.room.code.text == nil, "one that stood there since before is taken away")
            #expect(try await server.punnet("first-start").status == 1)
        }
    }

    @Test func theCommandLineShowsACodeAndTheOneBeforeIsGoodNoLonger() async throws {
        try await TestServer.run { server in
            let first = try await server.punnet("first-start", "--json")
            let code = try JSONDecoder().decode(FirstStartMessage.self, from: Data(first.output.utf8)).code
            _ = try await server.punnet("first-start")
            let browser = Browser(server)
            _ = try await browser.get("/first-start")
            let stale = try await browser.post(
                "/first-start", ["code": code, "name": "ada", "password": "correct horse", "again": "correct horse"])
            #expect(stale.status == 422)
        }
    }

    @Test func guessesAtTheCodeRunOut() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            _ = try await browser.get("/first-start")
            var texts: Set<String> = []
            for _ in 1...7 {
                let answer = try await browser.post(
                    "/first-start", ["code": "CDFG-HJKM-NPQR", "name": "ada", "password": "correct horse", "again": "correct horse"])
                #expect(answer.status == 422)
                texts.insert(answer.body.contains("role=\"alert\"") ? String(answer.body.split(separator: "role=\"alert\"").last?.prefix(120) ?? "") : "")
            }
            let code = try #require(server.room.code.text)
            let right = try await browser.post("/first-start", ["code": code, "name": "ada", "password": "correct horse", "again": "correct horse"])
            #expect(right.status == 422, "the right one is not looked at either")
            #expect(texts.count >= 2)
        }
    }

    // MARK: Signing in

    @Test func aSignInIsAnotherCookieThanTheBrowserBroughtAlong() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let first = Browser(server)
            try await first.begin()
            let browser = Browser(server)
            let shown = try await browser.get("/sign-in")
            let before = try #require(shown.header("set-cookie"))
            for word in ["__Host-punnet=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] { #expect(before.contains(word)) }
            let entered = try await browser.post("/sign-in", ["name": "ada", "password": "correct horse"])
            #expect(entered.status == 303)
            let after = try #require(entered.header("set-cookie"))
            #expect(after.prefix { $0 != ";" } != before.prefix { $0 != ";" })
            // What was laid into the browser before opens nothing.
            let fixed = try await Browser(server).get("/", "-b", String(before.prefix { $0 != ";" }))
            #expect(fixed.header("location")?.hasPrefix("/sign-in") == true)
        }
    }

    @Test func wrongPasswordsRunOutForOneAddressAndAreInTheJournal() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let administrator = Browser(server)
            try await administrator.begin()
            let guesser = Browser(server)
            var statuses: [Int] = []
            for number in 1...7 { statuses.append(try await guesser.signIn("ada", "guess number \(number)").status) }
            #expect(statuses == [422, 422, 422, 422, 422, 429, 429])
            #expect(try await guesser.signIn("ada", "correct horse").status == 429)
            // Who is signed in stays so, from the same address.
            #expect(try await administrator.get("/journal").body.contains("guess") == false)
            #expect(try await administrator.get("/").status == 200)
            let entries = try await server.room.people.journal(before: nil, limit: 100)
            #expect(entries.count { $0.action == "sign-in-failed" } == 5)
        }
    }

    @Test func signingOutEverywhereEndsOtherBrowsersToo() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let (here, there) = (Browser(server), Browser(server))
            try await here.begin()
            #expect(try await there.signIn("ada", "correct horse").status == 303)
            #expect(try await here.post("/panel/sign-out-everywhere").status == 303)
            for browser in [here, there] { #expect(try await browser.get("/").header("location")?.hasPrefix("/sign-in") == true) }
        }
    }

    @Test func afterASignInNoOtherServerIsGoneTo() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            #expect(try await browser.post("/sign-out").status == 303)
            for back in ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/ok\r\nSet-Cookie: x=y"] {
                _ = try await browser.get("/sign-in")
                let answer = try await browser.post("/sign-in", ["name": "ada", "password": "correct horse", "back": back])
                #expect(answer.status == 303 && answer.header("location") == "/", "\(back): \(answer.header("location") ?? "")")
                _ = try await browser.get("/settings")
                _ = try await browser.post("/sign-out")
            }
        }
    }

    // MARK: Who may what

    @Test func noFormIsTakenWithoutItsSecretOrFromAnotherPage() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            for route in PanelRoutes.table where route.method == .post {
                let path = Self.path(of: route)
                #expect(try await browser.post(path, csrf: "").status == 403, "\(path) without")
                #expect(try await browser.post(path, csrf: String(repeating: "0", count: 64)).status == 403, "\(path) with a wrong one")
                let foreign = try await browser.post(path, csrf: nil, "-H", "Sec-Fetch-Site: cross-site")
                #expect(foreign.status == 403, "\(path) from another site")
            }
            let entries = try await server.room.people.journal(before: nil, limit: 100)
            #expect(entries.map(\.action) == ["first-start"], "nothing was done")
        }
    }

    /// From the table itself: a route that is added has a rule, or none of these holds.
    @Test func everyRouteKeepsItsRule() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let administrator = Browser(server)
            try await administrator.begin()
            let teacher = try await administrator.teacher("tom", of: [])
            let stranger = Browser(server)
            _ = try await stranger.get("/sign-in")
            for route in PanelRoutes.table where route.access != .anyone {
                let path = Self.path(of: route)
                let unknown = route.method == .get ? try await stranger.get(path) : try await stranger.post(path)
                #expect(unknown.status == 303 && unknown.header("location")?.hasPrefix("/sign-in") == true, "\(path): \(unknown.status)")
                guard route.access == .administrator else { continue }
                let refused = route.method == .get ? try await teacher.get(path) : try await teacher.post(path)
                #expect(refused.status == 403, "\(route.method) \(path) as a teacher: \(refused.status)")
            }
            let entries = try await server.room.people.journal(before: nil, limit: 100)
            #expect(Set(entries.map(\.action)) == ["first-start", "person-add", "sign-in"])
        }
    }

    @Test func aTeacherSeesTheirLabsAndNoOther() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let administrator = Browser(server)
            try await administrator.begin()
            _ = try await server.punnet("lab", "create", "room2", "--image", "debian-desktop", "--size", "0", "--memory", "512MiB", "--vcpus", "1")
            _ = try await server.enrolledSeat("pi-1")
            let (own, other) = (try await administrator.teacher("own", of: ["room1"]), try await administrator.teacher("other", of: ["room2"]))
            #expect(try await own.get("/labs").body.contains("room1"))
            #expect(try await !own.get("/labs").body.contains("room2"))
            #expect(try await own.get("/seats/pi-1").status == 200)
            #expect(try await other.get("/seats/pi-1").status == 403)
            let desktop = try #require(try await server.room.administration.desktops(lab: "room1").first).name
            #expect(try await own.get("/desktops/\(desktop)").status == 200)
            #expect(try await other.get("/desktops/\(desktop)").status == 403)
            #expect(try await other.post("/desktops/\(desktop)/remake").status == 403)
            #expect(try await other.post("/panel/desktops/remake", ["desktop": desktop]).status == 403)
            #expect(try await own.post("/desktops/\(desktop)/remake").status == 303)
        }
    }

    // MARK: What is typed and what is told

    private static func fields(internet: String, do deed: String) -> KeyValuePairs<String, String> {
        [
            "image": "debian-desktop-1", "vcpus": "1", "memory": "512 MiB", "size": "1", "leastReady": "0", "atOnce": "0", "graceSeconds": "60",
            "airing": "10min", "afterSession": "claim-again", "longest": "0", "idle": "0", "warning": "5min", "internet": internet, "do": deed,
        ]
    }

    @Test func whatTheInternetOfALabMeansIsToldBeforeItIsOpenedAndTheJournalTellsIt() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            #expect(try await browser.get("/labs/room1").body.contains("<option value=\"off\" selected>"))
            let told = try await browser.post("/labs/room1", Self.fields(internet: "on", do: "preview"))
            #expect(told.body.contains("Its desktops reach the internet at once"))
            #expect(try await server.room.administration.room().labs[0].lab.internet == false, "it is only told")
            #expect(try await browser.post("/labs/room1", Self.fields(internet: "on", do: "save")).status == 303)
            #expect(try await server.room.administration.room().labs[0].lab.internet)
            #expect(try await browser.get("/labs/room1").body.contains("<option value=\"on\" selected>"))
            #expect(try await browser.get("/journal").body.contains("internet on"))
            #expect(try await browser.post("/labs/room1", Self.fields(internet: "off", do: "preview")).body.contains("what they have open there ends"))
            let wrong = try await browser.post("/labs/room1", Self.fields(internet: "sometimes", do: "save"))
            #expect(wrong.status == 422 && wrong.body.contains("name=\"internet\" aria-invalid=\"true\""))
        }
    }

    @Test func whereTheServerDoesNotLeadThereALabsWishIsRefusedWithTheRemedy() async throws {
        try await TestServer.run(leadingToInternet: false) { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            #expect(try await browser.get("/labs/room1").body.contains("This server keeps all desktops from the internet"))
            let refused = try await browser.post("/labs/room1", Self.fields(internet: "on", do: "save"))
            #expect(refused.status == 422 && refused.body.contains("network.internet: true"))
            #expect(try await browser.post("/labs/room1", Self.fields(internet: "off", do: "save")).status == 303)
            let command = try await server.punnet("lab", "set", "room1", "--internet", "on")
            #expect(command.status == 1 && command.errors.contains("'network.internet: true'"), "\(command.errors)")
            let made = try await server.punnet("lab", "create", "room2", "--image", "debian-desktop", "--size", "0", "--internet", "on")
            #expect(made.status == 1 && made.errors.contains("'network.internet: true'"), "\(made.errors)")
        }
    }

    @Test func aLabIsMadeChangedAndDeletedWithTheJournalTellingIt() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let fields: KeyValuePairs = [
                "name": "room2", "image": "debian-desktop-1", "vcpus": "1", "memory": "512 MiB", "size": "1", "leastReady": "0", "atOnce": "0",
                "graceSeconds": "60", "airing": "10min", "afterSession": "claim-again", "longest": "45min", "idle": "0", "warning": "5min",
                "internet": "on", "do": "save",
            ]
            #expect(try await browser.post("/labs/new", fields).status == 303)
            let lab = try #require(try await server.room.administration.room().labs.first { $0.lab.name == "room2" })
            #expect(lab.lab.profile == Profile(vcpus: 1, memory: .mebibytes(512)))
            #expect(lab.lab.longest == .seconds(2700) && lab.lab.idle == .zero && lab.lab.warning == .seconds(300) && lab.lab.internet)
            let tooLarge = try await browser.post(
                "/labs/room2",
                [
                    "image": "debian-desktop-1", "vcpus": "1", "memory": "much", "size": "1", "leastReady": "0", "atOnce": "0",
                    "graceSeconds": "60", "airing": "10min", "afterSession": "claim-again", "longest": "45min", "idle": "0", "warning": "5min",
                    "internet": "on", "do": "save",
                ])
            #expect(tooLarge.status == 422 && tooLarge.body.contains("value=\"much\""))
            #expect(tooLarge.body.contains("name=\"memory\" aria-invalid=\"true\""), "the field that was refused is marked")
            #expect(try await browser.post("/labs/room2/delete").status == 303)
            let entries = try await server.room.people.journal(before: nil, limit: 100)
            #expect(entries.map(\.action) == ["lab-delete", "lab-create", "first-start"])
            #expect(entries.allSatisfy { $0.who == "ada" && $0.origin == "127.0.0.1" })
            // What is done on the server itself is told as well.
            _ = try await server.punnet("lab", "set", "room1", "--grace", "90s")
            _ = try await server.punnet("seat", "add", "pi-1", "--lab", "room1")
            let own = try await server.room.people.journal(before: nil, limit: 2)
            #expect(own.map(\.action) == ["seat-add", "lab-change"] && own.map(\.subject) == ["pi-1", "room1"])
            #expect(own.allSatisfy { $0.who == NSUserName() && $0.origin == "server" })
        }
    }

    @Test func anImageIsNotedGivenTakenBackAndDeletedOnceNothingNeedsIt() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            try await server.room.addImage(2)
            let browser = Browser(server)
            try await browser.begin()
            func image() async throws -> String? { try await server.room.administration.room().labs.first?.image }
            let needed = try await browser.post("/images/debian-desktop-1/delete")
            #expect(needed.status == 409 && needed.body.contains("room1"))

            #expect(try await browser.post("/images/debian-desktop-1", ["notes": "with <b>Scratch</b>"]).status == 303)
            #expect(try await browser.get("/images").body.contains("with &lt;b&gt;Scratch"))
            #expect(try await browser.post("/images/debian-desktop-1", ["notes": String(repeating: "x", count: 501)]).status == 422)

            #expect(try await browser.post("/images/debian-desktop-2/give", ["do": "give"]).status == 422, "to nobody")
            let told = try await browser.post("/images/debian-desktop-2/give", ["lab": "room1", "do": "preview"])
            #expect(told.status == 200 && told.body.contains("room1: "))
            #expect(try await image() == "debian-desktop-1", "a preview changes nothing")
            #expect(try await browser.post("/images/debian-desktop-2/give", ["lab": "room1", "do": "give"]).status == 303)
            #expect(try await image() == "debian-desktop-2")
            #expect(try await browser.get("/images/debian-desktop-2").body.contains("action=\"/images/debian-desktop-1/give\""), "the way back")
            #expect(try await browser.post("/images/debian-desktop-1/give", ["lab": "room1", "do": "give"]).status == 303)
            #expect(try await image() == "debian-desktop-1")

            // What was begun of it goes first.
            #expect(try await eventually(within: .seconds(60)) { try await browser.post("/images/debian-desktop-2/delete").status == 303 })
            #expect(try await server.room.administration.images().map(\.version.name) == ["debian-desktop-1"])
            #expect(try await browser.get("/images/debian-desktop-2").status == 404)
            let actions = try await server.room.people.journal(before: nil, limit: 100).map(\.action)
            #expect(actions == ["image-delete", "lab-change", "lab-change", "image-change", "first-start"])
        }
    }

    // MARK: A given certificate

    /// A certificate for the host with its key, as PEM files in the server's folder.
    private func certificate(for host: String, _ server: TestServer, days: Int = 2) async throws -> (chain: String, key: String, pin: String) {
        let (chain, key) = (server.folder + "/\(host).crt", server.folder + "/\(host).key")
        let made = try await Command.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", chain, "-days", "\(days)",
            "-subj", "/CN=school", "-addext", "subjectAltName=DNS:\(host)",
        ])
        try #require(made.status == 0, "\(made.errors)")
        let hash = try await Command.run([
            "sh", "-c", "openssl x509 -in \(chain) -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64",
        ])
        return (chain, key, "sha256//" + hash.output.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Whether a client that asks for the host is shown the key of this pin.
    private func isShown(_ pin: String, for host: String, _ server: TestServer) async throws -> Bool {
        try await Command.run([
            "curl", "-sS", "-k", "--pinnedpubkey", pin, "-m", "20", "-o", "/dev/null", "--resolve", "\(host):\(server.port):127.0.0.1",
            "https://\(host):\(server.port)/health",
        ]).status == 0
    }

    @Test func aGivenCertificateIsShownToWhoAsksForItsNameAndSeatsKeepTheirs() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let given = try await certificate(for: "lab.school.example", server)
            let other = try await certificate(for: "other.example", server)
            func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
            #expect(try await isShown(server.pin, for: "lab.school.example", server), "its own until one is given")

            let crossed = try await browser.post("/panel/certificate", ["chain": try text(given.chain), "key": try text(other.key)])
            #expect(crossed.status == 422 && crossed.body.contains("do not belong together"))
            let noKey = try await browser.post("/panel/certificate", ["chain": try text(given.chain), "key": "secret <words>"])
            #expect(noKey.status == 422 && !noKey.body.contains("secret"), "a key is never repeated")
            #expect(try await browser.post("/panel/certificate", ["chain": try text(given.chain), "key": try text(given.key)]).status == 303)

            #expect(try await isShown(given.pin, for: "lab.school.example", server))
            #expect(try await isShown(server.pin, for: "elsewhere.example", server))
            #expect(try await server.curl("/health").output.hasSuffix("200"), "a seat asks for an address")
            #expect(try await browser.get("/settings").body.contains("DNS:lab.school.example"))
            let kept = try FileManager.default.attributesOfItem(atPath: server.folder + "/given.pem")
            #expect(kept[.posixPermissions] as? Int == 0o600)

            let again = try await server.punnet("certificate", "give", "--chain", other.chain, "--key", other.key)
            #expect(again.status == 0 && again.output.contains("other.example"))
            #expect(try await isShown(other.pin, for: "other.example", server))
            #expect(try await server.punnet("certificate", "show").output.contains("DNS:other.example"))
            #expect(try await server.punnet("certificate", "remove").status == 0)
            #expect(try await isShown(server.pin, for: "other.example", server))
            #expect(try await server.punnet("certificate", "show").status == 1)
            #expect(!FileManager.default.fileExists(atPath: server.folder + "/given.pem"))
            let actions = try await server.room.people.journal(before: nil, limit: 3).map(\.action)
            #expect(actions == ["certificate-remove", "certificate-give", "certificate-give"])
        }
    }

    @Test func aDesktopIsPutInQuarantineAndReleased() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let name = try #require(try await server.room.administration.desktops(lab: "room1").first).name
            func isSetAside() async throws -> Bool? { try await server.room.administration.desktops(lab: "room1").first?.isSetAside }
            #expect(try await browser.post("/desktops/\(name)/quarantine").status == 303)
            #expect(try await isSetAside() == true)
            #expect(try await browser.get("/desktops/\(name)").body.contains("/desktops/\(name)/release"))
            let refused = try await server.punnet("desktop", "remake", name, "--yes")
            #expect(refused.status == 1 && refused.errors.contains("release"))
            #expect(try await browser.post("/desktops/\(name)/release").status == 303)
            #expect(try await isSetAside() == false)
            #expect(try await server.punnet("desktop", "quarantine", name).status == 0)
            #expect(try await isSetAside() == true)
            #expect(try await server.punnet("desktop", "release", name).status == 0)
            #expect(try await isSetAside() == false)
        }
    }

    @Test func nothingThatAPersonSetsBecomesMarkup() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            let name = "<b onx=\"1\">&'ada"
            try await browser.begin(name: name)
            let folder = "/none/<script>alert(1)</script>"
            _ = try await browser.post("/panel/images/add", ["folder": folder])
            for path in ["/", "/settings", "/journal", "/images"] {
                let page = try await browser.get(path).body
                #expect(!page.contains("<b onx") && !page.contains("<script>alert"), "\(path)")
            }
            #expect(try await browser.get("/journal").body.contains("&lt;script&gt;"))
            let echoed = try await browser.post("/seats/new", ["name": "\"><img src=x>", "lab": "room1"])
            #expect(echoed.status == 422 && !echoed.body.contains("<img src=x>"))
        }
    }

    @Test func aBodyThatIsTooLongAndAddressesThatAreNotThereAreRefused() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let file = server.folder + "/large"
            try Data(("csrf=\(browser.csrf)&name=" + String(repeating: "x", count: 100_000)).utf8).write(to: URL(fileURLWithPath: file))
            #expect(try await browser.post("/labs/new", csrf: "", "--data-binary", "@\(file)").status == 413)
            let missing = try await browser.get("/nowhere")
            #expect(missing.status == 404 && missing.header("content-type")?.hasPrefix("text/html") == true)
            #expect(try await browser.get("/labs/none").status == 404)
            #expect(try await browser.get("/desktops/none").status == 404)
            #expect(try await browser.get("/panel/..%2f..%2fpunnet.db").status == 404)
        }
    }

    @Test func aPageLearnsOfAChange() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let file = server.folder + "/events"
            let reader = Task {
                try await Command.run(
                    "curl", "-sS", "-k", "-N", "-b", browser.jar, "-m", "60", "-o", file, server.address + "/panel/events")
            }
            func told() -> Int { (try? String(contentsOfFile: file, encoding: .utf8))?.components(separatedBy: "event: changed").count ?? 0 }
            #expect(await eventually { told() > 0 })
            let before = told()
            _ = try await server.enrolledSeat("pi-1")
            #expect(await eventually { told() > before })
            reader.cancel()
        }
    }

    /// A seat that is on: what it is told goes to the file.
    private func switchOn(_ token: String, _ server: TestServer, _ file: String) -> Task<Command, any Error> {
        Task {
            try await Command.run(
                "curl", "-sS", "-k", "-N", "-m", "60", "-H", "Authorization: Bearer \(token)", "-o", file, server.address + "/api/v1/seat/events")
        }
    }

    @Test func seatsAreToldWhatToDoAndThoseThatAreOffAreNamed() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            let file = server.folder + "/told"
            let seat = switchOn(try await server.enrolledSeat("pi-1"), server, file)
            defer { seat.cancel() }
            _ = try await server.enrolledSeat("pi-2")
            func told() -> String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
            #expect(await eventually { told().contains(":") })
            let orders: [(String, String)] = [("message", "Save\nyour \u{202e}work"), ("identify", ""), ("restart", ""), ("shut-down", "")]
            for (order, text) in orders {
                let answer = try await browser.post("/panel/seats/order", ["seat": "pi-1", "do": order, "text": text, "back": "/"])
                #expect(answer.header("location") == "/?done=seatsTold", "\(order)")
                #expect(await eventually { told().contains("event: \(order)\n") }, "\(order)")
            }
            #expect(told().contains("data: {\"text\":\"Save your work\"}"))
            let off = try await browser.post("/panel/seats/order", ["seat": "pi-1", "seat": "pi-2", "do": "identify"])
            #expect(off.status == 409 && off.body.contains("pi-2"))
            for (order, text) in [("dance", ""), ("message", " \u{202e} "), ("message", String(repeating: "x", count: 201))] {
                #expect(try await browser.post("/panel/seats/order", ["seat": "pi-1", "do": order, "text": text]).status == 422, "\(order)")
            }
            #expect(try await browser.post("/panel/seats/order", ["do": "identify"]).status == 422)

            let teacher = try await browser.teacher("tom", of: ["room1"])
            #expect(try await teacher.post("/panel/seats/order", ["seat": "pi-1", "do": "identify"]).status == 303)
            #expect(try await teacher.post("/panel/seats/order", ["seat": "pi-1", "do": "shut-down"]).status == 403)
            let other = try await browser.teacher("other", of: [])
            #expect(try await other.post("/panel/seats/order", ["seat": "pi-1", "do": "identify"]).status == 403)

            #expect(try await server.punnet("seat", "message", "pi-1", "--text", "from the server").status == 0)
            #expect(await eventually { told().contains("from the server") })
            let all = try await server.punnet("seat", "identify", "--all").output
            #expect(all.contains("pi-1") && !all.contains("pi-2"), "those that are on")
            #expect(try await server.punnet("seat", "identify", "pi-2").status == 1)
            #expect(try await server.punnet("seat", "restart", "pi-1").status != 0, "nobody can be asked")
            #expect(try await server.punnet("seat", "restart", "pi-1", "--yes").status == 0)
            #expect(try await server.punnet("seat", "message", "--text", "to whom").status == 64)
        }
    }

    @Test func theImageThatCameWithTheServerIsTakenInWithTheFirstStart() async throws {
        try await TestServer.run(changing: { $0.shippedImage = "/none" }) { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            #expect(try await server.room.people.journal(before: nil, limit: 10).map(\.action) == ["first-start"], "there is none")
        }
    }

    @Test func aProgramDoesWhatItsTokenMayUntilThatIsOver() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            func token(_ name: String, _ scope: String) async throws -> String {
                let page = try await browser.post("/panel/tokens/add", ["name": name, "scope": scope, "days": "30"])
                return String(try #require(page.body.firstMatch(of: /id="new-token" tabindex="0">([^<]+)</)).1)
            }
            let (reading, changing) = (try await token("backup", "read"), try await token("timetable", "change"))
            #expect(try await !browser.get("/settings").body.contains(reading), "it is shown once")
            func ask(_ path: String, _ token: String, _ options: String...) async throws -> String {
                try await Command.run(
                    ["curl", "-sS", "-k", "-w", "\n%{http_code}", "-H", "Authorization: Bearer \(token)"] + options + [server.address + path]
                ).output
            }
            #expect(try await ask("/api/v1/labs", reading).hasSuffix("\n200"))
            let metrics = try await ask("/api/v1/metrics", reading)
            for line in [
                "# TYPE punnet_desktops gauge", "punnet_desktops{lab=\"room1\",state=\"ready\"} 0", "punnet_desktops_wanted{lab=\"room1\"} 1",
                "punnet_seats{state=\"known\"} 0", "# TYPE punnet_generations_total counter", "punnet_wait_seconds_count 0",
                "punnet_relay_connections_total 0", "punnet_relay_bytes_total{direction=\"to_seats\"} 0", "punnet_processors 2",
                "punnet_processor_seconds_total{kind=\"control\"} 0",
            ] {
                #expect(metrics.contains(line + "\n"), "\(line)")
            }
            #expect(try await ask("/api/v1/seats", reading, "-d", "{\"name\":\"pi-9\",\"lab\":\"room1\"}").contains("reads-only"))
            #expect(try await ask("/api/v1/seats", changing, "-d", "{\"name\":\"pi-9\",\"lab\":\"room1\"}").hasSuffix("\n201"))
            #expect(try await ask("/api/v1/first-start", changing, "-d", "{}").hasSuffix("\n404"))
            // Each address that the description names is there, and each that it does not is not.
            let described = try await ask("/api/v1/openapi.json", reading)
            let document = try #require(try JSONSerialization.jsonObject(with: Data(described.dropLast(4).utf8)) as? [String: Any])
            #expect(document["openapi"] as? String == "3.1.0")
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            #expect(paths.count >= 16)
            for (path, operations) in paths {
                for method in operations.keys where method == "get" && !path.hasSuffix("/events") {
                    let real = path.replacing("{name}", with: "none").replacing("{id}", with: "1")
                    let answer = try await ask(real, reading)
                    #expect(!answer.contains("no-such-address"), "\(method) \(path)")
                    let responses = try #require((operations[method] as? [String: Any])?["responses"] as? [String: Any])
                    #expect(responses[String(answer.suffix(3))] != nil, "\(path) answered \(answer.suffix(3))")
                }
            }
            let entry = try #require(try await server.room.people.journal(before: nil, limit: 10).first { $0.action == "seat-add" })
            #expect(entry.action == "seat-add" && entry.who == "ada (timetable)" && entry.origin == "127.0.0.1")
            for path in ["/api/v1/seat/claim", "/"] {
                #expect(try await !ask(path, changing, "-d", "{}").hasSuffix("\n200"), "a program's token is no seat's and no sign-in: \(path)")
            }
            for (name, days) in [("", "30"), ("x", "0"), ("x", "367"), ("x", "many")] {
                #expect(try await browser.post("/panel/tokens/add", ["name": name, "scope": "read", "days": days]).status == 422)
            }
            let page = try await browser.get("/settings").body
            let remove = String(try #require(page.firstMatch(of: /\/panel\/tokens\/[0-9]+\/remove/)).output)
            #expect(try await browser.post(remove).status == 303)
            #expect(try await ask("/api/v1/labs", reading).hasSuffix("\n401"))
        }
    }

    @Test func pagesCarryTheirHeadersAndFilesAreKept() async throws {
        try await TestServer.run { server in
            let browser = Browser(server)
            let page = try await browser.get("/first-start")
            let policy = try #require(page.header("content-security-policy"))
            #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"))
            for header in ["strict-transport-security", "x-content-type-options", "x-frame-options", "referrer-policy", "cache-control"] {
                #expect(page.header(header) != nil, "\(header)")
            }
            for file in ["panel.css", "panel.js", "favicon.svg"] {
                let first = try await browser.get("/panel/\(file)")
                #expect(first.status == 200 && first.header("x-content-type-options") == "nosniff")
                let tag = try #require(first.header("etag"))
                #expect(try await browser.get("/panel/\(file)", "-H", "If-None-Match: \(tag)").status == 304)
            }
        }
    }

    @Test func theLanguageIsTheBrowsersUntilOneIsChosen() async throws {
        try await TestServer.run { server in
            let browser = Browser(server)
            func language(_ accepted: String) async throws -> String {
                let page = try await browser.get("/first-start", "-H", "Accept-Language: \(accepted)")
                return String(page.body.firstMatch(of: /<html lang="([a-z]+)"/)?.1 ?? "")
            }
            let (korean, french) = (try await language("ko-KR,ko;q=0.9"), try await language("fr"))
            #expect(korean == "ko" && french == "en")
            let chosen = try await browser.post("/panel/language", ["to": "ko", "back": "/first-start"])
            #expect(chosen.header("location") == "/first-start")
            let then = try await language("en")
            #expect(then == "ko")
        }
    }

    @Test func inKoreanRefusalsAndExplanationsAreKorean() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            #expect(try await browser.post("/panel/language", ["to": "ko", "back": "/"]).status == 303)
            func lab(_ memory: String, _ size: String) async throws -> String {
                let refused = try await browser.post(
                    "/labs/new",
                    [
                        "name": "room2", "image": "debian-desktop-1", "vcpus": "1", "memory": memory, "size": size, "leastReady": "0", "atOnce": "0",
                        "graceSeconds": "60", "airing": "10min", "afterSession": "claim-again", "longest": "0", "idle": "0", "warning": "5min",
                        "internet": "off", "do": "save",
                    ])
                #expect(refused.status == 422)
                return refused.body
            }
            #expect(try await lab("much", "1").contains("쓸 수 없는 값입니다(메모리 ‘much’). 512MiB, 1.5GiB처럼 적어 주세요.</p></div>"))
            let large = try await lab("512 MiB", "90")
            #expect(large.contains("이 사양(vCPU 1개, 메모리 512 MiB)의 데스크톱은 서버에") && large.contains("90대를 요청했습니다."), "\(large)")
            let absent = try await browser.get("/desktops/room9-1")
            #expect(absent.status == 404 && absent.body.contains("‘room9-1’ 데스크톱이 없습니다. ‘데스크톱’ 화면에서 확인해 주세요."))
            var shown = ""
            #expect(
                try await eventually(within: .seconds(60)) {
                    shown = try await browser.get("/desktops/room1-1").body
                    return shown.contains("Xen에 연결할 수 없어 가상 머신 생성에 실패했습니다: there is no Xen here")
                }, "\(shown)")
            // The command line has it in English.
            #expect(try await server.punnet("desktop", "explain", "room1-1").output.contains("failed, since Xen cannot be reached: there is no Xen here"))
        }
    }

    @Test(arguments: [("=1+1", "'=1+1"), ("a,b", "\"a,b\""), ("say \"hi\"", "\"say \"\"hi\"\"\""), ("@x", "'@x"), ("plain", "plain")])
    func aSpreadsheetRunsNothing(_ text: String, _ cell: String) { #expect(CSV.cell(text) == cell) }

    @Test func formsAreReadAsBrowsersSendThem() {
        let form = Form(untrustedText: "name=a+b%26c&seat=1&seat=2&empty=&%=%zz&lonely")
        #expect(form["name"] == "a b&c")
        #expect(form.all("seat") == ["1", "2"])
        #expect(form.has("empty") && form["empty"] == "" && form.has("lonely") && form["missing"] == "")
        #expect(Form(untrustedText: "p=+secret+").raw("p") == " secret ")
        #expect(Form(untrustedText: (0..<5000).map { "f\($0)=1" }.joined(separator: "&")).has("f4999") == false)
    }

    /// An address of a route, with names of what is not there.
    private static func path(of route: PanelRoutes.Route) -> String {
        let parts = route.path.split(separator: "/").map { part in part == ":id" ? "1" : part.hasPrefix(":") ? "none" : String(part) }
        return "/" + parts.joined(separator: "/")
    }
}
