import ControlPanel
import DesktopModel
import HTTPTypes
import Hummingbird
import Identity
import Logging

/// A browser's request, with the address that it came from.
struct PanelContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let peer: PeerAddress

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = PeerAddress(source.channel.remoteAddress)
    }
}

/// Who may use a route of the panel.
enum PanelAccess: Sendable {
    case anyone
    /// Who signed in; a teacher sees what belongs to their labs.
    case signedIn
    case administrator
}

/// One request to the panel: who asks, and what they sent.
struct Visit: Sendable {
    let request: Request
    let parameters: Parameters
    let peer: PeerAddress
    let logger: Logger
    /// What the browser's cookie holds: of who signed in, or of a form before that.
    let token: Token?
    let person: Person?
    let texts: Texts
    /// The form that was posted, or the query of what was asked for.
    let form: Form

    /// What a form must carry; only who can read the pages that this browser is sent knows it.
    var csrf: String { token.map { Self.csrf(of: $0) } ?? "" }

    static func csrf(of token: Token) -> String { Hex.text(of: Digest.sha256("punnet form " + token.text)) }

    /// Whether the person may see what belongs to a lab.
    func mayWatch(_ lab: LabID) -> Bool { person?.mayWatch(lab) ?? false }

    var isAdministrator: Bool { person?.role == .administrator }

    /// - Parameter refusal: What of the form could not be.
    func viewer(_ refusal: Refusal? = nil) -> Viewer {
        Viewer(
            person: person, texts: texts, csrf: csrf, path: request.uri.path, notice: refusal == nil ? form["done"] : nil, refusal: refusal)
    }

    /// The part of the address that a route names.
    func parameter(_ name: String) throws -> String { try parameters.require(name) }
}

/// What the panel answers.
enum PanelAnswer: Sendable {
    case page(String, status: HTTPResponse.Status = .ok)
    /// To another page of the panel; `done` is a key of the texts' section `notice`.
    case redirect(String, done: String? = nil)
    case whole(Response)
}

/// The cookies of the panel. `__Host-`: browsers send them to this appliance alone, over TLS alone, and no other page can lay them.
enum PanelCookie {
    static let token = "__Host-punnet"
    static let language = "__Host-punnet-language"

    /// Until the browser is closed, where no seconds are named; a sign-in ends by itself before. No script reads it.
    static func cookie(_ name: String, _ value: String, seconds: Int? = nil) -> Cookie {
        Cookie(name: name, value: value, maxAge: seconds, path: "/", secure: true, httpOnly: true, sameSite: .lax)
    }
}
