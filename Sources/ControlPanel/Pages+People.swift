import Broker
import DesktopModel
import DesktopStore
import Identity

extension Pages {
    public func firstStart(code: String, name: String, expired: Bool, for viewer: Viewer) -> String {
        html("firstStart", "firstStart", for: viewer, ["form": ["code": code, "name": name] as Fields, "expired": expired])
    }

    /// - Parameter back: Where to go then.
    public func signIn(name: String, back: String, for viewer: Viewer) -> String {
        html("signIn", "signIn", for: viewer, ["form": ["name": name] as Fields, "back": back])
    }

    /// A page for what is not there, not allowed or went wrong.
    public func problem(title: String, text: String, remedy: String?, for viewer: Viewer) -> String {
        html("problem", "problem", for: viewer, ["title": title, "text": text, "remedy": known(remedy)])
    }

    /// - Parameter older: Whether there is more before.
    public func sessions(_ sessions: [SessionReport], older: Bool, for viewer: Viewer) -> String {
        let texts = viewer.texts
        return html(
            "sessions", "sessions", for: viewer,
            [
                "isEmpty": sessions.isEmpty, "older": known(older ? sessions.last.map { "/sessions?before=\($0.id)" } : nil),
                "csvHref": "/sessions.csv",
                "sessions": sessions.map { session -> Fields in
                    let fields: Fields = [
                        "id": "\(session.id)", "seat": session.seat, "desktop": session.desktop, "seatHref": "/seats/\(session.seat)",
                        "desktopHref": "/desktops/\(session.desktop)", "isOpen": session.ended == nil, "isConnected": session.connected,
                        "canEnd": session.ended == nil, "lengthText": known(session.ended.map { Self.length($0 - session.began) }),
                        "reasonText": known(session.reason.map { texts("reason.\($0.rawValue)") }),
                    ]
                    return [moment("began", session.began), moment("ended", session.ended)].reduce(fields) { $0.merging($1) { _, last in last } }
                },
            ])
    }

    /// `1:05:09`
    static func length(_ seconds: CalendarSeconds) -> String {
        let all = max(0, seconds)
        let two = { (number: CalendarSeconds) in number < 10 ? "0\(number)" : "\(number)" }
        return "\(all / 3600):\(two(all / 60 % 60)):\(two(all % 60))"
    }

    public func journal(_ entries: [JournalEntry], older: Bool, for viewer: Viewer) -> String {
        let texts = viewer.texts
        return html(
            "journal", "journal", for: viewer,
            [
                "isEmpty": entries.isEmpty, "older": known(older ? entries.last.map { "/journal?before=\($0.id)" } : nil),
                "entries": entries.map { entry -> Fields in
                    [
                        "who": entry.who, "from": entry.origin,
                        "text": texts.has("journal.\(entry.action)") ? texts("journal.\(entry.action)", entry.subject, entry.detail) : entry.action,
                    ].merging(moment("at", entry.at)) { _, last in last }
                },
            ])
    }

    /// What the settings' page needs to know.
    public struct SettingsView: Sendable {
        public let people: [Person]
        public let labs: [LabReport]
        /// The viewer's tokens for programs.
        public let tokens: [APITokenRecord]
        /// A token that was just made: it is shown this once.
        public let newToken: String?
        /// SHA-256 of the certificate, as browsers show it.
        public let fingerprint: String
        /// SHA-256 of its key, as seats are told it.
        public let pin: String
        /// The certificate that was given for browsers; nil where none was.
        public let given: GivenCertificate?
        /// A name and a role that were refused.
        public let draft: (name: String, role: String)?

        public init(
            people: [Person], labs: [LabReport], tokens: [APITokenRecord], newToken: String? = nil, fingerprint: String, pin: String,
            given: GivenCertificate? = nil, draft: (name: String, role: String)? = nil
        ) {
            self.people = people
            self.labs = labs
            self.tokens = tokens
            self.newToken = newToken
            self.fingerprint = fingerprint
            self.pin = pin
            self.given = given
            self.draft = draft
        }
    }

    public func settings(_ view: SettingsView, for viewer: Viewer) -> String {
        let texts = viewer.texts
        let names = Dictionary(view.labs.map { ($0.lab.id, $0.lab.name) }, uniquingKeysWith: { first, _ in first })
        return html(
            "settings", "settings", for: viewer,
            [
                "people": view.people.map { person -> Fields in
                    [
                        "name": person.name, "roleLabel": texts("role.\(person.role.rawValue)"), "isSelf": person.id == viewer.person?.id,
                        "labs": known(person.labs.isEmpty ? nil : person.labs.compactMap { names[$0] }.sorted().joined(separator: ", ")),
                        "removeHref": "/panel/people/\(person.id)/remove",
                    ]
                },
                "labs": view.labs.map { ["name": $0.lab.name, "isChosen": false] as Fields },
                "roles": Role.allCases.map { role -> Fields in
                    ["value": role.rawValue, "label": texts("role.\(role.rawValue)"), "isChosen": role.rawValue == (view.draft?.role ?? Role.teacher.rawValue)]
                },
                "form": ["name": view.draft?.name ?? ""] as Fields, "isAdding": view.draft != nil,
                "newToken": known(view.newToken),
                "tokens": view.tokens.map { token -> Fields in
                    [
                        "name": token.name, "scopeLabel": texts(token.mayChange ? "settings.mayChange" : "settings.mayRead"),
                        "removeHref": "/panel/tokens/\(token.id)/remove",
                    ].merging(moment("ends", token.ends)) { _, last in last }
                },
                "certificate": ["fingerprint": view.fingerprint, "pin": view.pin] as Fields,
                "given": known(
                    view.given.map { given -> Fields in
                        ["names": given.names, "fingerprint": Hex.text(of: given.fingerprint, separator: ":")].merging(moment("ends", given.ends)) { _, last in last }
                    }),
            ])
    }
}
