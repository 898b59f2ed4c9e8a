import DesktopModel
import Hypervisor

extension Step {
    /// Why it failed: what failed, the value, what to do.
    func cause(of error: any Error) -> Sentence {
        guard let error = error as? HypervisorError else { return Cause.failed(deed, Sentence(error)) }
        return switch error {
        case .missingFile(let path): cause(ofMissing: path)
        case .changedFile(let path): Cause.changedFile(path)
        case .spoiltCheckpoint(let path): Cause.spoiltCheckpoint(path)
        case .outOfDisk(let path): Cause.fullDisk(path)
        case .outOfMemory(let needed): Cause.noMemory(needed)
        case .unavailable(let detail): Cause.xenAway(deed, detail)
        case .alreadyExists(let name): Cause.alreadyThere(name)
        case .noSuchDomain: Cause.endedByItself()
        case .guestFailed(let reason): Cause.guestFailed(reason)
        case .failed, .stopped: Cause.failedLogged(deed, Sentence(error))
        }
    }

    private var deed: Sentence {
        switch self {
        case .layOverlay, .layOverlayOver: Cause.layingDisk()
        case .build: Cause.buildingDomain()
        case .restore: Cause.restoringMemory()
        case .settle: Cause.givingIdentity()
        case .awaitReadiness: Cause.lettingRun()
        case .freeze: Cause.freezing()
        case .pause: Cause.parking()
        case .air: Cause.airing()
        case .remove: Cause.removing()
        }
    }

    private func cause(ofMissing path: String) -> Sentence {
        switch self {
        case .layOverlay(let blank, _) where path == blank: Cause.noBlankOverlay(path)
        case .layOverlay: Cause.noImageDisk(path)
        case .build(let plan) where path == plan.kernel: Cause.noKernel(path)
        case .build(let plan) where path == plan.ramdisk: Cause.noRamdisk(path)
        case .build(let plan) where path == plan.overlay: Cause.noOwnDisk(path)
        case .build: Cause.noPackageFile(path)
        case .layOverlayOver: Cause.noImageDisk(path)
        case .restore(let plan, _) where path == plan.overlay: Cause.noOwnDisk(path)
        case .restore: Cause.missing(path)
        case .freeze: Cause.wentMissing(path)
        case .settle, .awaitReadiness, .pause, .air, .remove: Cause.missing(path)
        }
    }
}
