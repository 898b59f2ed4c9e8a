import Foundation
import Testing

/// What the fuzzer found worth keeping: `Corpus/<target>` reaches all that it has ever reached, `Crashes/<target>` once broke something.
@Suite struct CorpusTests {
    private func inputs(_ kind: String, _ target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "\(kind)/\(target.rawValue)")
        guard FileManager.default.fileExists(atPath: folder.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().map { name in
            (name, Array(try Data(contentsOf: folder.appending(path: name))))
        }
    }

    @Test(arguments: FuzzTarget.allCases) func theKeptInputsBreakNothing(target: FuzzTarget) throws {
        let inputs = try inputs("Corpus", target)
        #expect(!inputs.isEmpty, "each target has a corpus")
        for input in inputs {
            #expect(input.bytes.count <= target.maximumLength, "\(input.name)")
            #expect(throws: Never.self, "\(input.name)") { try target.check(input.bytes) }
        }
    }

    @Test(arguments: FuzzTarget.allCases) func whatOnceBrokeSomethingDoesSoNoMore(target: FuzzTarget) throws {
        for input in try inputs("Crashes", target) {
            #expect(throws: Never.self, "\(input.name)") { try target.check(input.bytes) }
        }
    }
}
