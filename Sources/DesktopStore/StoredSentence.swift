import DesktopModel
import Foundation

/// A sentence as a column keeps it, so that it can be told in any language also after a restart: in JSON, a string for a text from outside, and
/// `{"said":"…","with":[…]}` for a phrase, its English included, and its values. Another text is one that an earlier version wrote, in English.
struct StoredSentence: Codable {
    private enum Key: String, CodingKey {
        case said, with
    }

    let sentence: Sentence

    init(_ sentence: Sentence) { self.sentence = sentence }

    /// What a column holds.
    init(column text: String) {
        self = (try? JSONDecoder().decode(Self.self, from: Data(text.utf8))) ?? Self(.outside(text))
    }

    /// What the column is to hold.
    var column: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    init(from decoder: any Decoder) throws {
        if let text = try? decoder.singleValueContainer().decode(String.self) {
            sentence = .outside(text)
        } else {
            let phrase = try decoder.container(keyedBy: Key.self)
            sentence = .said(try phrase.decode(String.self, forKey: .said), try phrase.decode([Self].self, forKey: .with).map(\.sentence))
        }
    }

    func encode(to encoder: any Encoder) throws {
        switch sentence {
        case .outside(let text):
            var container = encoder.singleValueContainer()
            try container.encode(text)
        case .said(let phrase, let values):
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(phrase, forKey: .said)
            try container.encode(values.map(Self.init), forKey: .with)
        }
    }
}
