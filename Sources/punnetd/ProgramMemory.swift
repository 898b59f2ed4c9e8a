import Foundation
import Glibc

/// The memory that the program's own files take.
enum ProgramMemory {
    /// Gives back the pages of the program and its libraries, nearly all of which only the start has touched. A page that is
    /// needed again is read from its file again, which the kernel mostly still has. Milliseconds; any thread.
    ///
    /// Only mappings of the program and of libraries are given up, which stay where they are as long as the process lives, and of those only such as
    /// nothing was ever written to: what the loader has put right in place, or the kernel has put into swap, exists nowhere else.
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
            } else if line.hasPrefix("Anonymous:"), line.split(separator: " ")[1] != "0" {
                mapping = nil
            } else if line.hasPrefix("Swap:"), let found = mapping {
                mapping = nil
                guard line.split(separator: " ")[1] == "0" else { continue }
                madvise(UnsafeMutableRawPointer(bitPattern: found.start), found.length, MADV_DONTNEED)
            }
        }
    }

    private static func isProgram(_ path: Substring) -> Bool {
        path.hasPrefix("/") && (path == program || path.contains(".so."))
    }

    private static let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""

    /// What a mapping's first line says of one of the program or a library that nobody may write to: `7f00-7f10 r-xp 00000000 fe:00 123
    /// /usr/sbin/punnetd`; nil for any other line.
    private static func cleanFile(_ line: Substring) -> (start: UInt, length: Int)? {
        let words = line.split(separator: " ")
        guard words.count == 6, isProgram(words[5]), words[1].hasPrefix("r"), !words[1].contains("w") else { return nil }
        let range = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard range.count == 2, range[0] < range[1] else { return nil }
        return (range[0], Int(range[1] - range[0]))
    }
}
