import Hypervisor

extension Step {
    /// Why it failed, in plain words: what failed, the value, what to do.
    func cause(of error: any Error) -> String {
        guard let error = error as? HypervisorError else { return "\(deed) failed: \(error)" }
        return switch error {
        case .missingFile(let path): cause(ofMissing: path)
        case .changedFile(let path):
            "the image's file '\(path)' was changed since it was taken in: put the right one back, or take the image in anew with "
                + "'punnet image add' and give it to the lab with 'punnet lab set'"
        case .spoiltCheckpoint(let path):
            "the checkpoint's file '\(path)' is missing, or was changed since it was frozen: another checkpoint is made by itself, and until then "
                + "desktops are booted"
        case .outOfDisk(let path): "the disk that holds '\(path)' is full: free space on it, or make labs smaller with 'punnet lab set'"
        case .outOfMemory(let needed):
            "Xen has no \(needed) of memory left for it: 'xl list' tells who has it; give desktops less memory or make labs smaller with "
                + "'punnet lab set'"
        case .unavailable(let detail): "\(deed) failed, since Xen cannot be reached: \(detail)"
        case .alreadyExists(let name):
            "'\(name)' is already there, and belongs to no generation that is known: remove it ('xl destroy' where it is a domain)"
        case .noSuchDomain: "its domain ended by itself: what it wrote to its console last may tell why"
        case .guestFailed(let reason):
            "its guest could not take its identity over: \(reason). Docs/Guest.md tells what the image's package punnet-guest does"
        case .failed, .stopped: "\(deed) failed: \(error). 'journalctl -u punnetd' has more"
        }
    }

    private var deed: String {
        switch self {
        case .layOverlay, .layOverlayOver: "laying its disk"
        case .build: "building its domain"
        case .restore: "restoring its memory"
        case .settle: "giving it an identity of its own"
        case .awaitReadiness: "letting it run"
        case .freeze: "freezing it as a checkpoint"
        case .pause: "parking it"
        case .air: "letting it run for a moment"
        case .remove: "removing it"
        }
    }

    private func cause(ofMissing path: String) -> String {
        let remedy = "put it back, or take the image in anew with 'punnet image add' and give it to the lab with 'punnet lab set'"
        switch self {
        case .layOverlay(let blank, _) where path == blank: return "the image's blank overlay '\(path)' is missing: \(remedy)"
        case .layOverlay: return "the image's disk '\(path)' is missing: \(remedy)"
        case .build(let plan) where path == plan.kernel: return "the image's kernel '\(path)' is missing: \(remedy)"
        case .build(let plan) where path == plan.ramdisk: return "the image's ramdisk '\(path)' is missing: \(remedy)"
        case .build(let plan) where path == plan.overlay: return "its own disk '\(path)' went missing: look for what removes files there"
        case .build: return "'\(path)' is missing: install the package punnet anew"
        case .layOverlayOver: return "the image's disk '\(path)' is missing: \(remedy)"
        case .restore(let plan, _) where path == plan.overlay: return "its own disk '\(path)' went missing: look for what removes files there"
        case .restore: return "'\(path)' is missing"
        case .freeze: return "'\(path)' went missing while it was frozen: look for what removes files there"
        case .settle, .awaitReadiness, .pause, .air, .remove: return "'\(path)' is missing"
        }
    }
}
