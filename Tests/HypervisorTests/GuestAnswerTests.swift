import Hypervisor
import Testing

@Suite struct GuestAnswerTests {
    private static let call = String(repeating: "0a", count: 16)

    @Test func whatAGuestSaysIsRead() {
        #expect(GuestAnswer(untrusted: "time \(Self.call)") == .asksForTime(call: Self.call))
        #expect(GuestAnswer(untrusted: "done \(Self.call)") == .done(call: Self.call))
        #expect(
            GuestAnswer(untrusted: "failed \(Self.call) there is no user 'anna'") == .failed(call: Self.call, reason: "there is no user 'anna'"))
        #expect(GuestAnswer(untrusted: "spare \(Self.call) 409600") == .spares(call: Self.call, memory: .mebibytes(400)))
    }

    @Test(arguments: [
        "", " ", "done", "done ", "done \(call) ", "done \(call) again", "Done \(call)", "done \(call)0", "done 0a", "time  \(call)",
        "spare \(call)", "spare \(call) ", "spare \(call) -4", "spare \(call) 4 k", "spare \(call) 1234567890123", "spare \(call) 0x10",
        "failed \(call)", "ready \(call)", " done \(call)", "done \(call.uppercased())", "done \(String(repeating: "g", count: 32))",
    ])
    func whatIsNoAnswerIsNone(text: String) {
        #expect(GuestAnswer(untrusted: text) == nil)
    }

    @Test func aReasonIsShortAndPlain() {
        let text = "failed \(Self.call) a\u{1b}[31m\nb\0\u{202e}c" + String(repeating: "d", count: 4000)
        #expect(GuestAnswer(untrusted: text) == .failed(call: Self.call, reason: "a[31mbc" + String(repeating: "d", count: 193)))
    }
}
