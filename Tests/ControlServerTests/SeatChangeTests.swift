import DesktopModel
import Foundation
import Testing

@testable import Broker

/// What an administrator changes about a seat, in the panel, on the command line and by the interface.
@Suite struct SeatChangeTests {
    @Test func aSeatIsBlockedUnblockedAndMoved() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            _ = try await server.punnet("lab", "create", "room2", "--image", "debian-desktop", "--size", "0", "--memory", "512MiB", "--vcpus", "1")
            let token = try await server.enrolledSeat("pi-1")
            func claim() async throws -> String {
                try await server.curl(
                    "/api/v1/seat/claim", "-H", "Authorization: Bearer \(token)", "-d", "{\"bootID\":\"3f2504e0-4f89-41d3-9a0c-0305e82c3301\"}"
                ).output
            }
            #expect(try await claim().hasSuffix("\n202"))
            #expect(try await browser.post("/panel/seats/pi-1/block").header("location") == "/seats/pi-1?done=seatBlocked")
            let refused = try await claim()
            #expect(refused.contains("seat-blocked") && refused.hasSuffix("\n403"), "\(refused)")
            #expect(try await browser.get("/seats").body.contains("state-blocked"))
            #expect(try await browser.get("/seats/pi-1").body.contains("/panel/seats/pi-1/unblock"))
            #expect(try await server.punnet("seat", "list").output.contains("blocked"))
            #expect(try await browser.post("/panel/seats/pi-1/unblock").status == 303)
            #expect(try await claim().hasSuffix("\n202"))

            let unknown = try await browser.post("/panel/seats/pi-1/lab", ["lab": "room9"])
            #expect(unknown.status == 422 && unknown.body.contains("there is no lab &#39;room9&#39;"), "\(unknown.body)")
            #expect(try await browser.post("/panel/seats/pi-1/lab", ["lab": "room2"]).status == 303)
            #expect(try await claim().contains("no-desktops"), "the other lab has none")
            let set = try await server.punnet("seat", "set", "pi-1", "--lab", "room1", "--block")
            #expect(set.output == "Seat pi-1 belongs to lab room1, and is blocked.\n", "\(set.errors)")
            #expect(try await claim().contains("seat-blocked"))
            #expect(try await server.punnet("seat", "set", "pi-1", "--unblock").status == 0)
            #expect(try await server.punnet("seat", "set", "pi-1").status == 64)
            #expect(try await server.punnet("seat", "set", "pi-9", "--block").status == 1)
            let entries = try await server.room.people.journal(before: nil, limit: 6)
            #expect(entries.map(\.action) == ["seat-unblock", "seat-block", "seat-move", "seat-move", "seat-unblock", "seat-block"])
            #expect(entries.allSatisfy { $0.subject == "pi-1" })
        }
    }

    @Test func aSeatIsNamedOtherwise() async throws {
        try await TestServer.run { server in
            _ = try await server.room.people.drawCode()
            let browser = Browser(server)
            try await browser.begin()
            _ = try await server.enrolledSeat("pi-1")
            _ = try await server.enrolledSeat("pi-2")
            #expect(try await browser.post("/panel/seats/pi-1/name", ["name": "window-3"]).header("location") == "/seats/window-3?done=seatRenamed")
            #expect(try await browser.get("/seats/window-3?done=seatRenamed").body.contains("The seat has its new name."))
            #expect(try await browser.get("/seats/pi-1").status == 404)
            let taken = try await browser.post("/panel/seats/window-3/name", ["name": "pi-2"])
            #expect(taken.status == 422 && taken.body.contains("there is already a seat named &#39;pi-2&#39;") && taken.body.contains("value=\"pi-2\""), "\(taken.body)")
            for wrong in ["", "Pi", "-pi", "pi/../x", "<b>", String(repeating: "p", count: 33)] {
                #expect(try await browser.post("/panel/seats/window-3/name", ["name": wrong]).status == 422, "\(wrong)")
            }
            let set = try await server.punnet("seat", "set", "window-3", "--name", "door-1", "--place", "2,3")
            #expect(set.output == "Seat door-1 belongs to lab room1, stands at 2, 3.\n", "\(set.errors)")
            #expect(try await server.punnet("seat", "show", "door-1").output.contains("Place        2, 3"))
            let refused = try await server.punnet("seat", "set", "door-1", "--name", "pi-2")
            #expect(refused.status == 1 && refused.errors.contains("there is already a seat named 'pi-2'"), "\(refused.errors)")
            #expect(try await server.punnet("seat", "set", "door-1", "--place", "17,1").errors.contains("use a column from 1 to 16 and a row from 1 to 12"))
            for wrong in ["1", "1,2,3", "a,b", ""] { #expect(try await server.punnet("seat", "set", "door-1", "--place", wrong).status == 64, "\(wrong)") }
            #expect(try await server.room.seats.seats().map(\.name) == ["door-1", "pi-2"])
            let entries = try await server.room.people.journal(before: nil, limit: 3)
            #expect(entries.map(\.action) == ["seat-place", "seat-rename", "seat-rename"])
            #expect(entries.map(\.subject) == ["door-1", "window-3", "pi-1"])
        }
    }

    /// All that is asked for or nothing: what the database holds and what the broker works with are one.
    @Test func aChangeOfWhichOnePartIsImpossibleChangesNothing() async throws {
        try await TestServer.run { server in
            _ = try await server.enrolledSeat("pi-1")
            _ = try await server.enrolledSeat("pi-2")
            let before = try await server.room.seats.seats()
            await #expect(throws: BrokerError.nameTaken(kind: "seat", name: "pi-2")) {
                try await server.room.seats.change("pi-1", .init(name: "pi-2", isBlocked: true, place: TablePlace(column: 1, row: 1)))
            }
            await #expect(throws: BrokerError.unknownLab("nowhere")) {
                try await server.room.seats.change("pi-1", .init(name: "pi-3", lab: "nowhere"))
            }
            #expect(try await server.room.seats.seats() == before)
            let known = await server.room.broker.room.seats.values.map(\.name).sorted()
            #expect(known == ["pi-1", "pi-2"])
        }
    }

    /// What comes at once is kept and told in one order: the broker knows no seat that the database has not, whichever was last.
    @Test func changesDuringARemovalLeaveOneTruth() async throws {
        try await TestServer.run { server in
            let (seats, broker) = (server.room.seats, server.room.broker)
            for round in 0..<30 {
                _ = try await seats.add("pi-1", lab: "room1")
                await withTaskGroup { group in
                    group.addTask { try? await seats.remove("pi-1") }
                    for caller in 0..<8 {
                        group.addTask { _ = try? await seats.change("pi-1", .init(isBlocked: caller.isMultiple(of: 2))) }
                    }
                }
                #expect(try await seats.seats().isEmpty, "round \(round)")
                #expect(await broker.room.seats.isEmpty, "round \(round)")
            }
        }
    }
}
