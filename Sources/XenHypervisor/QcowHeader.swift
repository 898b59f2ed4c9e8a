import Hypervisor

/// What a qcow2 file says of itself, read without opening anything that it names.
///
/// A golden disk comes from outside: one that named a backing file or an external data file would make QEMU in dom0 read that file and show
/// it to a desktop. So this is read first, and only then may QEMU's tools see the file.
/// - SeeAlso: docs/interop/qcow2.txt of QEMU
struct QcowHeader: Hashable {
    /// The size of the disk as a guest sees it, in bytes.
    let diskSize: Int64

    /// How many bytes of the file are needed.
    static let length = 104

    private static let dirty: UInt64 = 1 << 0
    private static let corrupt: UInt64 = 1 << 1
    private static let externalDataFile: UInt64 = 1 << 2
    private static let compressionType: UInt64 = 1 << 3
    private static let extendedEntries: UInt64 = 1 << 4

    /// Reads the first bytes of a golden disk; the error says what is wrong with it and what to do.
    init(untrusted bytes: [UInt8], path: String) throws(HypervisorError) {
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
        }
        func refuse(_ detail: String) -> HypervisorError { .failed(call: "qcow2(\(path))", code: 0, detail: detail) }

        guard bytes.count >= 72, bytes.starts(with: [0x51, 0x46, 0x49, 0xfb]) else {
            throw refuse("it is no qcow2 file: convert it with 'qemu-img convert -O qcow2'")
        }
        let version = number(4, 4)
        guard version == 2 || version == 3 else { throw refuse("qcow2 version \(version) is unknown: 2 and 3 are") }
        guard number(8, 8) == 0, number(16, 4) == 0 else {
            throw refuse("it has a backing file: make it whole with 'qemu-img convert -O qcow2'")
        }
        guard number(32, 4) == 0 else { throw refuse("it is encrypted: convert it to a plain qcow2") }
        if version == 3 {
            guard bytes.count >= 80 else { throw refuse("its header is cut off") }
            let features = number(72, 8)
            guard features & Self.externalDataFile == 0 else {
                throw refuse("its data is in another file: make it whole with 'qemu-img convert -O qcow2'")
            }
            guard features & (Self.dirty | Self.corrupt) == 0 else {
                throw refuse("it was not closed cleanly: repair it with 'qemu-img check -r all'")
            }
            guard features & ~(Self.compressionType | Self.extendedEntries) == 0 else {
                throw refuse("it needs features that are unknown here (\(String(features, radix: 16)))")
            }
        }
        let size = number(24, 8)
        guard size > 0, size <= UInt64(Int64.max) else { throw refuse("it has no size") }
        diskSize = Int64(size)
    }

    /// The file that a qcow2 file of our own names as its backing file; nil where it names none or is no qcow2 file.
    static func backingFile(of path: String) throws(HypervisorError) -> String? {
        let start = try DiskFiles.head(of: path, count: 1 << 16)
        guard start.count >= 20, start.starts(with: [0x51, 0x46, 0x49, 0xfb]) else { return nil }
        func number(_ range: Range<Int>) -> UInt64 { start[range].reduce(0) { $0 << 8 | UInt64($1) } }
        let (offset, count) = (number(8..<16), number(16..<20))
        guard offset > 0, count > 0, count <= 1023, offset <= UInt64(start.count) - count else { return nil }
        return String(decoding: start[Int(offset)..<Int(offset + count)], as: UTF8.self)
    }
}
