import Foundation
import Testing

extension XenLab {
    /// What a teacher does with a browser on the LAN, at a server with real Xen: Tests/PanelTests/lab.py does it.
    struct Teacher {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        /// `PUNNET_LONG` has the memory of the whole lab changed as well, which takes another checkpoint.
        @Test func thePanelShowsTheRoomTellsASeatAndChangesAWholeClass() async throws {
            try await lab.fillRoom()
            let seat = try await lab.seat("pi-1")
            try await seat.start()
            _ = try await seat.desktopShown(within: .seconds(200))
            try #require(try await seat.picture().share(of: .message) < 0.01)

            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let file = folder + "/browser.log"
            let browser = try Program(
                [Lab.repository + "/Tests/PanelTests/run", "--lab", "--https", Lab.address, "--lab", "room", "--seat", seat.name]
                    + (LongRun.isLong ? ["--memory", "640"] : []),
                environment: ["PUNNET_LAB": Lab.folder], log: file)
            @Sendable func told() -> String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }
            let outcome: Result<Void, any Error>
            do {
                try await eventually("the panel has sent a message", within: .seconds(300), holds: {
                    told().contains("ok      a_message_is_sent_to_the_seat") || !browser.isRunning
                })
                try await eventually("\(seat.name) shows the message over its desktop", within: .seconds(30), holds: {
                    try await seat.picture().share(of: .message) > 0.05
                })
                try await eventually("the browser is done", within: .seconds(1200), every: .seconds(1), holds: { !browser.isRunning })
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            await browser.end()
            say("the browser told: \(told())")
            try outcome.get()
            try #require(told().split(separator: "\n").last?.hasSuffix(" passed, 0 failed") == true, "\(told())")
            await lab.seatLeaves(seat.name)
        }
    }
}
