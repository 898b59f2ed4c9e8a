import DesktopModel
import DesktopStore
import Foundation
import Hypervisor
import Testing

@testable import Broker
@testable import ControlPanel
@testable import ControlServer

/// What the broker and the server tell, as the panel's languages have it.
@Suite struct SentencesTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
    private let pages: Pages
    private let korean: Texts

    init() async throws {
        pages = Pages(files: try await PanelFiles(folder: Self.root + "/Sources/ControlPanel/Files"), isSimulated: false, version: "test")
        korean = pages.files.texts(.korean)
    }

    // MARK: The phrases

    /// All that have texts in the catalogues.
    private static let phrases: [any Phrases.Type] = [
        Told.self, Cause.self, Refused.self, Named.self, Declined.self, HypervisorError.Said.self, StoreError.Said.self,
    ]

    private static let all = Set(phrases.flatMap { english(of: $0) })
    private static func english<Kind: Phrases>(of kind: Kind.Type) -> [String] { kind.allCases.map(\.rawValue) }

    private static func gaps(_ text: String) -> Set<Substring> { Set(text.matches(of: /\{[0-9]+\}/).map(\.output)) }

    /// Three words of English after one another.
    private static func english(in text: String) -> [String] { text.matches(of: /[A-Za-z]+(?: [A-Za-z]+){2,}/).map { String($0.output) } }

    /// The sources of these folders, below them too.
    private static func sources(_ folders: String...) throws -> [String] {
        try folders.flatMap { folder in
            try FileManager.default.subpathsOfDirectory(atPath: "\(root)/\(folder)").filter { $0.hasSuffix(".swift") }.map {
                try String(contentsOfFile: "\(root)/\(folder)/\($0)", encoding: .utf8)
            }
        }
    }

    @Test func everyPhraseHasAKoreanTextWithTheSameGaps() {
        for phrase in Self.all {
            let text = korean.phrases.contains(phrase) ? korean(.said(phrase, [])) : ""
            #expect(!text.isEmpty, "no Korean for '\(phrase)'")
            #expect(Self.gaps(text) == Self.gaps(phrase), "'\(phrase)': '\(text)'")
            #expect(Self.english(in: text) == [], "'\(phrase)': '\(text)'")
            #expect(text.contains(/[가-힣]/) || text.replacing(/[{}0-9, ]/, with: "").isEmpty, "'\(phrase)': '\(text)'")
        }
        #expect(Self.all.count > 200)
    }

    @Test func noTextIsOfAPhraseThatNobodyTells() {
        #expect(korean.phrases.subtracting(Self.all) == [])
    }

    @Test func thePhrasesOfAllSourcesAreAskedFor() throws {
        var found: [String] = []
        for source in try Self.sources("Sources") { found += source.matches(of: /enum ([A-Za-z]+): String, Phrases/).map { String($0.1) } }
        #expect(found.sorted() == Self.phrases.map { "\($0)" }.sorted())
    }

    @Test func fieldsThatAreRefusedHaveAName() throws {
        // As they stand in an image's description or in a program's request.
        let everywhere: Set = [
            "image.json", "boot", "guest", "commandLine", "account.user", "account.password", "sha256.disk", "drawn", "commitment", "bootID", "asLab",
            "reason", "Idempotency-Key",
        ]
        var named: Set<String> = []
        for source in try Self.sources("Sources/Broker", "Sources/ControlServer") {
            for field in source.matches(of: /\.invalid\(\s*(?:field: )?"([A-Za-z0-9 .-]+)"/) { named.insert(String(field.1)) }
            for field in source.matches(of: /PanelField\.[a-z]+\([a-zA-Z.]+(?:\["[a-z]+"\])?, "([A-Za-z]+)"\)/) { named.insert(String(field.1)) }
        }
        #expect(named.isSuperset(of: ["size", "least ready", "leastReady", "graceSeconds", "days"]))
        #expect(named.subtracting(everywhere).subtracting(Named.allCases.map(\.rawValue)) == [])
    }

    // MARK: A desktop

    private static let image = ImageVersion(
        id: ImageVersionID(rawValue: 1), image: "debian-desktop", version: 1, boot: .pv, disk: "/d", kernel: "/k", ramdisk: "/r", blankOverlay: "/b",
        commandLine: "", account: Account(user: "student", password: "secret"), checksum: String(repeating: "a", count: 64), diskSize: .gibibytes(4),
        minimumMemory: .mebibytes(256), hasGuest: true)

    /// What the page of a desktop in this state says, and what is told of it beside that; in a room that was measured.
    private func page(_ state: DesktopState, _ language: Language, failure: Failure? = nil, _ change: (inout Work) -> Void = { _ in }) throws -> String {
        let plan = AddressPlan(subnet: try #require(IPv4Subnet("10.88.0.0/24")))
        let lab = Lab(
            id: LabID(rawValue: 1), name: "room", image: Self.image.id, profile: Profile(vcpus: 1, memory: .gibibytes(1)), size: 3,
            grace: .seconds(60), afterSession: .claimAgain)
        let desktop = Desktop(
            id: DesktopID(rawValue: 1), lab: lab.id, number: 1, name: "room-1", place: Place(rawValue: 1), generation: Generation(rawValue: 4), state: state,
            image: Self.image.id, profile: lab.profile, failure: failure)
        var room = Room(installation: 1, settings: BrokerSettings(), addresses: plan, now: Instant(sinceStart: .seconds(60)))
        room.images[Self.image.id] = Self.image
        room.labs[lab.id] = lab
        room.desktops[desktop.id] = desktop
        var work = Work()
        change(&work)
        room.works[desktop.id] = work
        room.capacity = Capacity(
            total: .gibibytes(4), memory: .gibibytes(2), controlMemory: .gibibytes(1), disk: .gibibytes(50), diskTotal: .gibibytes(60),
            diskFree: .gibibytes(50))
        let told = room.explanation(of: desktop)
        var cause: Sentence?
        if case .quarantined(let why, _) = state { cause = why }
        let report = DesktopReport(
            name: desktop.name, lab: lab.name, state: state, generation: desktop.generation, profile: lab.profile, hasOwnProfile: false, isSetAside: false,
            address: "10.88.0.11", since: nil, explanation: room.note(on: desktop))
        let explanation = DesktopExplanation(
            desktop: report, meaning: told.meaning, present: told.present, deadline: nil, next: told.next, nextAt: nil, done: [], cause: cause,
            failure: failure, remedies: told.remedies)
        let person = Person(id: PersonID(rawValue: 1), name: "ada", role: .administrator, labs: [])
        let viewer = Viewer(person: person, texts: pages.files.texts(language), csrf: "", path: "/desktops/room-1")
        let page = pages.desktop(explanation, session: nil, hardware: nil, consequences: nil, for: viewer)
        let beside = (told.remedies + [report.explanation].compactMap(\.self)).map { viewer.texts($0) }.joined(separator: "\n")
        return page.replacing(/<(svg|style|head)[\s\S]*?<\/\1>|<[^>]*>/, with: "\n").replacing("&#39;", with: "'") + beside
    }

    private static let finding = Cause.nothingListens("10.88.0.11", 3389)

    @Test func oneThatIsBeingMadeIsExplainedInKorean() throws {
        let page = try page(.preparing(.readiness), .korean) { $0.finding = Self.finding }
        #expect(page.contains("만들고 있습니다. 5단계 가운데 4단계입니다."))
        #expect(
            page.contains(
                "부팅하고 있습니다. RDP는 아직 응답하지 않습니다. (10.88.0.11에 켜져 있지만 포트 3389에서 기다리는 것이 없습니다. 데스크톱의 RDP 서버가 시작되지 않습니다.)"))
        #expect(page.contains("이 단계가 420초 안에 끝나지 않으면"))
        #expect(Self.english(in: page) == [])
        #expect(try self.page(.preparing(.readiness), .english) { $0.finding = Self.finding }.contains("it boots; RDP does not answer yet (it is up at"))
    }

    @Test func oneInQuarantineIsExplainedInKoreanAndWhatXenSaidStays() throws {
        let refused = HypervisorError.failed(call: "libxl_domain_create_new", code: -3, detail: "no such file")
        let plan = DomainPlan(
            uuid: DomainUUID(installation: 1, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 4)), name: "room-1-g4", boot: .pv,
            kernel: "/k", ramdisk: "/r", commandLine: "", profile: Profile(vcpus: 1, memory: .gibibytes(1)), overlay: "/o",
            mac: MACAddress(bytes: [0, 0x16, 0x3e, 0, 0, 1]), address: try #require(IPv4Address("10.88.0.11")))
        let cause = Step.build(plan).cause(of: refused)
        let failure = Failure(count: 3, generation: Generation(rawValue: 4), step: .domain, cause: cause)
        let page = try page(.quarantined(cause: cause, holding: false), .korean, failure: failure)
        #expect(page.contains("만들지 못했습니다. (이어진 실패 3번) 남아 있는 것이 없고, 서버 자원도 쓰지 않습니다."))
        #expect(page.contains("가상 머신 생성에 실패했습니다(libxl_domain_create_new에서 오류 -3: no such file)."))
        #expect(Set(Self.english(in: page)) == ["no such file"])
    }

    @Test func oneThatIsEmptyIsExplainedInKorean() throws {
        let needed = Told.lacksMemory(ByteCount.mebibytes(1035), ByteCount.mebibytes(512), ByteCount.gibibytes(2))
        let page = try page(.empty, .korean) { $0.hindrance = .doesNotFit(needed) }
        #expect(page.contains("비어 있습니다. 가상 머신도 디스크도 없습니다."))
        #expect(page.contains("지금은 서버에 자리가 모자랍니다: 필요한 메모리는 1 GiB인데, 전체 2 GiB 중에서 아직 배정하지 않은 메모리는 512 MiB입니다."))
        #expect(Self.english(in: page) == [])
    }

    @Test(arguments: PreparationStep.allCases.map { DesktopState.preparing($0) } + [.empty, .ready, .leased(SessionID(rawValue: 7)), .retiring])
    func noStateIsExplainedInEnglish(_ state: DesktopState) throws {
        let failure = Failure(count: 1, generation: Generation(rawValue: 4), step: .readiness, cause: Cause.noAnswer(Duration.seconds(420).text))
        #expect(Self.english(in: try page(state, .korean, failure: failure)) == [])
        #expect(Self.english(in: try page(state, .korean) { $0.hindrance = .checkpointFirst(byDesktop: "room-2") }) == [])
    }
}
