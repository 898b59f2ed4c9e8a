import Broker
import DesktopModel
import Foundation
import Testing

@testable import ControlPanel

/// The panel's texts: what one language has, the other has, and what is asked for is there.
@Suite struct TextsTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    private static let folder = root + "/Sources/ControlPanel/Files"
    private let files: PanelFiles

    init() async throws { files = try await PanelFiles(folder: Self.folder) }

    @Test func bothLanguagesHaveTheSameTextsWithTheSameGaps() {
        let (english, korean) = (files.texts(.english), files.texts(.korean))
        #expect(english.keys.subtracting(korean.keys) == [])
        #expect(korean.keys.subtracting(english.keys) == [])
        for key in english.keys.intersection(korean.keys) {
            let gaps = [english(key), korean(key)].map { Set($0.matches(of: /\{[0-9]\}/).map { String($0.output) }) }
            #expect(gaps[0] == gaps[1], "\(key)")
            #expect(!english(key).isEmpty && !korean(key).isEmpty, "\(key)")
        }
    }

    @Test func koreanIsKorean() {
        let korean = files.texts(.korean)
        let same = korean.keys.filter { korean($0) == files.texts(.english)($0) && korean($0).contains { $0.isLetter } }
        // Names of things that are the same everywhere.
        #expect(same.allSatisfy { korean($0).count <= 12 }, "\(same.sorted())")
    }

    @Test func everyTextThatATemplateNamesIsThereAndNothingIsPutInRaw() throws {
        let templates = try FileManager.default.contentsOfDirectory(atPath: Self.folder + "/templates")
        #expect(templates.count >= PanelFiles.templateNames.count)
        for name in templates {
            let text = try String(contentsOfFile: "\(Self.folder)/templates/\(name)", encoding: .utf8)
            #expect(!text.contains("{{{") && !text.contains("{{&"), "\(name) puts something in as it is")
            #expect(text.firstMatch(of: /<style|<script(?![^>]* src=)| style=| on[a-z]+=/) == nil, "\(name) has style or script of its own")
            for found in text.matches(of: /\{\{[#^]?\s*t\.([A-Za-z0-9.-]+)\s*\}\}/) {
                #expect(files.texts(.english).has(String(found.1)), "\(name): \(found.1)")
            }
        }
    }

    @Test func everyTextThatTheCodeNamesIsThere() throws {
        let texts = files.texts(.english)
        var named: Set<String> = []
        for folder in ["Sources/ControlPanel", "Sources/ControlServer", "Sources/ControlServer/Panel"] {
            let path = Self.root + "/" + folder
            for name in try FileManager.default.contentsOfDirectory(atPath: path) where name.hasSuffix(".swift") {
                let text = try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
                for found in text.matches(of: /texts\("([A-Za-z]+\.[A-Za-z0-9.-]+)"/) { named.insert(String(found.1)) }
                for found in text.matches(of: /done: "([A-Za-z]+)"/) { named.insert("notice.\(found.1)") }
                for found in text.matches(of: /note\(\s*(?:visit|context), "([a-z-]+)"/) { named.insert("journal.\(found.1)") }
            }
        }
        for state in ["empty", "preparing", "ready", "leased", "retiring", "quarantined"] { named.insert("state.desktop.\(state)") }
        for state in SeatState.allCases { named.insert("state.seat.\(state.rawValue)") }
        for step in PreparationStep.allCases { named.insert("step.\(step.rawValue)") }
        for reason in EndReason.allCases { named.insert("reason.\(reason.rawValue)") }
        for after in AfterSession.allCases { named.insert("after.\(after.rawValue)") }
        for role in Role.allCases { named.insert("role.\(role.rawValue)") }
        for step in ["image", "lab", "seat"] { named.formUnion(["next.\(step)", "next.\(step)Label"]) }
        for warning in SeatHealth.Warning.allCases { named.insert("warning.\(warning.rawValue)") }
        for fact in ["model", "version", "screen", "temperature", "memory", "uptime"] { named.insert("health.\(fact)") }
        named.insert("step.removal")
        for figure in ["handOuts", "emptyClaims", "wait", "made", "quarantines"] { named.insert("figures.\(figure)") }
        for order in ["message", "identify", "restart", "shut-down"] { named.insert("journal.seat-\(order)") }
        for gauge in ["memory", "disk"] { named.insert("gauge.\(gauge)") }
        for page in PanelFiles.templateNames where !["lab", "desktop", "seat", "problem"].contains(page) { named.insert("title.\(page)") }
        for page in ["room", "labs", "desktops", "seats", "sessions", "images", "journal", "settings"] { named.insert("nav.\(page)") }
        #expect(named.count > 60)
        #expect(named.filter { !texts.has($0) }.sorted() == [])
    }

    @Test(arguments: [
        (nil, Language.english), ("ko", .korean), ("ko-KR,ko;q=0.9,en;q=0.8", .korean), ("fr,ko;q=0.5", .korean), ("de, en-GB", .english),
        (";;;,,,q=", .english),
    ]) func aBrowserSaysItsLanguage(_ header: String?, _ language: Language) { #expect(Language(acceptedBy: header) == language) }
}
