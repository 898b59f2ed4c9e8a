import Broker
import ControlAPI
import ControlPanel
import DesktopModel
import DesktopStore
import FoundationEssentials
import HTTPTypes
import Hummingbird
import Identity

/// The first start, signing in and out, and who may.
extension PanelRoutes {
    // MARK: The first start

    func showFirstStart(_ visit: Visit) async throws -> PanelAnswer {
        guard try await !people.hasPeople() else { return .redirect("/sign-in") }
        return withFormCookie(visit) { pages.firstStart(code: "", name: "", expired: !people.hasGoodCode, for: $0) }
    }

    func beginFirstStart(_ visit: Visit) async throws -> PanelAnswer {
        guard try await !people.hasPeople() else { return .redirect("/sign-in") }
        let form = visit.form
        func refused(_ text: String, _ field: String?) -> PanelAnswer {
            .page(
                pages.firstStart(
                    code: form["code"], name: form["name"], expired: !people.hasGoodCode, for: visit.viewer(Refusal(text: text, field: field))),
                status: .unprocessableContent)
        }
        if let wait = attempts.take(visit.peer) { return refused(visit.texts("error.tooManyAttempts", "\(wait.components.seconds + 1)"), nil) }
        guard form.raw("password") == form.raw("again") else {
            attempts.giveBack(visit.peer)
            return refused(visit.texts("error.passwordsDiffer"), "again")
        }
        let person: Person
        do throws(BrokerError) {
            person = try await people.begin(code: form["code"], name: form["name"], password: form.raw("password"))
        } catch {
            switch error {
            case .wordRefused:
                visit.logger.notice("first start refused", metadata: ["address": "\(visit.peer)"])
                return refused(visit.texts(people.hasGoodCode ? "error.codeWrong" : "error.codeExpired"), "code")
            case .invalid(let field, _, _):
                attempts.giveBack(visit.peer)
                return refused(text(ofInvalid: field, form["name"], form.raw("password"), visit), field)
            default: throw error
            }
        }
        attempts.giveBack(visit.peer)
        await note(visit, "first-start", person.name, by: person.name)
        await takeInShippedImage(visit, by: person)
        return try await enter(person, visit, to: "/")
    }

    /// Desktops are made from an image, and one came with the server: it is taken in without anybody asking for it. Where it cannot be, the page of
    /// images says why.
    private func takeInShippedImage(_ visit: Visit, by person: Person) async {
        do {
            guard try await administration.images().isEmpty, FileManager.default.fileExists(atPath: shippedImage + "/image.json") else { return }
            try takeIn(shippedImage)
            await note(visit, "image-add", shippedImage, by: person.name)
        } catch {
            visit.logger.warning("the image that came with the server is not taken in", metadata: ["error": "\(error)"])
        }
    }

    // MARK: Signing in and out

    func showSignIn(_ visit: Visit) async throws -> PanelAnswer {
        guard visit.person == nil else { return .redirect(Self.ownPath(visit.form["back"])) }
        return withFormCookie(visit) { pages.signIn(name: "", back: Self.ownPath(visit.form["back"]), for: $0) }
    }

    func signIn(_ visit: Visit) async throws -> PanelAnswer {
        let (name, back) = (visit.form["name"], Self.ownPath(visit.form["back"]))
        func refused(_ text: String, _ status: HTTPResponse.Status) -> PanelAnswer {
            .page(pages.signIn(name: name, back: back, for: visit.viewer(Refusal(text: text, field: "password"))), status: status)
        }
        if let wait = attempts.take(visit.peer) {
            return refused(visit.texts("error.tooManyAttempts", "\(wait.components.seconds + 1)"), .tooManyRequests)
        }
        guard let person = try await people.person(named: name, password: visit.form.raw("password")) else {
            visit.logger.notice("sign-in refused", metadata: ["address": "\(visit.peer)"])
            if failuresNoted.take(visit.peer) == nil { await note(visit, "sign-in-failed", String(name.prefix(40)), by: "") }
            return refused(visit.texts("error.wrongPassword"), .unprocessableContent)
        }
        attempts.giveBack(visit.peer)
        await note(visit, "sign-in", person.name, by: person.name)
        return try await enter(person, visit, to: back)
    }

    /// Signs in with a token that nobody had before, whatever the browser brought along.
    private func enter(_ person: Person, _ visit: Visit, to path: String) async throws -> PanelAnswer {
        if let former = visit.token { try await people.signOut(former) }
        let token = try await people.signIn(person)
        var response = Self.redirect(to: path)
        response.setCookie(PanelCookie.cookie(PanelCookie.token, token.text))
        return .whole(response)
    }

    func signOut(_ visit: Visit) async throws -> PanelAnswer {
        if let token = visit.token { try await people.signOut(token) }
        await note(visit, "sign-out", visit.person?.name ?? "")
        return Self.gone()
    }

    func signOutEverywhere(_ visit: Visit) async throws -> PanelAnswer {
        if let person = visit.person { try await people.signOutEverywhere(person) }
        await note(visit, "sign-out-everywhere", visit.person?.name ?? "")
        return Self.gone()
    }

    private static func gone() -> PanelAnswer {
        var response = redirect(to: "/sign-in")
        response.setCookie(PanelCookie.cookie(PanelCookie.token, "", seconds: 0))
        return .whole(response)
    }

    /// A page with a form for who is not signed in: the form carries what only this browser's cookie knows.
    private func withFormCookie(_ visit: Visit, _ page: (Viewer) -> String) -> PanelAnswer {
        guard visit.token == nil else { return .page(page(visit.viewer())) }
        let token = Token()
        let viewer = Viewer(person: nil, texts: visit.texts, csrf: Visit.csrf(of: token), path: visit.request.uri.path)
        var response = Self.page(page(viewer))
        response.setCookie(PanelCookie.cookie(PanelCookie.token, token.text))
        return .whole(response)
    }

    // MARK: People

    func showSettings(_ visit: Visit) async throws -> PanelAnswer { .page(try await settings(visit, visit.viewer())) }

    private func settings(
        _ visit: Visit, _ viewer: Viewer, draft: (name: String, role: String)? = nil, token: Token? = nil
    ) async throws -> String {
        var tokens: [APITokenRecord] = []
        if let person = visit.person, visit.isAdministrator { tokens = try await people.tokens(of: person) }
        return pages.settings(
            Pages.SettingsView(
                people: visit.isAdministrator ? try await people.people() : [], labs: try await administration.room().labs, tokens: tokens,
                newToken: token?.text, fingerprint: certificateFingerprint, pin: enrolment.pin, given: certificate.given, draft: draft), for: viewer)
    }

    func giveCertificate(_ visit: Visit) async throws -> PanelAnswer {
        do {
            let given = try Untrusted.certificate(chain: visit.form.raw("chain"), key: visit.form.raw("key"))
            try certificate.take(given)
            await note(visit, "certificate-give", given.names)
        } catch {
            return .page(try await settings(visit, visit.viewer(try refusal(error, visit))), status: .unprocessableContent)
        }
        return .redirect("/settings", done: "certificateGiven")
    }

    func removeCertificate(_ visit: Visit) async throws -> PanelAnswer {
        try certificate.remove()
        await note(visit, "certificate-remove", "")
        return .redirect("/settings", done: "certificateRemoved")
    }

    /// Makes a token for programs and shows it, this once.
    func addToken(_ visit: Visit) async throws -> PanelAnswer {
        guard let person = visit.person else { throw HTTPError(.unauthorized) }
        let form = visit.form
        do {
            let days = try PanelField.whole(form["days"], "days")
            guard (1...366).contains(days) else { throw Problem.invalid("days", value: "\(days)", remedy: Declined.useRange(1, 366)) }
            let token = try await people.addToken(
                form["name"], for: person, mayChange: form["scope"] == "change", lifetime: .seconds(days * 86_400))
            await note(visit, "token-add", form["name"], form["scope"] == "change" ? "change" : "read")
            return .page(try await settings(visit, visit.viewer(), token: token))
        } catch {
            return .page(try await settings(visit, visit.viewer(try refusal(error, visit))), status: .unprocessableContent)
        }
    }

    func removeToken(_ visit: Visit) async throws -> PanelAnswer {
        guard let person = visit.person, let id = Int64(try visit.parameter("id")),
            let token = try await people.tokens(of: person).first(where: { $0.id == id })
        else { throw HTTPError(.notFound) }
        try await people.removeToken(id, of: person)
        await note(visit, "token-remove", token.name)
        return .redirect("/settings", done: "tokenRemoved")
    }

    func addPerson(_ visit: Visit) async throws -> PanelAnswer {
        let form = visit.form
        do throws(BrokerError) {
            guard let role = Role(rawValue: form["role"]) else { throw .invalid(field: "role", value: "", remedy: Declined.chooseOne()) }
            let person = try await people.add(form["name"], role: role, labs: form.all("lab"), password: form.raw("password"))
            await note(visit, "person-add", person.name, role.rawValue)
        } catch {
            var refusal = try refusal(error, visit)
            if case .invalid(let field, _, _) = error {
                refusal = Refusal(text: text(ofInvalid: field, form["name"], form.raw("password"), visit), field: field)
            }
            return .page(
                try await settings(visit, visit.viewer(refusal), draft: (form["name"], form["role"])), status: .unprocessableContent)
        }
        return .redirect("/settings", done: "personAdded")
    }

    func removePerson(_ visit: Visit) async throws -> PanelAnswer {
        let id = try visit.parameter("id")
        guard let person = try await people.people().first(where: { "\($0.id)" == id }) else { throw HTTPError(.notFound) }
        do throws(BrokerError) {
            try await people.remove(person.name)
        } catch {
            guard case .inUse = error else { throw error }
            return .page(
                try await settings(visit, visit.viewer(Refusal(text: visit.texts("error.lastAdministrator")))), status: .conflict)
        }
        await note(visit, "person-remove", person.name)
        return .redirect("/settings", done: "personRemoved")
    }

    func changePassword(_ visit: Visit) async throws -> PanelAnswer {
        guard let person = visit.person, let token = visit.token else { throw HTTPError(.unauthorized) }
        let form = visit.form
        func refused(_ text: String, _ field: String) async throws -> PanelAnswer {
            .page(try await settings(visit, visit.viewer(Refusal(text: text, field: field))), status: .unprocessableContent)
        }
        if let wait = attempts.take(visit.peer) {
            return try await refused(visit.texts("error.tooManyAttempts", "\(wait.components.seconds + 1)"), "old")
        }
        guard form.raw("new") == form.raw("again") else {
            attempts.giveBack(visit.peer)
            return try await refused(visit.texts("error.passwordsDiffer"), "again")
        }
        do throws(BrokerError) {
            try await people.changePassword(of: person, from: form.raw("old"), to: form.raw("new"), keeping: token)
        } catch {
            switch error {
            case .wordRefused: return try await refused(visit.texts("error.wrongPassword"), "old")
            case .invalid(let field, _, _):
                attempts.giveBack(visit.peer)
                return try await refused(text(ofInvalid: field, person.name, form.raw("new"), visit), "new")
            default: throw error
            }
        }
        attempts.giveBack(visit.peer)
        await note(visit, "password-change", person.name)
        return .redirect("/settings", done: "passwordChanged")
    }

    private func text(ofInvalid field: String, _ name: String, _ password: String, _ visit: Visit) -> String {
        switch field {
        case "password" where password.lowercased() == name.lowercased(): visit.texts("error.passwordIsName")
        case "password": visit.texts("error.passwordShort", "\(PeopleRegistry.shortestPassword)")
        default: visit.texts("error.nameForPerson")
        }
    }

    // MARK: The journal

    func showJournal(_ visit: Visit) async throws -> PanelAnswer {
        let entries = try await people.journal(before: Int64(visit.form["before"]), limit: 101)
        return .page(pages.journal(Array(entries.prefix(100)), older: entries.count > 100, for: visit.viewer()))
    }
}
