import DesktopModel
import Glibc
import Hypervisor
import Identity
import Synchronization
import Testing

@testable import XenHypervisor

/// Real files and the real qemu-img.
struct FileDiskStoreTests {
    private let scratch = Scratch()
    private let store: FileDiskStore
    private let overlay = OverlayName(desktop: DesktopID(rawValue: 7), generation: Generation(rawValue: 3))

    init() throws {
        store = try FileDiskStore(
            .init(images: "\(scratch.path)/images", desktops: "\(scratch.path)/desktops", checkpoints: "\(scratch.path)/checkpoints", overlayMaker: .qemuImg), logger: quiet)
    }

    private func files(checksum: String? = nil) async throws -> ImageFiles {
        try await scratch.qemuImage("create", "-q", "-f", "qcow2", "\(scratch.path)/given.qcow2", "8M")
        return ImageFiles(
            disk: "\(scratch.path)/given.qcow2", kernel: try scratch.write("vmlinuz", [1, 2, 3]),
            ramdisk: try scratch.write("initrd", [4, 5]), diskChecksum: checksum)
    }

    @Test func anImageIsTakenInWholeAndItsBlankOverlayLiesOverIt() async throws {
        let given = try await files()
        let told = Mutex<[(ByteCount, ByteCount)]>([])
        let stored = try await store.takeIn(given, as: "debian-desktop", version: 2) { done, all in
            told.withLock { $0.append((done, all)) }
        }
        #expect(stored.disk == "\(scratch.path)/images/debian-desktop-2.qcow2")
        #expect(try [UInt8](file: stored.disk) == [UInt8](file: given.disk))
        #expect(try [UInt8](file: stored.kernel) == [1, 2, 3])
        #expect(try [UInt8](file: stored.ramdisk) == [4, 5])
        #expect(stored.checksum == Hex.text(of: Digest.sha256(try [UInt8](file: given.disk))))
        #expect(stored.diskSize == .mebibytes(8))
        #expect(told.withLock { $0.last.map { $0.0 == $0.1 } } == true)
        let info = try await Program.run("qemu-img", ["info", "--output=json", stored.blankOverlay])
        #expect(info.contains("\"full-backing-filename\": \"\(stored.disk)\"") || info.contains("\"backing-filename\": \"\(stored.disk)\""))
        #expect(try scratch.files(in: "images").count == 6)
        var status = stat()
        #expect(stat(stored.disk, &status) == 0 && status.st_mode & 0o777 == 0o400)
    }

    @Test func aDiskThatNamesABackingFileIsRefusedAndLeavesNothing() async throws {
        let given = try await files()
        let secret = try scratch.write("secret", Array(repeating: 7, count: 1 << 20))
        try await scratch.qemuImage("create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", given.disk, "8M")
        let error = try await #require(throws: HypervisorError.self) { try await store.takeIn(given, as: "evil", version: 1) { _, _ in } }
        #expect(error.description.contains("backing file"))
        #expect(try scratch.files(in: "images").isEmpty)
    }

    @Test func aDiskWhoseDataIsElsewhereIsRefused() async throws {
        let given = try await files()
        unlink(given.disk)
        try await scratch.qemuImage("create", "-q", "-f", "qcow2", "-o", "data_file=\(scratch.path)/data.raw", given.disk, "8M")
        let error = try await #require(throws: HypervisorError.self) { try await store.takeIn(given, as: "evil", version: 1) { _, _ in } }
        #expect(error.description.contains("another file"))
        #expect(try scratch.files(in: "images").isEmpty)
    }

    @Test func whatIsNoQcow2IsRefused() async throws {
        let given = try await files()
        _ = try scratch.write("given.qcow2", Array("json:{\"file.filename\":\"/etc/shadow\"}".utf8) + Array(repeating: 0, count: 600))
        let error = try await #require(throws: HypervisorError.self) { try await store.takeIn(given, as: "evil", version: 1) { _, _ in } }
        #expect(error.description.contains("no qcow2"))
    }

    @Test func anotherChecksumThanTheNamedOneIsRefusedAndLeavesNothing() async throws {
        let given = try await files(checksum: String(repeating: "0", count: 64))
        let error = try await #require(throws: HypervisorError.self) { try await store.takeIn(given, as: "wrong", version: 1) { _, _ in } }
        #expect(error.description.contains("sha256"))
        #expect(try scratch.files(in: "images").isEmpty)
    }

    @Test func aVersionIsTakenInOnceAndAgainOnlyAfterItsRemoval() async throws {
        let given = try await files()
        let stored = try await store.takeIn(given, as: "twice", version: 1) { _, _ in }
        let again = try await #require(throws: HypervisorError.self) { try await store.takeIn(given, as: "twice", version: 1) { _, _ in } }
        #expect(again == .alreadyExists(name: stored.blankOverlay))
        #expect(try scratch.files(in: "images").count == 6)
        try await store.removeImage("twice", version: 1)
        try await store.removeImage("twice", version: 1)
        #expect(try scratch.files(in: "images").isEmpty)
        _ = try await store.takeIn(given, as: "twice", version: 1) { _, _ in }
    }

    @Test func remainsOfACrashedCopyDoNotHinderTheNext() async throws {
        let given = try await files()
        _ = try scratch.write("images/.again-1.qcow2.partial", [1])
        _ = try await store.takeIn(given, as: "again", version: 1) { _, _ in }
        #expect(try !scratch.files(in: "images").contains { $0.hasPrefix(".") })
    }

    @Test(arguments: ["", "../evil", "Ärger", "UPPER", "a b", String(repeating: "a", count: 65)])
    func aNameThatIsNoneIsRefused(name: String) async throws {
        let given = try await files()
        await #expect(throws: HypervisorError.self) { try await store.takeIn(given, as: name, version: 1) { _, _ in } }
        #expect(try scratch.files(in: "images").isEmpty)
    }

    @Test func aPoolThatLiesElsewhereFailsAndLeavesNothing() async throws {
        // libvirt's test driver makes volumes in its own memory only: none appears in the folder.
        let store = try FileDiskStore(
            .init(
                images: "\(scratch.path)/images", desktops: "\(scratch.path)/desktops", checkpoints: "\(scratch.path)/checkpoints",
                overlayMaker: .storagePool(uri: "test:///default", name: "elsewhere")), logger: quiet)
        let given = try await files()
        let error = try await #require(throws: HypervisorError.self) { try await store.takeIn(given, as: "lost", version: 1) { _, _ in } }
        #expect(error == .missingFile(path: "\(scratch.path)/images/lost-1.blank.qcow2"))
        #expect(try scratch.files(in: "images").isEmpty)
    }

    @Test func anOverlayIsLaidOnceAndIsACopyOfTheBlankOne() async throws {
        let blank = try scratch.write("blank", Array(repeating: 9, count: 200_000))
        let path = try await store.layOverlay(of: blank, for: overlay)
        #expect(path == "\(scratch.path)/desktops/7-3.qcow2")
        #expect(try [UInt8](file: path) == [UInt8](file: blank))
        let again = try await #require(throws: HypervisorError.self) { try await store.layOverlay(of: blank, for: overlay) }
        #expect(again == .alreadyExists(name: path))
        #expect(try await store.overlays() == [overlay])
        try await store.removeOverlay(overlay)
        try await store.removeOverlay(overlay)
        #expect(try await store.overlays().isEmpty)
    }

    @Test(arguments: ["qcow2", "kernel", "ramdisk"])
    func noOverlayIsLaidOfAnImageThatWasChangedUntilItIsPutBack(kind: String) async throws {
        let blank = try await store.takeIn(try await files(), as: "debian", version: 1) { _, _ in }.blankOverlay
        let golden = "\(scratch.path)/images/debian-1.\(kind)"
        let good = try [UInt8](file: golden)
        var bad = good
        bad[bad.count / 2] ^= 1
        // Of the same size and with the same time of its last writing: it does not even look changed to a backup.
        var before = stat()
        #expect(stat(golden, &before) == 0)
        try scratch.overwrite(golden, bad)
        var times = [before.st_atim, before.st_mtim]
        #expect(utimensat(AT_FDCWD, golden, &times, 0) == 0)
        for _ in 1...2 {
            let error = try await #require(throws: HypervisorError.self) { try await store.layOverlay(of: blank, for: overlay) }
            #expect(error == .changedFile(path: golden))
        }
        unlink(golden)
        let error = try await #require(throws: HypervisorError.self) { try await store.layOverlay(of: blank, for: overlay) }
        #expect(error == .missingFile(path: golden))
        #expect(try await store.overlays().isEmpty)

        _ = try scratch.write("images/debian-1.\(kind)", good)
        _ = try await store.layOverlay(of: blank, for: overlay)
        #expect(try await store.overlays() == [overlay])
    }

    @Test func aTakingInThatIsCancelledStopsAndLeavesNothing() async throws {
        let given = try await files()
        // Sparse: it would take seconds to be copied.
        #expect(truncate(given.disk, 4 << 30) == 0)
        let store = store
        let taking = Task { try await store.takeIn(given, as: "debian", version: 1) { _, _ in withUnsafeCurrentTask { $0?.cancel() } } }
        let error = try await #require(throws: HypervisorError.self) { try await taking.value }
        if case .stopped = error {} else { Issue.record("\(error)") }
        #expect(try scratch.files(in: "images").isEmpty)
    }

    @Test func theChecksumsBesideAnImageAreAsSha256sumReadsThem() async throws {
        _ = try await store.takeIn(try await files(), as: "debian", version: 1) { _, _ in }
        let said = try await Program.run("sh", ["-c", "cd '\(scratch.path)/images' && sha256sum --strict -c debian-1.sha256"])
        #expect(said.split(separator: "\n") == ["debian-1.qcow2: OK", "debian-1.kernel: OK", "debian-1.ramdisk: OK"])
    }

    @Test func filesThatAreNoOverlaysAreNotTold() async throws {
        for name in ["7-3.qcow2.new", "07-3.qcow2", "notes", "7-3-1.qcow2"] { _ = try scratch.write("desktops/\(name)", [1]) }
        #expect(try await store.overlays().isEmpty)
    }

    @Test func anOverlayOverAMissingDiskIsNotLaid() async throws {
        let stored = try await store.takeIn(try await files(), as: "gone", version: 1) { _, _ in }
        let before = OverlayName(desktop: DesktopID(rawValue: 8), generation: Generation(rawValue: 1))
        _ = try await store.layOverlay(of: stored.blankOverlay, for: before)
        unlink(stored.disk)
        let error = try await #require(throws: HypervisorError.self) { try await store.layOverlay(of: stored.blankOverlay, for: overlay) }
        #expect(error == .missingFile(path: stored.disk))
        #expect(try await store.overlays().count == 1)
    }

    @Test func aMissingBlankOverlayIsNamed() async throws {
        let error = try await #require(throws: HypervisorError.self) { try await store.layOverlay(of: "/nowhere", for: overlay) }
        #expect(error == .missingFile(path: "/nowhere"))
        #expect(try await store.overlays().isEmpty)
    }

    @Test func aBlankOverlayThatIsALinkToADeviceIsRefused() async throws {
        await #expect(throws: HypervisorError.self) { try await store.layOverlay(of: "/dev/zero", for: overlay) }
        #expect(try await store.overlays().isEmpty)
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs root")) func aFullDiskIsToldAsSuchAndLeavesNoOverlay() async throws {
        let small = "\(scratch.path)/desktops"
        guard mount("punnet-test", small, "tmpfs", 0, "size=64k") == 0 else { throw FileFailure.error("mount", small) }
        defer { umount2(small, 2) }
        let blank = try scratch.write("blank", Array(repeating: 9, count: 200_000))
        let error = try await #require(throws: HypervisorError.self) { try await store.layOverlay(of: blank, for: overlay) }
        #expect(error == .outOfDisk(path: "\(small)/7-3.qcow2"))
        #expect(try await store.overlays().isEmpty)
        // A process that another test starts at this moment has the removed file open until it becomes its program.
        var space = try await store.space()
        for _ in 0..<1000 where space.free != .kibibytes(64) {
            try await Task.sleep(for: .milliseconds(10))
            space = try await store.space()
        }
        #expect(space.total == .kibibytes(64))
        #expect(space.free == .kibibytes(64))
    }
}

extension [UInt8] {
    fileprivate init(file path: String) throws { self = try DiskFiles.head(of: path, count: Int(try DiskFiles.size(of: path))) }
}
