import DesktopModel
import Foundation
import GRDB
import Testing

@testable import DesktopStore

/// A folder of one test's own; removed with the value.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/punnet-test-XXXXXX").utf8CString)
        let made = try #require(mkdtemp(&template))
        path = String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A calendar that stands still until it is moved.
final class TestCalendar: @unchecked Sendable {
    private let lock = NSLock()
    private var value: StoredSeconds = 1_000_000
    var now: StoredSeconds {
        get { lock.withLock { value } }
        set { lock.withLock { value = newValue } }
    }
}

/// A store with one image, one lab, two seats and two ready desktops, in a folder of its own.
struct Fixture {
    let folder: TemporaryFolder
    let path: String
    let calendar: TestCalendar
    let store: DesktopStore
    let image: ImageVersion
    let lab: Lab
    let seats: [SeatRecord]
    let desktops: [Desktop]

    init() async throws {
        folder = try TemporaryFolder()
        path = folder.path + "/data/punnet.db"
        calendar = TestCalendar()
        store = try Self.open(path, calendar)
        image = try await store.addImage(Self.newImage("debian", 1))
        lab = try await store.addLab(
            Lab(id: LabID(rawValue: 0), name: "room1", image: image.id, profile: Profile(vcpus: 1, memory: .mebibytes(512)), size: 2, grace: .milliseconds(61_500),
            afterSession: .claimAgain))
        var seats: [SeatRecord] = []
        for number in 1...2 {
            seats.append(try await store.addSeat(name: "pi-\(number)", lab: lab.id, wordHash: Self.hash(number), wordExpires: 2_000_000))
        }
        self.seats = seats
        let (lab, image) = (lab, image)
        desktops = (1...2).map { number in
            Desktop(
                id: DesktopID(rawValue: UInt32(number)), lab: lab.id, number: number, name: "room1-\(number)",
                place: Place(rawValue: number),
                generation: Generation(rawValue: 3), state: .ready, image: image.id, profile: lab.profile,
                fingerprint: Self.hash(90 + number))
        }
        try await store.apply(desktops.map { .desktopAdded($0) })
    }

    static func open(_ path: String, _ calendar: TestCalendar = TestCalendar()) throws(StoreError) -> DesktopStore {
        try DesktopStore(path: path, clock: { calendar.now })
    }

    static func hash(_ number: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32) }

    static func newImage(_ name: String, _ version: Int) -> NewImageVersion {
        NewImageVersion(
            image: name, version: version, boot: .pv, disk: "/images/\(name)-\(version).qcow2", kernel: "/images/k", ramdisk: "/images/r",
            blankOverlay: "/images/b", commandLine: "root=/dev/xvda ro", account: Account(user: "student", password: "감자"),
            checksum: String(repeating: "ab", count: 32), diskSize: .gibibytes(4), minimumMemory: .mebibytes(256),
            hasGuest: version > 1)
    }

    func session(_ id: Int64, seat: Int = 0, desktop: Int = 0, generation: UInt32? = nil) -> Session {
        Session(
            id: SessionID(rawValue: id), seat: seats[seat].id, desktop: desktops[desktop].id,
            generation: generation.map(Generation.init) ?? desktops[desktop].generation, bootID: "8d1f3b52-0000-4000-8000-000000000001",
            ticket: TicketHash(bytes: Self.hash(7)), address: "192.0.2.7")
    }

    func leased(_ id: Int64, desktop: Int = 0) -> Desktop {
        var changed = desktops[desktop]
        changed.state = .leased(SessionID(rawValue: id))
        return changed
    }

    func began(_ session: Session) -> StoreChange {
        .sessionBegan(session, desktopName: "room1-\(session.desktop)", seatName: "pi-\(session.seat)")
    }

    /// The two changes of a lease.
    func lease(_ id: Int64, seat: Int = 0, desktop: Int = 0) -> [StoreChange] {
        [.desktopChanged(leased(id, desktop: desktop)), began(session(id, seat: seat, desktop: desktop))]
    }

    /// The two changes by which it ends.
    func end(_ id: Int64, desktop: Int = 0, reason: EndReason = .logOff) -> [StoreChange] {
        var changed = desktops[desktop]
        changed.state = .retiring
        return [.desktopChanged(changed), .sessionEnded(SessionID(rawValue: id), reason)]
    }

    /// Changes the database behind the store's back, without the checks of its tables.
    func tamper(_ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            try db.execute(sql: sql)
        }
        try queue.close()
    }
}
