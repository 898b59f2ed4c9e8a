import ControlAPI
import DesktopModel
import Foundation
import Testing

@testable import Broker
@testable import ControlPanel
@testable import DesktopStore

/// Pages made of what a room could be, in both languages.
@Suite struct PagesTests {
    private let pages: Pages

    init() async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        pages = Pages(files: try await PanelFiles(folder: root + "/Sources/ControlPanel/Files"), isSimulated: true, version: "test")
    }

    // MARK: A room

    private static let bad = "<b onx=1>&\"'"

    private static func lab(_ name: String, id: Int64, desktops: [String: Int] = ["ready": 2, "leased": 1], waiting: Int = 0) -> LabReport {
        LabReport(
            lab: Lab(
                id: LabID(rawValue: id), name: name, image: ImageVersionID(rawValue: 1), profile: Profile(vcpus: 2, memory: .gibibytes(1)), size: 3,
                leastReady: 0, atOnce: 0, grace: .seconds(60), airing: .seconds(600), afterSession: .claimAgain),
            image: "debian-desktop-1", desktops: desktops, waiting: waiting)
    }

    private static func desktop(_ number: Int, of lab: String, _ state: DesktopState) -> DesktopReport {
        DesktopReport(
            name: "\(lab)-\(number)", lab: lab, state: state, generation: Generation(rawValue: 3), profile: Profile(vcpus: 2, memory: .gibibytes(1)),
            hasOwnProfile: number == 2, isSetAside: number == 3, address: "10.88.0.\(9 + number)", since: 1_772_439_300, explanation: nil)
    }

    private static let draft: SeatHealth.Draft = {
        var draft = SeatHealth.Draft()
        draft.model = bad
        draft.version = bad
        draft.throttledFlags = 0x5_0005
        return draft
    }()

    private static func seat(_ number: Int, of lab: String, session: Int64? = nil, connected: Bool = false, line: Int? = nil) -> SeatReport {
        SeatReport(
            id: SeatID(rawValue: Int64(number)), name: "pi-\(number)", lab: lab, enrolled: true, present: true, line: line,
            session: session.map(SessionID.init(rawValue:)), connected: connected, desktop: session == nil ? nil : "\(lab)-1",
            place: number == 1 ? TablePlace(column: 4, row: 2) : nil, health: try? SeatHealth(draft), healthAt: 1_772_439_300)
    }

    private static let join = SeatJoin(
        pin: "482913", words: ["apple", "river", "stone", "violin"],
        stranger: SeatStranger(untrustedModel: bad, untrustedVersion: bad, address: "10.0.0.9", counted: "10.0.0.9"), since: 1_772_439_300)

    private static func session(_ id: Int64, seat: String) -> SessionReport {
        SessionReport(
            id: SessionID(rawValue: id), seat: seat, desktop: "room-1", began: 1_772_439_300, ended: id == 1 ? nil : 1_772_443_000,
            reason: id == 1 ? nil : .logOff, connected: id == 1)
    }

    private static let states: [DesktopState] = [
        .ready, .leased(SessionID(rawValue: 1)), .preparing(.identity), .retiring, .quarantined(cause: .outside(bad), holding: false), .empty,
    ]

    private static func view(desktops: Int = 6, seats: Int = 4, troubles: [Sentence] = [.outside(bad)]) -> RoomView {
        RoomView(
            room: RoomReport(
                labs: [lab("room", id: 1, desktops: ["ready": 1, "leased": 1, "preparing": 1, "quarantined": 1], waiting: 1), lab("other", id: 2)],
                memory: .init(total: .gibibytes(64), forDesktops: .gibibytes(60), promised: .gibibytes(12)), diskFree: .gibibytes(100),
                diskTotal: .gibibytes(500), seatsPresent: seats, seats: seats, troubles: troubles),
            desktops: (1...max(1, desktops)).map { desktop($0, of: "room", states[($0 - 1) % states.count]) },
            seats: (1...max(1, seats)).map { number in
                number % 4 == 1
                    ? seat(number, of: "room", session: 1, connected: true)
                    : number % 4 == 2 ? seat(number, of: "room", session: 2) : seat(number, of: "room", line: number % 4 == 3 ? 1 : nil)
            }, sessions: [session(1, seat: "pi-1")], hasImages: true, operations: [], lab: nil, isArranging: false)
    }

    private static let figures: Figures = {
        var figures = Figures()
        figures.count(.preparing(.identity), to: .preparing(.readiness), after: .seconds(3))
        figures.count(.retiring, to: .empty, after: .milliseconds(800))
        return figures
    }()

    private static let image = ImageVersion(
        id: ImageVersionID(rawValue: 1), image: "debian-desktop", version: 1, boot: .pv, disk: "/d", kernel: "/k", ramdisk: "/r", blankOverlay: "/b",
        commandLine: "", account: Account(user: "student", password: "secret"), checksum: String(repeating: "a", count: 64), diskSize: .gibibytes(4),
        minimumMemory: .mebibytes(256), hasGuest: false, notes: bad, added: 1_772_439_300)

    private static let imageReport = ImageReport(
        version: image, labs: ["room"], desktops: 3,
        checkpoints: [.making, .unproven, .proven, .failed(cause: .outside(bad))].enumerated().map { number, state in
            Checkpoint(
                id: CheckpointID(rawValue: UInt32(number + 1)), image: image.id, profile: Profile(vcpus: 1, memory: .gibibytes(1)), host: "",
                memory: .mebibytes(300), state: state, failures: 0)
        })

    private func viewer(_ language: Language, _ role: Role? = .administrator) -> Viewer {
        Viewer(
            person: role.map { Person(id: PersonID(rawValue: 1), name: Self.bad, role: $0, labs: []) }, texts: pages.files.texts(language),
            csrf: String(repeating: "0", count: 64), path: "/", notice: "labChanged", refusal: Refusal(text: Self.bad, field: "name", remedy: Self.bad))
    }

    /// Every page, full and empty, by name.
    private func all(_ language: Language) -> [(name: String, html: String)] {
        let (administrator, nobody) = (viewer(language), viewer(language, nil))
        let desktop = Self.desktop(5, of: "room", Self.states[4])
        let told = DesktopExplanation(
            desktop: desktop, meaning: .outside(Self.bad), present: nil, deadline: nil, next: .outside(Self.bad), nextAt: 1_772_439_400,
            done: [MakingStep(word: "removal", took: .milliseconds(820)), MakingStep(word: "overlay", took: .milliseconds(1049))], cause: .outside(Self.bad),
            failure: Failure(count: 3, generation: Generation(rawValue: 2), step: .readiness, cause: .outside(Self.bad), console: [Self.bad, "panic"]),
            remedies: [.outside(Self.bad)])
        let labs = Self.view().room.labs
        let people = [Person(id: PersonID(rawValue: 1), name: Self.bad, role: .teacher, labs: [LabID(rawValue: 1)])]
        let entry = JournalEntry(id: 1, at: 1_772_439_300, who: Self.bad, origin: "10.0.0.1", action: "lab-change", subject: Self.bad, detail: Self.bad)
        return [
            ("firstStart", pages.firstStart(code: Self.bad, name: Self.bad, expired: true, for: nobody)),
            ("signIn", pages.signIn(name: Self.bad, back: "/labs", for: nobody)),
            ("room", pages.room(Self.view(), for: administrator)),
            (
                "room, empty",
                pages.room(
                    RoomView(
                        room: RoomReport(labs: [], memory: nil, diskFree: nil, diskTotal: nil, seatsPresent: 0, seats: 0, troubles: []), desktops: [],
                        seats: [], sessions: [], hasImages: false, operations: [], lab: "none", isArranging: true), for: administrator)
            ),
            ("labs", pages.labs(labs, seats: Self.view().seats, for: administrator)), ("labs, empty", pages.labs([], seats: [], for: administrator)),
            ("lab", pages.lab(labs[0], form: LabForm(labs[0]), images: [Self.imageReport], leadsToInternet: true, consequences: [Self.bad], for: administrator)),
            ("lab, new", pages.lab(nil, form: LabForm(), images: [], leadsToInternet: false, consequences: nil, for: administrator)),
            ("desktops", pages.desktops(Self.view().desktops, labs: labs, lab: "room", for: administrator)),
            ("desktops, empty", pages.desktops([], labs: [], lab: nil, for: administrator)),
            ("desktop", pages.desktop(told, session: nil, hardware: ("2", Self.bad), consequences: [Self.bad], for: administrator)),
            ("images", pages.images([Self.imageReport], folder: Self.bad, operations: [], for: administrator)),
            ("images, empty", pages.images([], folder: "/x", operations: [], for: administrator)),
            (
                "image",
                pages.image(
                    Self.imageReport, before: Self.imageReport, labs: ["room", "other"], chosen: ["other"], notes: Self.bad, consequences: [Self.bad],
                    for: administrator)
            ),
            ("seats", pages.seats(Self.view().seats, joins: [Self.join], form: (Self.join.pin, SeatForm()), labs: labs, for: administrator)),
            ("seats, empty", pages.seats([], joins: [Self.join], labs: [], for: administrator)),
            ("seat", pages.seat(Self.view().seats[0], form: SeatForm(Self.view().seats[0]), labs: labs, enrolment: (Self.bad, 60), for: administrator)),
            ("seat, new", pages.seat(nil, form: SeatForm(), labs: labs, enrolment: nil, joinLine: Self.bad, for: administrator)),
            ("sessions", pages.sessions([Self.session(2, seat: "pi-2"), Self.session(1, seat: "pi-1")], older: true, for: administrator)),
            ("sessions, empty", pages.sessions([], older: false, for: administrator)),
            ("figures", pages.figures(DayOfUse.last(14, of: [Self.session(1, seat: "pi-1")], now: 1_772_443_000), Self.figures, for: administrator)),
            ("figures, empty", pages.figures(DayOfUse.last(14, of: []), nil, for: viewer(language, .teacher))),
            ("journal", pages.journal([entry], older: true, for: administrator)), ("journal, empty", pages.journal([], older: false, for: administrator)),
            (
                "settings",
                pages.settings(
                    .init(
                        people: people, labs: labs, tokens: [APITokenRecord(id: 1, name: Self.bad, mayChange: true, ends: 1_772_439_300)],
                        newToken: "token", fingerprint: "aa:bb", pin: "sha256//x", draft: (Self.bad, "teacher")), for: administrator)
            ),
            ("settings, of a teacher", pages.settings(.init(people: [], labs: [], tokens: [], fingerprint: "aa", pin: "x"), for: viewer(language, .teacher))),
            (
                "api",
                pages.api(
                    [
                        APIOperation(
                            method: "GET", path: "/api/v1/x", summary: Self.bad, query: [("a", Self.bad)], body: ["b?"], status: 200, refusals: [404])
                    ], for: administrator)
            ),
            ("problem", pages.problem(title: "404", text: Self.bad, remedy: Self.bad, for: nobody)),
        ]
    }

    // MARK: What holds of all

    @Test(arguments: Language.allCases) func everyPageIsWholeInEachLanguage(_ language: Language) {
        for (name, html) in all(language) {
            #expect(html.hasPrefix("<!doctype html>") || html.hasPrefix("<!DOCTYPE html>"), "\(name)")
            #expect(html.contains("<html lang=\"\(language.rawValue)\"") && html.contains("</html>"), "\(name)")
            #expect(!html.contains("{{") && !html.contains("Optional(") && !html.contains("NSNull") && !html.contains("<null>"), "\(name)")
            #expect(!html.contains("<b onx"), "\(name) puts in what somebody wrote as it is")
            #expect(html.contains("<title>"), "\(name)")
            #expect(html.components(separatedBy: "<h1").count == 2, "\(name) has one first heading")
            let ids = html.matches(of: #/\sid="([^"]*)"/#).map { String($0.1) }
            #expect(Set(ids).count == ids.count, "\(name): \(Dictionary(grouping: ids, by: \.self).filter { $0.value.count > 1 }.keys.sorted())")
            for form in html.components(separatedBy: "<form").dropFirst() where form.prefix(200).lowercased().contains("method=\"post\"") {
                #expect(form.components(separatedBy: "</form>")[0].contains("name=\"csrf\""), "\(name) has a form without its secret")
            }
        }
    }

    @Test func theRoomSaysWhatEachSeatAndDesktopDoes() {
        let html = pages.room(Self.view(), for: viewer(.english))
        for word in ["pi-1", "room-1", "12 GiB", "60 GiB", "column-4", "row-2"] { #expect(html.contains(word), "\(word)") }
        for state in ["state-inUse", "state-lost", "state-waiting", "state-idle", "state-ready", "state-quarantined"] {
            #expect(html.contains(state), "\(state)")
        }
    }

    @Test func sessionsAreCountedOnTheDayOnWhichTheyBegan() {
        let days = DayOfUse.last(3, of: [Self.session(1, seat: "a"), Self.session(2, seat: "b")], now: 1_772_443_000)
        #expect(days.count == 3 && days.map(\.sessions).reduce(0, +) == 2)
        let used: CalendarSeconds? = days.last { $0.sessions > 0 }?.seconds
        #expect(used == 7400)
        #expect(DayOfUse.last(3, of: [Self.session(1, seat: "a")], now: 1_772_443_000 + 10 * 86_400).allSatisfy { $0.sessions == 0 })
    }

    @Test func theFirstPageIsSmall() {
        let html = pages.room(Self.view(desktops: 34, seats: 30), for: viewer(.korean))
        let all = html.utf8.count + pages.files.statics.values.reduce(0) { $0 + $1.bytes.count }
        print("figure: the room's page with its files, 34 desktops and 30 seats: \(all) bytes, of which the page \(html.utf8.count)")
        #expect(all <= 100_000)
    }

    @Test func aLargeRoomIsMadeInTime() {
        let view = Self.view(desktops: 200, seats: 60)
        let viewer = viewer(.english)
        _ = pages.room(view, for: viewer)
        let clock = ContinuousClock()
        let took = (1...10).map { _ in clock.measure { _ = pages.room(view, for: viewer) } }.min() ?? .zero
        print("figure: the room's page of 200 desktops and 60 seats: \(took), the best of ten")
        let page = pages.room(view, for: viewer)
        #expect((1...200).allSatisfy { page.contains("href=\"/desktops/room-\($0)\"") })
        #expect((1...60).allSatisfy { page.contains("href=\"/seats/pi-\($0)\"") })
    }

    @Test func namesStandAsPeopleOrderThem() {
        let names = ["table-10", "table-2", "pi", "table-1", "pi-1", "9", "table-02"]
        #expect(names.sorted { NameOrder($0) < NameOrder($1) } == ["9", "pi", "pi-1", "table-1", "table-02", "table-2", "table-10"])
    }

    @Test func seatsWithoutAPlaceTakeTheFreeOnes() {
        var places = TablePlaces(taken: Set([TablePlace(column: 1, row: 1), TablePlace(column: 3, row: 1)].compactMap { $0 }))
        #expect(places.next() == TablePlace(column: 2, row: 1))
        #expect(places.next() == TablePlace(column: 4, row: 1))
        #expect(TablePlace(column: 0, row: 1) == nil && TablePlace(column: 17, row: 1) == nil && TablePlace(column: 1, row: 13) == nil)
    }
}
