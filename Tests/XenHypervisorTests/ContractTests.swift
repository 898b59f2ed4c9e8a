import Glibc
import HypervisorContract
import Testing

@testable import XenHypervisor

/// Real files keep the promises that the twin keeps too; the lab asks the same of those that libvirt makes.
struct ContractTests {
    /// Filling a disk takes a file system of its own, which needs root to be mounted.
    private static let checks = DiskContract.checks.filter { geteuid() == 0 || !$0.fact.contains("full disk") }

    @Test(arguments: checks) func filesKeepWhatADiskStorePromises(check: DiskContract.Check) async throws {
        let scratch = Scratch()
        let golden = "\(scratch.path)/golden.qcow2"
        try await scratch.qemuImage("create", "-q", "-f", "qcow2", golden, "8M")
        let (images, desktops) = ("\(scratch.path)/images", "\(scratch.path)/desktops")
        let store = try FileDiskStore(.init(images: images, desktops: desktops, checkpoints: desktops + "-checkpoints", overlayMaker: .qemuImg), logger: quiet)
        let rig = try await FileDiskRig(store, images: images, desktops: desktops, work: scratch.path, golden: golden)
        try await DiskContract.keep(check, on: rig)
    }
}
