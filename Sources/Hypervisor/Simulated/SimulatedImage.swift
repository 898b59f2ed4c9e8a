import DesktopModel

/// Where the twin keeps a version of an image.
struct SimulatedImage {
    let disk, kernel, ramdisk, blank: String
    var all: [String] { [blank, disk, kernel, ramdisk] }

    init(_ name: String, _ version: Int) throws(HypervisorError) {
        let letters = name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        guard letters, !name.isEmpty, name.utf8.count <= 64, version > 0 else {
            throw .failed(call: "takeIn", code: 0, detail: "'\(name)' version \(version) is no name")
        }
        let stem = "\(SimulatedServer.folder)images/\(name)-\(version)"
        (disk, kernel, ramdisk, blank) = ("\(stem).qcow2", "\(stem).kernel", "\(stem).ramdisk", "\(stem).blank.qcow2")
    }

    /// Copies what is given; tells how much that was.
    func takeIn(
        _ image: ImageFiles, _ state: inout SimulatedServer.State
    ) -> Result<(StoredImage, ByteCount), HypervisorError> {
        for path in all where state.files[path] != nil { return .failure(.alreadyExists(name: path)) }
        var copies: [String: SimulatedServer.File] = [:]
        let given: [(String, SimulatedServer.File.Kind, String)] = [
            (image.disk, .disk, disk), (image.kernel, .kernel, kernel), (image.ramdisk, .ramdisk, ramdisk),
        ]
        for (path, kind, target) in given {
            guard let file = state.file(at: path, saidToBe: kind) else { return .failure(.missingFile(path: path)) }
            guard kind != .disk || file.kind == .disk else {
                return .failure(.failed(call: "open(\(path))", code: 0, detail: "'\(path)' is no qcow2 disk"))
            }
            copies[target] = file
        }
        let total = copies.values.reduce(.zero) { $0 + $1.size }
        guard state.leftDisk() >= total else { return .failure(.outOfDisk(path: disk)) }
        // Of a disk that it was never told of, the twin knows no more than its giver says.
        let isKnown = state.files[image.disk] != nil
        let sum = isKnown ? nil : image.diskChecksum
        let checksum = sum ?? Self.checksum(of: copies[disk]?.content ?? "")
        if let named = image.diskChecksum, named != checksum {
            return .failure(.failed(call: "sha256(\(image.disk))", code: 0, detail: "it is \(checksum), not \(named)"))
        }
        state.files.merge(copies) { $1 }
        state.files[blank] = SimulatedServer.File(kind: .disk, content: "blank over \(checksum)", size: .kibibytes(196))
        let stored = StoredImage(
            disk: disk, kernel: kernel, ramdisk: ramdisk, blankOverlay: blank, checksum: checksum, diskSize: .gibibytes(2))
        return .success((stored, total))
    }

    /// 64 hexadecimal digits that are others for other content.
    private static func checksum(of content: String) -> String {
        let seed = content.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        var digits = SplitMix(seed: seed)
        return (0..<4).map { _ in
            let text = String(digits.next(), radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }
}
