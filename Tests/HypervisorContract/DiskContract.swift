import DesktopModel
import Hypervisor
import Synchronization

/// A store of disks under test, and hands on the files behind it.
public protocol DiskRig: Sendable {
    var disks: any DiskStore { get }
    /// The blank overlay of an image that was taken in for these checks.
    var blank: String { get }

    /// A golden disk with kernel and ramdisk, to be taken in; new files each time.
    func given() async throws -> ImageFiles
    /// Takes a file away, or puts something else in its place.
    func remove(_ path: String) throws
    func spoil(_ path: String) throws
    /// Puts a file there as the saved memory of a domain.
    func putMemory(at path: String) throws
    /// What tells one file's content from another's; nil where there is no file.
    func content(of path: String) throws -> String?
    /// Changes a disk, and makes it 1 MiB larger.
    func write(into path: String) throws
    /// Puts a file of this name beside the overlays.
    func addStray(_ name: String) throws
    /// Does something while the file system that holds the overlays is full.
    func whileFull(_ body: () async throws -> Void) async throws
    /// All files in the folder of images, by whatever name.
    func imageFiles() throws -> Set<String>
    /// Removes what the checks have laid and taken in, strays too.
    func sweep() async throws
}

/// What `DiskStore` promises.
public enum DiskContract {
    public typealias Check = ContractCheck<any DiskRig>

    public static let checks = overlays + images + checkpoints

    /// Asks the rig's store for one promise, which must hold; and afterwards no overlay and no file of an image may be left.
    public static func keep(_ check: Check, on rig: any DiskRig) async throws {
        let before = try rig.imageFiles()
        do {
            try await check.body(rig)
        } catch {
            try? await rig.sweep()
            throw error
        }
        try await rig.sweep()
        try expect(try await rig.disks.overlays().isEmpty, "overlays are left")
        try expect(try await rig.disks.checkpoints().isEmpty, "checkpoints are left")
        let after = try rig.imageFiles()
        try expect(after == before, "in the folder of images is left \(after.subtracting(before)), missing \(before.subtracting(after))")
    }

    static func name(_ desktop: UInt32, _ generation: UInt32) -> OverlayName {
        OverlayName(desktop: DesktopID(rawValue: desktop), generation: Generation(rawValue: generation))
    }

    static func expectOverlays(_ wanted: Set<OverlayName>, _ rig: any DiskRig) async throws {
        let list = try await rig.disks.overlays()
        try expect(Set(list) == wanted && list.count == wanted.count, "listed are \(list), not \(wanted)")
    }

    // MARK: - Overlays

    private static let overlays: [Check] = [
        Check("an overlay is laid as a copy of the blank one, and listed") { rig in
            let path = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            try expect(try rig.content(of: path) == rig.content(of: rig.blank), "it is another file than the blank one")
            try await expectOverlays([name(1, 1)], rig)
        },
        Check("an overlay is laid once: another is refused, and what was written stays") { rig in
            let path = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            try rig.write(into: path)
            let written = try rig.content(of: path)
            try expect(try written != rig.content(of: rig.blank), "nothing was written")
            try await expectError("a second laying", .alreadyExists(name: path)) {
                _ = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            }
            try expect(try rig.content(of: path) == written, "it is not what it was")
        },
        Check("what one desktop writes is in no other overlay, and not in the blank one") { rig in
            let blank = try rig.content(of: rig.blank)
            let path = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            let other = try await rig.disks.layOverlay(of: rig.blank, for: name(2, 1))
            try rig.write(into: path)
            let next = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 2))
            for path in [other, next, rig.blank] { try expect(try rig.content(of: path) == blank, "'\(path)' is not blank") }
        },
        Check("a removed overlay is gone; what is gone or never was is removed without an error") { rig in
            let path = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            _ = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 2))
            for _ in 0..<2 {
                try await rig.disks.removeOverlay(name(1, 1))
                try expect(try rig.content(of: path) == nil, "the file is there")
                try await expectOverlays([name(1, 2)], rig)
            }
            try await rig.disks.removeOverlay(name(9, 9))
        },
        Check("no two desktops and no two generations have one path") { rig in
            var paths: [String] = []
            let names = (1...3).flatMap { desktop in (1...3).map { name(desktop, $0) } } + [name(1, 11), name(11, 1)]
            for name in names { paths.append(try await rig.disks.layOverlay(of: rig.blank, for: name)) }
            try expect(Set(paths).count == names.count, "\(paths)")
            try await expectOverlays(Set(names), rig)
            // The path of a name is always the same, so that a generation's blank cannot be another's tainted.
            try await rig.disks.removeOverlay(name(2, 2))
            try expect(try await rig.disks.layOverlay(of: rig.blank, for: name(2, 2)) == paths[4], "it has another path")
            try expect(try rig.content(of: paths[4]) == rig.content(of: rig.blank), "it is not blank")
        },
        Check("a missing blank overlay is named and leaves nothing") { rig in
            let stored = try await takeIn(rig, "gone")
            try await rig.disks.removeImage("gone", version: 1)
            try await expectError("a missing blank overlay", .missingFile(path: stored.blankOverlay)) {
                _ = try await rig.disks.layOverlay(of: stored.blankOverlay, for: name(1, 1))
            }
            try await expectOverlays([], rig)
        },
        Check("files with other names than overlays' are not told") { rig in
            for stray in ["1-3.qcow2.new", "01-3.qcow2", "notes", "1-3-1.qcow2"] { try rig.addStray(stray) }
            try await expectOverlays([], rig)
            _ = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 3))
            try await expectOverlays([name(1, 3)], rig)
        },
        Check("the space that overlays take grows with what is written, and is free again when they are gone") { rig in
            let before = try await rig.disks.space()
            try expect(before.free > .zero && before.free <= before.total, "\(before)")
            let path = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            let laid = try await rig.disks.space()
            try expect(laid.overlays > before.overlays && laid.total == before.total, "\(before), then \(laid)")
            try rig.write(into: path)
            let written = try await rig.disks.space()
            try expect(written.overlays - laid.overlays >= .mebibytes(1), "\(laid), then \(written)")
            try await rig.disks.removeOverlay(name(1, 1))
            let after = try await rig.disks.space()
            try expect(after.overlays == before.overlays, "\(before), then \(after)")
        },
        Check("a full disk is told as such and leaves no overlay") { rig in
            try await rig.whileFull {
                let error = try await failure(of: "an overlay on a full disk") {
                    _ = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
                }
                guard case .outOfDisk(let path) = error, !path.isEmpty else { throw Broken("it is told as '\(error)'") }
                try await expectOverlays([], rig)
                try await rig.disks.removeOverlay(name(1, 1))
                try expect(try await rig.disks.space().free < .mebibytes(1), "there is space")
            }
            _ = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
        },
        Check("many overlays are laid at once, each whole, and removed at once") { rig in
            let names = (1...20).map { name($0, 1) }
            let laid = await atOnce(names.count) { try await rig.disks.layOverlay(of: rig.blank, for: names[$0]) }
            let blank = try rig.content(of: rig.blank)
            for path in laid { try expect(try rig.content(of: try path.get()) == blank, "'\(path)' is not blank") }
            try await expectOverlays(Set(names), rig)
            let removed = await atOnce(2 * names.count) { try await rig.disks.removeOverlay(names[$0 / 2]) }
            for result in removed { try result.get() }
            try await expectOverlays([], rig)
        },
        Check("of layings of one overlay at once one succeeds") { rig in
            let results = await atOnce(8) { _ in try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1)) }
            let paths = results.compactMap(\.value)
            try expect(paths.count == 1, "\(results)")
            try expect(results.compactMap(\.error).allSatisfy { $0 == .alreadyExists(name: paths[0]) }, "\(results)")
            try expect(try rig.content(of: paths[0]) == rig.content(of: rig.blank), "it is not blank")
        },
        Check("an overlay that is laid and removed at once is whole or gone") { rig in
            for generation in 1...UInt32(10) {
                let overlay = name(1, generation)
                let results = await atOnce(8) { number in
                    if number.isMultiple(of: 2) { return try await rig.disks.layOverlay(of: rig.blank, for: overlay) }
                    try await rig.disks.removeOverlay(overlay)
                    return ""
                }
                for error in results.compactMap(\.error) {
                    guard case .alreadyExists = error else { throw Broken("\(results)") }
                }
                let path = results.compactMap(\.value).first { !$0.isEmpty }
                guard let path else { throw Broken("none was laid: \(results)") }
                let content = try rig.content(of: path)
                try expect(try content == nil || content == rig.content(of: rig.blank), "half of it is there")
                try await expectOverlays((content == nil ? [] : [overlay]), rig)
                try await rig.disks.removeOverlay(overlay)
            }
        },
    ]

    // MARK: - Images

    private static func takeIn(_ rig: any DiskRig, _ name: String, version: Int = 1) async throws -> StoredImage {
        try await rig.disks.takeIn(try await rig.given(), as: name, version: version) { _, _ in }
    }

    private static let images: [Check] = [
        Check("an image is taken in whole, its progress is told, and overlays can be laid of it") { rig in
            let given = try await rig.given()
            let told = Mutex<[(ByteCount, ByteCount)]>([])
            let stored = try await rig.disks.takeIn(given, as: "whole", version: 3) { done, all in told.withLock { $0.append((done, all)) }
            }
            for (own, given) in [(stored.disk, given.disk), (stored.kernel, given.kernel), (stored.ramdisk, given.ramdisk)] {
                try expect(own != given, "'\(own)' is the giver's own file")
                try expect(try rig.content(of: own) == rig.content(of: given), "'\(own)' is not what was given")
            }
            try expect(stored.checksum.count == 64 && stored.checksum.allSatisfy { "0123456789abcdef".contains($0) }, stored.checksum)
            try expect(stored.diskSize > .zero, "its disk has \(stored.diskSize)")
            let progress = told.withLock { $0 }
            try expect(zip(progress, progress.dropFirst()).allSatisfy { $0.0 <= $1.0 && $0.1 == $1.1 }, "told: \(progress)")
            try expect(progress.last.map { $0.0 == $0.1 && $0.1 > .zero } == true, "told: \(progress)")
            let path = try await rig.disks.layOverlay(of: stored.blankOverlay, for: name(1, 1))
            try expect(try rig.content(of: path) == rig.content(of: stored.blankOverlay), "the overlay is not blank")
        },
        Check("the same disk has the same checksum, and is refused under another") { rig in
            let given = try await rig.given()
            let stored = try await rig.disks.takeIn(given, as: "named", version: 1) { _, _ in }
            _ = try await rig.disks.takeIn(given.with(checksum: stored.checksum), as: "named", version: 2) { _, _ in }
            try rig.write(into: given.disk)
            try await refuses(given.with(checksum: stored.checksum), "named", 3, rig)
        },
        Check("a version is taken in once, and again when it was removed, also removed twice") { rig in
            let stored = try await takeIn(rig, "twice")
            try await expectError("a second taking in", .alreadyExists(name: stored.blankOverlay)) { _ = try await takeIn(rig, "twice") }
            try expect(try rig.content(of: stored.disk) != nil && rig.content(of: stored.blankOverlay) != nil, "the first is gone")
            for _ in 0..<2 { try await rig.disks.removeImage("twice", version: 1) }
            for path in [stored.disk, stored.kernel, stored.ramdisk, stored.blankOverlay] {
                try expect(try rig.content(of: path) == nil, "'\(path)' is left")
            }
            try expect(try await takeIn(rig, "twice") == stored, "it lies elsewhere")
        },
        Check("a removed image leaves the overlays that were laid of it, and other versions") { rig in
            let first = try await takeIn(rig, "old")
            let second = try await takeIn(rig, "old", version: 2)
            let path = try await rig.disks.layOverlay(of: first.blankOverlay, for: name(1, 1))
            try await rig.disks.removeImage("old", version: 1)
            try expect(try rig.content(of: path) != nil, "the overlay is gone")
            try await expectOverlays([name(1, 1)], rig)
            _ = try await rig.disks.layOverlay(of: second.blankOverlay, for: name(2, 1))
        },
        Check("a missing disk, kernel or ramdisk is named and leaves nothing") { rig in
            for part in [\ImageFiles.disk, \ImageFiles.kernel, \ImageFiles.ramdisk] {
                let given = try await rig.given()
                try rig.remove(given[keyPath: part])
                try await expectError("a missing file", .missingFile(path: given[keyPath: part])) {
                    _ = try await rig.disks.takeIn(given, as: "part", version: 1) { _, _ in }
                }
            }
            // Nothing of it hinders the next.
            _ = try await takeIn(rig, "part")
        },
        Check("what is no qcow2 disk is refused and leaves nothing") { rig in
            let given = try await rig.given()
            try rig.spoil(given.disk)
            try await refuses(given, "raw", 1, rig)
            _ = try await takeIn(rig, "raw")
        },
        Check("a taking in that is cancelled leaves nothing, or is whole, and the version can be taken in again") { rig in
            let given = try await rig.given()
            for _ in 0..<3 {
                let taking = Task { try await rig.disks.takeIn(given, as: "stopped", version: 1) { _, _ in } }
                taking.cancel()
                if let stored = try? await taking.value {
                    _ = try await rig.disks.layOverlay(of: stored.blankOverlay, for: name(1, 1))
                    try await rig.disks.removeOverlay(name(1, 1))
                    try await rig.disks.removeImage("stopped", version: 1)
                }
            }
            _ = try await rig.disks.takeIn(given, as: "stopped", version: 1) { _, _ in }
        },
        Check("a name that leads elsewhere is refused") { rig in
            let given = try await rig.given()
            for name in ["", "../evil", "a b", "UPPER", String(repeating: "a", count: 65)] { try await refuses(given, name, 1, rig) }
            try await refuses(given, "good", 0, rig)
        },
        Check("of takings in of one version at once one succeeds, and it is whole") { rig in
            let given = try await rig.given()
            let results = await atOnce(3) { _ in try await rig.disks.takeIn(given, as: "race", version: 1) { _, _ in } }
            let stored = results.compactMap(\.value)
            try expect(stored.count == 1, "\(results)")
            for error in results.compactMap(\.error) {
                guard case .alreadyExists = error else { throw Broken("\(results)") }
            }
            for path in [stored[0].kernel, stored[0].ramdisk, stored[0].blankOverlay] {
                try expect(try rig.content(of: path) != nil, "'\(path)' is missing")
            }
            try expect(try rig.content(of: stored[0].disk) == rig.content(of: given.disk), "its disk is not what was given")
            _ = try await rig.disks.layOverlay(of: stored[0].blankOverlay, for: name(1, 1))
        },
    ]

    private static func refuses(_ image: ImageFiles, _ name: String, _ version: Int, _ rig: any DiskRig) async throws {
        let error = try await failure(of: "'\(name)' \(version)") {
            _ = try await rig.disks.takeIn(image, as: name, version: version) { _, _ in }
        }
        guard case .failed(_, _, let detail) = error, !detail.isEmpty else { throw Broken("'\(name)' is told as '\(error)'") }
    }
}

extension ImageFiles {
    func with(checksum: String) -> ImageFiles { ImageFiles(disk: disk, kernel: kernel, ramdisk: ramdisk, diskChecksum: checksum) }
}
