import ControlAPI
import HTTPTypes
import Hummingbird

/// Which part of a list is asked for: at most so many, those that come after one of them. What follows is named in the answer's header `Link`
/// (RFC 8288), so that a list stays a plain array.
struct ListPart<Place: Sendable>: Sendable {
    let limit: Int
    /// The last one that is known already; nil from the beginning.
    let after: Place?
}

/// The most that a list answers at once, and what it answers where no number is asked for.
enum ListLimit {
    static let most = 1000
    static let range = 1...most

    static func query(after: RouteQuery) -> [RouteQuery] { [.init("limit", "How many at most", range), after] }
    static let byName = query(after: .init("after", "Those that follow the one of this name", .name))
    static let byNumber = query(after: .init("before", "Those that are older than the one of this number", 1...Int.max))
}

extension ListPart<String> {
    init(byNameOf request: Request) throws(Problem) {
        let query = request.uri.queryParameters
        limit = try Untrusted.number(query["limit"], field: "limit", in: ListLimit.range, otherwise: ListLimit.most)
        after = try Untrusted.name(query["after"], field: "after")
    }

    /// This part of what is listed, in the order of names, as people count.
    func of<Item>(_ items: [Item], by name: (Item) -> String) -> (items: [Item], next: String?) {
        let sorted = items.map { (CountedName(name($0)), $0) }.sorted { $0.0 < $1.0 }
        let rest = after.map { after in sorted.filter { $0.0 > CountedName(after) } } ?? sorted
        return (rest.prefix(limit).map(\.1), rest.count > limit ? rest[limit - 1].0.text : nil)
    }
}

extension ListPart<Int64> {
    init(byNumberOf request: Request, usual: Int = ListLimit.most) throws(Problem) {
        let query = request.uri.queryParameters
        limit = try Untrusted.number(query["limit"], field: "limit", in: ListLimit.range, otherwise: usual)
        after = try query["before"].map { text throws(Problem) in
            Int64(try Untrusted.number(text, field: "before", in: 1...Int.max, otherwise: 1))
        }
    }

    /// Of one more than this part, as they were read, those that belong to it.
    func of<Item>(_ items: [Item], by number: (Item) -> Int64) -> (items: [Item], next: String?) {
        let part = Array(items.prefix(limit))
        return (part, items.count > limit ? part.last.map { "\(number($0))" } : nil)
    }
}

/// A name in the order in which people count: `pi-2` comes before `pi-10`.
struct CountedName: Comparable {
    let text: String
    private let stem: Substring
    private let number: Int

    init(_ text: String) {
        self.text = text
        let digits = text.reversed().prefix { $0.isASCII && $0.isNumber }.count
        number = Int(text.suffix(digits)) ?? -1
        stem = number < 0 ? text[...] : text.dropLast(digits)
    }

    static func < (one: Self, other: Self) -> Bool { (one.stem, one.number, one.text) < (other.stem, other.number, other.text) }
    static func == (one: Self, other: Self) -> Bool { one.text == other.text }
}

extension Response {
    /// A part of a list, and where the next one is: the same address with its filters, after this part's last.
    init(_ part: (items: [some Encodable], next: String?), of request: Request, filters: [String] = [], after: String = "after") throws {
        try self.init(part.items)
        guard let next = part.next else { return }
        let query = request.uri.queryParameters
        let kept = (["limit"] + filters).compactMap { name in query[name[...]].map { (name, String($0)) } } + [(after, next)]
        let written = kept.map { "\($0)=\(Self.escaped($1))" }.joined(separator: "&")
        headers[.link] = "<\(request.uri.path)?\(written)>; rel=\"next\""
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}

extension HTTPField.Name {
    static let link = Self("Link")!
}
