import FoundationEssentials
import Identity
import Mustache

/// What of the panel lies in files: templates, texts, style sheet, script and picture. Read once, when punnetd starts.
///
/// They lie in `Sources/ControlPanel/Files`; the appliance has them in `/usr/share/punnet/panel`.
public struct PanelFiles: Sendable {
    /// A file that is sent as it is.
    public struct Static: Sendable {
        public let mediaType: String
        public let bytes: [UInt8]
        /// Changes with the file: a browser that has it asks no more.
        public let tag: String
    }

    /// By the last part of their address.
    public let statics: [String: Static]
    let texts: [Language: Texts]
    private let templates: MustacheLibrary

    /// Why the panel cannot be shown.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// The names of all templates.
    public static let templateNames = [
        "firstStart", "signIn", "room", "labs", "lab", "desktops", "desktop", "images", "image", "seats", "seat", "sessions", "figures", "journal",
        "settings", "api", "problem",
    ]

    /// - Parameter folder: An absolute path.
    public init(folder: String) async throws(Failure) {
        do {
            templates = try await MustacheLibrary(directory: folder + "/templates")
            var texts: [Language: Texts] = [:]
            for language in Language.allCases {
                func file(_ kind: String) throws -> Data { try Data(contentsOf: URL(filePath: "\(folder)/\(kind)/\(language.rawValue).json")) }
                texts[language] = try Texts(language, json: try file("texts"), said: language == .english ? nil : try file("said"))
            }
            self.texts = texts
            var statics: [String: Static] = [:]
            for (name, mediaType) in [
                "panel.css": "text/css; charset=utf-8", "panel.js": "text/javascript; charset=utf-8", "favicon.svg": "image/svg+xml",
            ] {
                let bytes = [UInt8](try Data(contentsOf: URL(filePath: "\(folder)/\(name)")))
                statics[name] = Static(mediaType: mediaType, bytes: bytes, tag: "\"" + Hex.text(of: Digest.sha256(bytes)) + "\"")
            }
            self.statics = statics
        } catch {
            throw Failure(description: "the panel's files in '\(folder)' cannot be read: \(error); install the package punnet anew")
        }
        for name in Self.templateNames where templates.getTemplate(named: name) == nil {
            throw Failure(description: "the panel's files in '\(folder)' have no template '\(name)'; install the package punnet anew")
        }
    }

    public func texts(_ language: Language) -> Texts {
        // `init` read one for each.
        texts[language]!
    }

    /// The page as HTML.
    func render(_ template: String, _ fields: Fields) -> String { templates.render(fields, withTemplate: template) ?? "" }
}
