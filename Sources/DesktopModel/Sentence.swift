/// Something that is told to people: a phrase with what stands in its places, or a text from outside as it is.
///
/// Its English is `description`; the interface, the command line, the log and the journal have that. The panel has a text of its own for each phrase
/// in each other language. Two are the same that read the same in English.
public indirect enum Sentence: Sendable {
    /// What somebody else said, or a name, a number, an amount: the same in every language.
    case outside(String)
    /// A phrase, by its English with `{0}`, `{1}` … in the places of the values.
    case said(String, [Sentence])

    /// What went wrong, as the error itself tells it.
    public init(_ error: any Error) { self = (error as? any Telling)?.sentence ?? .outside("\(error)") }

    /// As it reads where a phrase has the text that the catalogue gives for it, its places included.
    public func text(by catalogue: (String) -> String) -> String {
        switch self {
        case .outside(let text): text
        case .said(let phrase, let values): Self.filled(catalogue(phrase), values.map { $0.text(by: catalogue) })
        }
    }

    /// The text with the values in its places. What of a value looks like a place stays as it is.
    public static func filled(_ text: String, _ values: [String]) -> String {
        var (filled, rest) = ("", text[...])
        while let opening = rest.firstIndex(of: "{") {
            filled += rest[..<opening]
            rest = rest[opening...]
            if let closing = rest.firstIndex(of: "}"), let place = Int(rest[rest.index(after: opening)..<closing]), values.indices.contains(place) {
                filled += values[place]
                rest = rest[rest.index(after: closing)...]
            } else {
                filled.append(rest.removeFirst())
            }
        }
        return filled + rest
    }
}

extension Sentence: CustomStringConvertible {
    /// In English.
    public var description: String { text { $0 } }
}

extension Sentence: Hashable {
    public static func == (left: Self, right: Self) -> Bool { left.description == right.description }
    public func hash(into hasher: inout Hasher) { hasher.combine(description) }
}

/// As the interface has it: its English.
extension Sentence: Codable {
    public init(from decoder: any Decoder) throws { self = .outside(try decoder.singleValueContainer().decode(String.self)) }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The phrases of one matter, each with its English. `Told.step(1, 5)` makes a sentence of one.
public protocol Phrases: RawRepresentable<String>, CaseIterable, Sendable {}

extension Phrases {
    /// The sentence with these values, as many as the phrase has places; those that are sentences stay so.
    public func callAsFunction(_ values: any CustomStringConvertible...) -> Sentence {
        assert(values.indices.allSatisfy { rawValue.contains("{\($0)}") } && !rawValue.contains("{\(values.count)}"), "'\(rawValue)' has other places")
        return .said(rawValue, values.map { $0 as? Sentence ?? .outside("\($0)") })
    }
}

/// An error that is told in any language; its description is English.
public protocol Telling: Error, CustomStringConvertible {
    var sentence: Sentence { get }
}

extension Telling {
    public var description: String { sentence.description }
}
