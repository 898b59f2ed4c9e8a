import DesktopModel
import DesktopStore
import Hypervisor

/// Checkpoints: one desktop of each image and profile in use is booted and frozen, the next is restored from that to prove it, and all others
/// are restored from what was proven. Where that does not work, desktops are booted.
extension Room {
    // MARK: How a desktop is made

    /// How the next desktop of this image and profile is made, or what it waits for.
    func making(of desktop: Desktop, of image: ImageVersion, _ profile: Profile) -> Result<Making, Hindrance> {
        guard settings.usesCheckpoints, image.mayBeRestored else { return .success(.boot) }
        guard let checkpoint = checkpoint(of: image.id, profile) else { return .success(.checkpoint(nextCheckpoint)) }
        switch checkpoint.state {
        case .making: return .failure(.checkpointFirst(byDesktop: self.desktop(at: .checkpoint(checkpoint.id))))
        case .unproven:
            let prover = self.desktop(at: .restore(checkpoint.id)) ?? betterProver(of: checkpoint.id, than: desktop, profile)
            if let prover { return .failure(.checkpointFirst(byDesktop: prover)) }
            return .success(.restore(checkpoint.id))
        case .proven: return .success(.restore(checkpoint.id))
        case .failed:
            let mayTryAgain = checkpointRetryAt[checkpoint.id].map { $0 <= now } ?? true
            return .success(mayTryAgain ? .checkpoint(nextCheckpoint) : .boot)
        }
    }

    /// The checkpoint of an image and a profile that is good on this host.
    func checkpoint(of image: ImageVersionID, _ profile: Profile) -> Checkpoint? {
        checkpoints.values.filter { $0.image == image && $0.profile == profile && $0.host == hostMark }.max { $0.id < $1.id }
    }

    /// The name of another of a desktop's lab that can prove the checkpoint which was frozen of that desktop: restored at the address that the frozen
    /// memory has already, a clone would prove less than at another.
    private func betterProver(of checkpoint: CheckpointID, than desktop: Desktop, _ profile: Profile) -> String? {
        guard frozenOf[checkpoint] == desktop.id else { return nil }
        return desktops.empty.sorted().lazy.compactMap { self.desktops[$0] }.first {
            $0.id != desktop.id && $0.lab == desktop.lab && self.profile(for: $0) == profile && works[$0.id]?.isBeingAdded == false
        }?.name
    }

    /// The name of the desktop that is being made in this way.
    private func desktop(at making: Making) -> String? {
        works.first { id, work in
            guard work.making == making, case .preparing? = desktops[id]?.state else { return false }
            return true
        }.flatMap { desktops[$0.key]?.name }
    }

    /// The steps that a desktop goes through in its present making.
    func steps(of desktop: Desktop) -> [PreparationStep] {
        switch works[desktop.id]?.making {
        case .checkpoint: [.overlay, .domain, .readiness, .freezing]
        case .restore, .boot, nil:
            desktop.image.flatMap { images[$0] }?.hasGuest == true
                ? [.overlay, .domain, .identity, .readiness, .parking] : [.overlay, .domain, .readiness, .parking]
        }
    }

    /// A desktop begins to be made for a new checkpoint. Gives what goes to the disk with that.
    mutating func beginCheckpoint(_ id: CheckpointID, of image: ImageVersionID, _ profile: Profile) -> [StoreChange] {
        let failures = checkpoint(of: image, profile)?.failures ?? 0
        let checkpoint = Checkpoint(id: id, image: image, profile: profile, host: hostMark, state: .making, failures: failures)
        checkpoints[id] = checkpoint
        nextCheckpoint = id.next
        return [.checkpointAdded(checkpoint)]
    }

    /// What a desktop's making being given up means for its checkpoint: one that is not frozen yet will not be.
    mutating func abandonCheckpoint(of id: DesktopID) -> [StoreChange] {
        guard case .checkpoint(let checkpoint)? = works[id]?.making, checkpoints[checkpoint]?.state == .making else { return [] }
        checkpoints[checkpoint] = nil
        return [.checkpointRemoved(checkpoint)]
    }

    // MARK: What becomes of a checkpoint

    /// A desktop was frozen. Gives what goes to the disk.
    mutating func checkpointIsFrozen(_ id: CheckpointID, of desktop: DesktopID, holding memory: ByteCount, took: String) -> [StoreChange] {
        checkpoints[id]?.state = .unproven
        frozenOf[id] = desktop
        checkpoints[id]?.memory = memory
        guard let checkpoint = checkpoints[id] else { return [] }
        effects.append(
            .notice("a checkpoint is made, and will prove itself with the next desktop", [
                "checkpoint": "\(id)", "image": imageName(checkpoint.image), "memory": "\(memory) of \(checkpoint.profile.memory)", "took": took,
            ]))
        return [.checkpointChanged(checkpoint)]
    }

    /// The checkpoint as it is once a desktop that was restored from it is parked; nil where that changes nothing.
    func proven(by making: Making?) -> Checkpoint? {
        guard case .restore(let id)? = making, var checkpoint = checkpoints[id], checkpoint.state == .unproven else { return nil }
        checkpoint.state = .proven
        checkpoint.failures = 0
        return checkpoint
    }

    mutating func checkpointIsProven(by making: Making?) {
        guard case .restore(let id)? = making else { return }
        restoreFailures[id] = nil
        guard let checkpoint = proven(by: making) else { return }
        checkpoints[id] = checkpoint
        effects.append(.notice("a checkpoint is proven", ["checkpoint": "\(id)", "image": imageName(checkpoint.image)]))
    }

    /// A making has failed: what that means for the checkpoint that it was for, or was from. Gives what goes to the disk.
    mutating func makingFailed(_ id: DesktopID, at step: PreparationStep, _ cause: Sentence, isSpoilt: Bool) -> [StoreChange] {
        switch works[id]?.making {
        case .checkpoint(let checkpoint): return fail(checkpoint, Cause.notFrozen(cause))
        case .restore(let checkpoint):
            if isSpoilt { return fail(checkpoint, cause) }
            // That no disk could be laid is the image's matter, or the server's: it would be no other for a desktop that is booted.
            guard step != .overlay else { return [] }
            restoreFailures[checkpoint, default: 0] += 1
            // What has served before may fail once for other reasons.
            guard checkpoints[checkpoint]?.state == .unproven || restoreFailures[checkpoint, default: 0] >= settings.restoreTries else { return [] }
            return fail(checkpoint, Cause.notRestored(cause))
        case .boot, nil: return []
        }
    }

    private mutating func fail(_ id: CheckpointID, _ cause: Sentence) -> [StoreChange] {
        guard var checkpoint = checkpoints[id] else { return [] }
        checkpoint.state = .failed(cause: cause)
        checkpoint.failures += 1
        checkpoints[id] = checkpoint
        restoreFailures[id] = nil
        checkpointRetryAt[id] = now + settings.checkpointPauses[min(checkpoint.failures, settings.checkpointPauses.count) - 1]
        effects.append(
            .notice("a checkpoint has failed; desktops are booted instead", [
                "checkpoint": "\(id)", "image": imageName(checkpoint.image), "cause": "\(cause)",
            ]))
        return [.checkpointChanged(checkpoint)]
    }

    private func imageName(_ id: ImageVersionID) -> String { images[id]?.name ?? "\(id)" }

    /// What is to be said of checkpoints that failed and that a lab would want.
    var failedCheckpoints: [Sentence] {
        checkpoints.values.sorted { $0.id < $1.id }.compactMap { checkpoint in
            guard case .failed(let cause) = checkpoint.state, self.checkpoint(of: checkpoint.image, checkpoint.profile)?.id == checkpoint.id
            else { return nil }
            return Cause.bootedInstead(imageName(checkpoint.image), checkpoint.profile.memory, cause)
        }
    }

    // MARK: Those that nobody needs

    /// A desktop is gone: it is made for and from no checkpoint any more.
    mutating func leaveCheckpoint(_ id: DesktopID) {
        let making = works[id]?.making
        works[id]?.making = nil
        desktops[id]?.checkpoint = nil
        if case .checkpoint(let checkpoint)? = making, checkpoints[checkpoint] == nil { effects.append(.removeCheckpoint(checkpoint)) }
    }

    /// Drops the files of checkpoints that failed, and all of those that no lab wants on this host, where no desktop lies over them.
    ///
    /// Called when what was decided of the desktops is on its way to the database.
    mutating func dropCheckpoints() {
        guard !hostMark.isEmpty else { return }
        for (id, checkpoint) in checkpoints.sorted(by: { $0.key < $1.key }) {
            let isUsed = desktops.values.contains { $0.checkpoint == id } || works.values.contains { $0.making == .checkpoint(id) }
            guard !isUsed else { continue }
            let isWanted =
                self.checkpoint(of: checkpoint.image, checkpoint.profile)?.id == id
                && isWanted(checkpoint.image, checkpoint.profile)
            if !isWanted {
                checkpoints[id] = nil
                checkpointRetryAt[id] = nil
                frozenOf[id] = nil
                droppedCheckpoints.remove(id)
                record([.checkpointRemoved(id)], .checkpointGone(id))
                effects.append(.removeCheckpoint(id))
            } else if case .failed = checkpoint.state, droppedCheckpoints.insert(id).inserted {
                effects.append(.removeCheckpoint(id))
            }
        }
    }

    /// Whether a desktop may be restored with this image and profile.
    private func isWanted(_ image: ImageVersionID, _ profile: Profile) -> Bool {
        guard images[image]?.mayBeRestored == true else { return false }
        return labs.values.contains { $0.image == image && $0.profile == profile }
            || desktops.kinds.keys.contains { $0.ownProfile == profile && labs[$0.lab]?.image == image }
    }

    /// Takes over what there is at the start: what was being made then is not finished.
    mutating func adoptCheckpoints(_ snapshot: Snapshot) {
        nextCheckpoint = snapshot.stored.nextCheckpoint
        for checkpoint in snapshot.stored.checkpoints {
            if checkpoint.state == .making {
                record([.checkpointRemoved(checkpoint.id)], .checkpointGone(checkpoint.id))
                continue
            }
            checkpoints[checkpoint.id] = checkpoint
            if case .failed = checkpoint.state {
                checkpointRetryAt[checkpoint.id] = now + settings.checkpointPauses[0]
            } else if !snapshot.checkpoints.contains(checkpoint.id) {
                checkpoints[checkpoint.id]?.state = .failed(cause: Cause.checkpointGone())
                record(checkpoints[checkpoint.id].map { [.checkpointChanged($0)] } ?? [], .checkpointGone(checkpoint.id))
            }
        }
        for id in snapshot.checkpoints.sorted() where checkpoints[id] == nil { effects.append(.removeCheckpoint(id)) }
    }
}

/// How a generation of a desktop comes to life.
enum Making: Hashable, Sendable {
    case boot
    /// It is booted to be frozen, and goes then.
    case checkpoint(CheckpointID)
    case restore(CheckpointID)
}
