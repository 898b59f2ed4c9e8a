import Foundation
import Testing

@testable import Identity

struct AccountPasswordTests {
    @Test func eachIsAnotherAndHasAHashOfItsOwn() throws {
        let passwords = (0..<20).map { _ in AccountPassword() }
        #expect(Set(passwords.map(\.text)).count == 20)
        #expect(passwords.allSatisfy { $0.text.utf8.count == 20 })
        let hashes = try passwords.map { try $0.hashed() } + passwords.map { try $0.hashed() }
        #expect(Set(hashes).count == 40)
        #expect(hashes.allSatisfy { $0.utf8.count == 106 && $0.hasPrefix("$6$") })
    }

    /// Another program makes the same line of the same word and salt.
    @Test func theHashIsWhatOthersMakeOfIt() throws {
        let password = AccountPassword()
        let hash = try password.hashed()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = ["passwd", "-6", "-salt", String(hash.split(separator: "$")[1]), "-stdin"]
        let (input, output) = (Pipe(), Pipe())
        (process.standardInput, process.standardOutput) = (input, output)
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data((password.text + "\n").utf8))
        try input.fileHandleForWriting.close()
        let line = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(line.trimmingCharacters(in: .whitespacesAndNewlines) == hash)
    }
}
