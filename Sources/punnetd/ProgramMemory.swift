import Foundation
import Glibc

/// The memory that the program's own files take.
enum ProgramMemory {
    /// Gives back the pages of the program and its libraries, nearly all of which only the start has touched. A page that is
    /// needed again is read from its file again, which the kernel mostly still has. Milliseconds; any thread.
    ///
    /// Only mappings are given up of which nothing was ever written to: what the loader has put right in place exists nowhere else.
    /// - SeeAlso: madvise(2), `MADV_DONTNEED`; proc(5), `smaps`
    static func giveBack() {
        // A file of /proc has no size, and is read to its end by a handle alone.
        guard let file = FileHandle(forReadingAtPath: "/proc/self/smaps"), let bytes = try? file.readToEnd() else { return }
        let smaps = String(decoding: bytes, as: UTF8.self)
        var mapping: (start: UInt, length: Int)?
        for line in smaps.split(separator: "\n") {
            if let next = cleanFile(line) {
                mapping = next
            } else if let first = line.first, first.isNumber || first.isLowercase {
                mapping = nil
            } else if line.hasPrefix("Anonymous:"), let found = mapping {
                mapping = nil
                guard line.split(separator: " ")[1] == "0" else { continue }
                madvise(UnsafeMutableRawPointer(bitPattern: found.start), found.length, MADV_DONTNEED)
            }
        }
    }

    /// What a mapping's first line says of one of a file that nobody may write to: `7f00-7f10 r-xp 00000000 fe:00 123 /usr/sbin/punnetd`; nil for
    /// any other line.
    private static func cleanFile(_ line: Substring) -> (start: UInt, length: Int)? {
        let words = line.split(separator: " ")
        guard words.count >= 6, words[5].hasPrefix("/"), words[1].hasPrefix("r"), !words[1].contains("w") else { return nil }
        let range = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard range.count == 2, range[0] < range[1] else { return nil }
        return (range[0], Int(range[1] - range[0]))
    }
}
