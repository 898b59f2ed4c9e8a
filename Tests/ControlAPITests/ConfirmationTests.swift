import Testing

@testable import punnet

@Suite struct ConfirmationTests {
    @Test(.enabled(if: !Terminal.canAsk, "for runs without a terminal"))
    func whereNobodyCanBeAskedASessionEndsOnlyWithYes() throws {
        let failure = try #require(throws: CommandFailure.self) {
            try Terminal.confirm("Desktop room1-1 is in use: session 12 ends", yes: false, harmless: false)
        }
        #expect(failure.exitStatus == 1)
        #expect(failure.description.contains("--yes"))
        try Terminal.confirm("Desktop room1-1 is in use: session 12 ends", yes: true, harmless: false)
        try Terminal.confirm("Lab room1 and its desktops are deleted", yes: false, harmless: true)
    }
}
