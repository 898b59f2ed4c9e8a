import DesktopModel
import FoundationEssentials
import Mustache

/// A language of the panel.
public enum Language: String, CaseIterable, Sendable {
    case english = "en"
    case korean = "ko"

    /// What it calls itself.
    public var name: String {
        switch self {
        case .english: "English"
        case .korean: "한국어"
        }
    }

    /// The first language of a browser's list that the panel has; English where it has none.
    /// - SeeAlso: RFC 9110, 12.5.4 Accept-Language. The order of the list is taken, its weights are not.
    public init(acceptedBy untrustedHeader: String?) {
        let wanted = (untrustedHeader ?? "").prefix(200).split(separator: ",").map { entry in
            entry.prefix { $0 != ";" && $0 != "-" }.filter { !$0.isWhitespace }.lowercased()
        }
        self = wanted.lazy.compactMap(Language.init(rawValue:)).first ?? .english
    }
}

/// The panel's texts in one language: `Files/texts/<language>.json`, sections within sections; and what others tell, `Files/said/<language>.json`, by its
/// English, which is with who tells it.
public struct Texts: Sendable {
    public let language: Language
    /// As the templates see them.
    let nested: Section
    /// By their whole keys, such as `state.seat.off`.
    private let byKey: [String: String]
    /// The phrases of sentences by their English; none in English.
    private let said: [String: String]

    /// A section's texts and the sections in it.
    struct Section: Decodable, Sendable, MustacheParent {
        private enum Entry: Decodable, Sendable {
            case text(String)
            case section(Section)

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let text = try? container.decode(String.self) { self = .text(text) } else { self = .section(try container.decode(Section.self)) }
            }
        }

        private let entries: [String: Entry]

        init(from decoder: any Decoder) throws { entries = try decoder.singleValueContainer().decode([String: Entry].self) }

        func child(named name: String) -> Any? {
            switch entries[name] {
            case .text(let text): text
            case .section(let section): section
            case nil: nil
            }
        }

        /// All texts of it with their whole keys.
        func all(under prefix: String = "") -> [(key: String, text: String)] {
            entries.flatMap { name, entry -> [(key: String, text: String)] in
                switch entry {
                case .text(let text): [(prefix + name, text)]
                case .section(let section): section.all(under: prefix + name + ".")
                }
            }
        }
    }

    init(_ language: Language, json: Data, said: Data?) throws {
        self.language = language
        self.said = try said.map { try JSONDecoder().decode([String: String].self, from: $0) } ?? [:]
        nested = try JSONDecoder().decode(Section.self, from: json)
        byKey = Dictionary(nested.all().map { ($0.key, $0.text) }, uniquingKeysWith: { first, _ in first })
    }

    /// The text of a key, with what stands for `{0}`, `{1}` in it. A key that is missing is shown as it is; a test finds it.
    public func callAsFunction(_ key: String, _ values: String...) -> String {
        byKey[key].map { Sentence.filled($0, values) } ?? key
    }

    /// A sentence in this language. A phrase that is missing is shown in English; a test finds it.
    public func callAsFunction(_ sentence: Sentence) -> String { sentence.text { said[$0] ?? $0 } }

    public func has(_ key: String) -> Bool { byKey[key] != nil }

    /// All keys.
    var keys: Set<String> { Set(byKey.keys) }
    /// All phrases that it has a text for.
    var phrases: Set<String> { Set(said.keys) }
}
