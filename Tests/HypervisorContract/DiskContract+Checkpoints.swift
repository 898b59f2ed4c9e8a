import DesktopModel
import Hypervisor

extension DiskContract {
    private static let one = CheckpointID(rawValue: 1)

    /// Seals a checkpoint of one overlay and one memory; gives where the memory lies.
    @discardableResult
    private static func seal(_ rig: any DiskRig, as id: CheckpointID = one) async throws -> String {
        let memory = try await rig.disks.beginCheckpoint(id)
        try rig.putMemory(at: memory)
        _ = try await rig.disks.layOverlay(of: rig.blank, for: name(id.rawValue, 1))
        try await rig.disks.sealCheckpoint(id, from: name(id.rawValue, 1))
        return memory
    }

    static let checkpoints: [Check] = [
        Check("an overlay that is sealed becomes a checkpoint's disk, and is no overlay any more") { rig in
            let memory = try await seal(rig)
            try expect(memory == rig.disks.memory(of: one), "its memory lies elsewhere")
            let listed = try await rig.disks.checkpoints()
            try expect(listed == [one], "listed are \(listed)")
            try await expectOverlays([], rig)
        },
        Check("disks are laid over a checkpoint, each a blank one of its own") { rig in
            try await seal(rig)
            let first = try await rig.disks.layOverlay(over: one, for: name(1, 2))
            let blank = try rig.content(of: first)
            try rig.write(into: first)
            let second = try await rig.disks.layOverlay(over: one, for: name(2, 1))
            try expect(try rig.content(of: second) == blank, "it is no blank one")
            try await expectOverlays([name(1, 2), name(2, 1)], rig)
            try await expectError("a second laying", .alreadyExists(name: second)) {
                _ = try await rig.disks.layOverlay(over: one, for: name(2, 1))
            }
        },
        Check("a checkpoint whose memory was changed is refused") { rig in
            let memory = try await seal(rig)
            try rig.write(into: memory)
            try await expectError("a changed memory", .spoiltCheckpoint(path: memory)) {
                _ = try await rig.disks.layOverlay(over: one, for: name(1, 2))
            }
            try await expectOverlays([], rig)
        },
        Check("a checkpoint whose memory is gone is refused, and so is one that is gone") { rig in
            let memory = try await seal(rig)
            try rig.remove(memory)
            try await expectError("a missing memory", .spoiltCheckpoint(path: memory)) {
                _ = try await rig.disks.layOverlay(over: one, for: name(1, 2))
            }
            try await rig.disks.removeCheckpoint(one)
            let error = try await failure(of: "a missing checkpoint") { _ = try await rig.disks.layOverlay(over: one, for: name(1, 2)) }
            guard case .spoiltCheckpoint = error else { throw Broken("it is told as '\(error)'") }
            try await expectOverlays([], rig)
        },
        Check("without a memory, or without the overlay, nothing is sealed") { rig in
            let memory = try await rig.disks.beginCheckpoint(one)
            let overlay = try await rig.disks.layOverlay(of: rig.blank, for: name(1, 1))
            try await expectError("a checkpoint without memory", .missingFile(path: memory)) {
                try await rig.disks.sealCheckpoint(one, from: name(1, 1))
            }
            try await expectOverlays([name(1, 1)], rig)
            try rig.putMemory(at: memory)
            try await rig.disks.removeOverlay(name(1, 1))
            try await expectError("a checkpoint without disk", .missingFile(path: overlay)) {
                try await rig.disks.sealCheckpoint(one, from: name(1, 1))
            }
        },
        Check("what was left of a checkpoint's making goes when it is begun again") { rig in
            let memory = try await rig.disks.beginCheckpoint(one)
            try rig.putMemory(at: memory)
            try expect(try await rig.disks.checkpoints() == [one], "what is unfinished is not listed")
            try expect(try await rig.disks.beginCheckpoint(one) == memory, "its memory lies elsewhere")
            try expect(try rig.content(of: memory) == nil, "the former memory is still there")
        },
        Check("a checkpoint is removed whole, and what is gone may be removed again") { rig in
            let memory = try await seal(rig)
            try await seal(rig, as: CheckpointID(rawValue: 2))
            for _ in 1...2 { try await rig.disks.removeCheckpoint(one) }
            try expect(try rig.content(of: memory) == nil, "its memory is still there")
            try expect(try await rig.disks.checkpoints() == [CheckpointID(rawValue: 2)], "the other one is not there")
            _ = try await rig.disks.layOverlay(over: CheckpointID(rawValue: 2), for: name(1, 2))
        },
    ]
}
