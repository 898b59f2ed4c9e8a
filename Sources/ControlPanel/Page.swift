import Broker
import ControlAPI
import DesktopModel
import Foundation

/// What a template is given: texts, numbers, truths, lists of fields. What is not known is ``none``, so that an outer field of that name is not
/// taken for it.
public typealias Fields = [String: Any]

/// A value that is not known.
func known(_ value: Any?) -> Any { value ?? NSNull() }

/// What was refused, and at which field.
public struct Refusal: Sendable {
    public let text: String
    public let field: String?
    public let remedy: String?
    public init(text: String, field: String? = nil, remedy: String? = nil) {
        self.text = text
        self.field = field
        self.remedy = remedy
    }
}

/// Who looks at the panel, and how.
public struct Viewer: Sendable {
    public let person: Person?
    public let texts: Texts
    /// What a form must carry.
    public let csrf: String
    /// The page's own address.
    public let path: String
    /// A key of the texts' section `notice`: what was just done.
    public var notice: String?
    public var refusal: Refusal?

    public init(person: Person?, texts: Texts, csrf: String, path: String, notice: String? = nil, refusal: Refusal? = nil) {
        self.person = person
        self.texts = texts
        self.csrf = csrf
        self.path = path
        self.notice = notice
        self.refusal = refusal
    }

    public var isAdministrator: Bool { person?.role == .administrator }
}

/// Makes pages: from what the broker says to HTML. Any task.
public struct Pages: Sendable {
    public let files: PanelFiles
    let isSimulated: Bool
    let version: String

    public init(files: PanelFiles, isSimulated: Bool, version: String) {
        self.files = files
        self.isSimulated = isSimulated
        self.version = version
    }

    /// The pages of the navigation, in order, with who sees them.
    private static let navigation: [(word: String, path: String, forAll: Bool)] = [
        ("room", "/", true), ("labs", "/labs", true), ("desktops", "/desktops", true), ("seats", "/seats", true), ("sessions", "/sessions", true),
        ("images", "/images", false), ("journal", "/journal", false), ("settings", "/settings", true),
    ]

    /// A page as HTML.
    /// - Parameters:
    ///   - word: The page's word in the texts; of the navigation's pages, the one that it belongs to is `under`.
    func html(_ template: String, _ word: String, under section: String? = nil, for viewer: Viewer, _ fields: Fields) -> String {
        var all = fields
        let texts = viewer.texts
        all["lang"] = texts.language.rawValue
        all["t"] = texts.nested
        all["title"] = fields["title"] ?? texts("title.\(word)")
        all["page"] = word
        all["nav"] =
            viewer.person == nil
            ? []
            : Self.navigation.filter { $0.forAll || viewer.isAdministrator }.map { entry -> Fields in
                ["href": entry.path, "label": texts("nav.\(entry.word)"), "icon": entry.word, "isCurrent": entry.word == (section ?? word)]
            }
        all["person"] = known(viewer.person.map { ["name": $0.name, "isAdministrator": $0.role == .administrator] as Fields })
        all["isAdministrator"] = viewer.isAdministrator
        all["csrf"] = viewer.csrf
        all["path"] = viewer.path
        all["notice"] = known(viewer.notice.flatMap { texts.has("notice.\($0)") ? ["text": texts("notice.\($0)")] as Fields : nil })
        all["error"] = known(
            viewer.refusal.map { ["text": $0.text, "field": known($0.field), "remedy": known($0.remedy)] as Fields })
        all["languages"] = Language.allCases.map { language -> Fields in
            ["code": language.rawValue, "name": language.name, "isCurrent": language == texts.language]
        }
        all["isSimulated"] = isSimulated
        all["version"] = version
        return marked(files.render(template, all), viewer.refusal?.field)
    }

    /// The page with the field marked that was refused; where more than one form has a field of that name, none is.
    private func marked(_ page: String, _ field: String?) -> String {
        guard let field else { return page }
        let fields = page.ranges(of: " name=\"\(field)\"")
        guard fields.count == 1 else { return page }
        var page = page
        page.insert(contentsOf: " aria-invalid=\"true\" aria-errormessage=\"refused\"", at: fields[0].upperBound)
        return page
    }

    // MARK: Words that many pages need

    func hardware(_ profile: Profile, _ texts: Texts) -> String {
        texts("pattern.hardware", "\(profile.vcpus)", "\(profile.memory)")
    }

    /// The states of a pool with how many desktops are in each, those that matter first.
    func counts(_ desktops: [String: Int], _ texts: Texts) -> [Fields] {
        ["ready", "leased", "preparing", "retiring", "quarantined", "empty"].map { word in
            let count = desktops[word, default: 0]
            return ["state": word, "label": texts("state.desktop.\(word)"), "count": count, "isZero": count == 0]
        }
    }

    /// Fields for a moment: for programs, and for people.
    func moment(_ name: String, _ seconds: CalendarSeconds?) -> Fields {
        guard let seconds else { return [name: NSNull(), name + "Text": NSNull()] }
        return [name: Moment(seconds: seconds).description, name + "Text": LocalTime.text(seconds)]
    }
}

/// Names as people order them: `table-2` before `table-10`.
struct NameOrder: Comparable {
    private let word: Substring
    private let number: Int
    private let whole: String

    init(_ name: String) {
        let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
        word = name.dropLast(digits)
        number = Int(name.suffix(digits)) ?? 0
        whole = name
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.word, left.number, left.whole) < (right.word, right.number, right.whole)
    }
}

/// Times as the server's clock on the wall shows them.
enum LocalTime {
    /// `2026-03-02`
    static func day(_ seconds: CalendarSeconds) -> String {
        let then = parts(seconds)
        return "\(then.tm_year + 1900)-\(two(then.tm_mon + 1))-\(two(then.tm_mday))"
    }

    /// `10:15`, and with the date where it is not today's: `2026-03-02 10:15`.
    static func text(_ seconds: CalendarSeconds, now: CalendarSeconds = CalendarSeconds(Date().timeIntervalSince1970)) -> String {
        let (then, today) = (parts(seconds), parts(now))
        let time = two(then.tm_hour) + ":" + two(then.tm_min)
        guard then.tm_year != today.tm_year || then.tm_yday != today.tm_yday else { return time }
        return "\(day(seconds)) \(time)"
    }

    private static func parts(_ seconds: CalendarSeconds) -> tm {
        var (seconds, parts) = (time_t(seconds), tm())
        localtime_r(&seconds, &parts)
        return parts
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
