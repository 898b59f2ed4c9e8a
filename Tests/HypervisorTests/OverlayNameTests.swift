import DesktopModel
import Hypervisor
import Testing

@Suite struct OverlayNameTests {
    @Test(arguments: [(UInt32(1), UInt32(1)), (0, 0), (.max, .max), (12, 345)])
    func aNameReadsAsItIsWritten(desktop: UInt32, generation: UInt32) {
        let name = OverlayName(desktop: DesktopID(rawValue: desktop), generation: Generation(rawValue: generation))
        #expect(name.fileName == "\(desktop)-\(generation).qcow2")
        #expect(OverlayName(fileName: name.fileName) == name)
    }

    @Test(arguments: [
        "", ".qcow2", "1.qcow2", "1-.qcow2", "-1.qcow2", "1-2", "1-2.qcow2.new", "01-2.qcow2", "1-02.qcow2", "+1-2.qcow2", "1-2-3.qcow2",
        "a-b.qcow2", "4294967296-1.qcow2", "1-4294967296.qcow2", "../1-2.qcow2", "1-2.QCOW2", "１-2.qcow2",
    ])
    func aFileOfAnotherNameIsNoOverlay(text: String) {
        #expect(OverlayName(fileName: text) == nil)
    }
}
