import Testing

@testable import Libvirt

struct StoragePoolTests {
    private let connection: LibvirtConnection

    init() throws { connection = try LibvirtConnection("test:///default") }

    @Test func anOverlayIsMadeOverItsBackingFileAndRemoved() throws {
        let pool = try connection.defineFolderPool(named: "overlays", folder: "/images & more")
        defer { try? pool.undefine() }
        #expect(try pool.description.contains("<path>/images &amp; more</path>"))
        try pool.start()
        defer { try? pool.stop() }
        #expect(try pool.isActive)
        #expect(try pool.volume(named: "blank.qcow2") == nil)
        let volume = try pool.createOverlay(named: "blank.qcow2", over: "/images & more/golden.qcow2", capacity: 64 << 20)
        #expect(try volume.path == "/images & more/blank.qcow2")
        #expect(try volume.capacity == 64 << 20)
        let again = try #require(throws: LibvirtError.self) {
            try pool.createOverlay(named: "blank.qcow2", over: "/images & more/golden.qcow2", capacity: 64 << 20)
        }
        #expect(again.message.contains("exists"))
        try volume.delete()
        #expect(try pool.volume(named: "blank.qcow2") == nil)
    }

    @Test func aPoolThatIsNotThereIsNil() throws {
        #expect(try connection.storagePool(named: "nobody's") == nil)
    }
}
