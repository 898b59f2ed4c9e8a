import ControlAPI
import Foundation
import Testing

@Suite struct CommandLineTests {
    @Test func theRoomIsShownAsATableAndAsJSON() async throws {
        try await TestServer.run { server in
            let table = try await server.punnet("status")
            #expect(table.status == 0)
            #expect(table.output.contains("LAB    IMAGE"))
            #expect(table.output.contains("room1  debian-desktop-1  1"))
            #expect(table.output.contains("Seats   0 of 0 present"))
            let json = try await server.punnet("status", "--json")
            let room = try JSONDecoder().decode(RoomMessage.self, from: Data(json.output.utf8))
            #expect(room.labs.map(\.name) == ["room1"])
            #expect(room.labs.first?.memory == 512 << 20)
        }
    }

    @Test func aLabIsMadeChangedListedAndDeleted() async throws {
        try await TestServer.run { server in
            let made = try await server.punnet(
                "lab", "create", "room2", "--image", "debian-desktop", "--size", "0", "--memory", "0.5GiB", "--grace", "2min", "--after",
                "shut-down", "--json")
            let lab = try JSONDecoder().decode(LabMessage.self, from: Data(made.output.utf8))
            #expect(lab.memory == 512 << 20)
            #expect(lab.graceSeconds == 120)
            #expect(lab.afterSession == "shut-down")
            #expect(lab.image == "debian-desktop-1")

            #expect(try await server.punnet("lab", "set", "room2", "--grace", "5min").status == 0)
            let list = try await server.punnet("lab", "list")
            #expect(list.output.contains("room2"))
            #expect(list.output.contains("5min"))

            #expect(try await server.punnet("lab", "delete", "room2").status == 0)
            #expect(try await server.punnet("lab", "list").output.contains("room2") == false)
        }
    }

    @Test func aLabIsToldHowManyStandReadyAndAreMadeAtOnce() async throws {
        try await TestServer.run { server in
            let set = try await server.punnet("lab", "set", "room1", "--size", "3", "--ready", "1", "--at-once", "1", "--json")
            let lab = try JSONDecoder().decode(LabMessage.self, from: Data(set.output.utf8))
            #expect((lab.size, lab.leastReady, lab.atOnce) == (3, 1, 1))
            let back = try await server.punnet("lab", "set", "room1", "--ready", "all", "--at-once", "any", "--json")
            #expect(try JSONDecoder().decode(LabMessage.self, from: Data(back.output.utf8)).leastReady == 0)
            let wrong = try await server.punnet("lab", "set", "room1", "--ready", "0")
            #expect(wrong.status == 64)
            #expect(wrong.errors.contains("'0' is neither a number from 1 nor 'all'."))
            let much = try await server.punnet("lab", "set", "room1", "--at-once", "65")
            #expect(much.status == 1)
            #expect(much.errors.contains("use 1 to 64, or 0 for as many as the server allows"), "\(much.errors)")
        }
    }

    @Test func theInternetIsOpenedToALabAndClosedAgain() async throws {
        try await TestServer.run { server in
            func isOn(_ answer: Command) throws -> Bool { try JSONDecoder().decode(LabMessage.self, from: Data(answer.output.utf8)).internet }
            #expect(try isOn(try await server.punnet("lab", "set", "room1", "--internet", "on", "--json")))
            #expect(try await server.punnet("lab", "list").output.contains("INTERNET"))
            #expect(try isOn(try await server.punnet("lab", "set", "room1", "--grace", "5min", "--json")), "what is not named stays")
            #expect(try !isOn(try await server.punnet("lab", "set", "room1", "--internet", "off", "--json")))
            let plain = try await server.punnet("lab", "create", "room2", "--image", "debian-desktop", "--size", "0", "--json")
            #expect(try !isOn(plain), "a new lab is kept from it")
            #expect(try isOn(try await server.punnet("lab", "create", "room3", "--image", "debian-desktop", "--size", "0", "--internet", "on", "--json")))
            #expect(try await server.punnet("journal").output.contains("internet off"))
            #expect(try await server.punnet("lab", "set", "room1", "--internet", "perhaps").status == 64)
        }
    }

    @Test func aDesktopHasHardwareOfItsOwnAndItsLabsAgain() async throws {
        try await TestServer.run { server in
            #expect(await eventually { (try? await server.punnet("desktop", "list").output.contains("room1-1")) ?? false })
            let set = try await server.punnet("desktop", "set", "room1-1", "--memory", "640MiB", "--yes")
            #expect(set.output.contains("room1-1 "))
            #expect(set.output.contains("1 vCPU and 640 MiB"), "\(set.output) \(set.errors)")
            #expect(try await server.punnet("desktop", "list").output.contains("1 × 640 MiB, its own"))
            let much = try await server.punnet("desktop", "set", "room1-1", "--memory", "100GiB", "--yes")
            #expect(much.status == 1)
            #expect(much.errors.contains("left beside what its labs are to have"), "\(much.errors)")
            let back = try await server.punnet("desktop", "set", "room1-1", "--as-lab", "--yes", "--json")
            #expect(back.output.contains("1 vCPU and 512 MiB"), "\(back.output)")
            #expect(try await server.punnet("desktop", "list").output.contains("its own") == false)
            #expect(try await server.punnet("desktop", "set", "room1-1").status == 64)
            #expect(try await server.punnet("desktop", "set", "room1-9", "--vcpus", "2").status == 1)
        }
    }

    @Test func oneIdentityForAllDesktopsOfAnImageIsAcceptedOnlyOnPurpose() async throws {
        try await TestServer.run { server in
            let unsaid = try await server.punnet("image", "set", "debian-desktop", "--shared-identity", "accept")
            #expect(unsaid.status != 0)
            #expect(try await server.punnet("image", "list").output.contains("booted"))
            let accepted = try await server.punnet("image", "set", "debian-desktop", "--shared-identity", "accept", "--yes")
            #expect(accepted.output == "Desktops of debian-desktop-1 are restored from now on, and share one identity.\n", "\(accepted.errors)")
            #expect(try await server.punnet("image", "list").output.contains("restored, one identity"))
            #expect(try await server.punnet("image", "set", "debian-desktop-1", "--shared-identity", "refuse").status == 0)
            #expect(try await server.punnet("image", "list").output.contains("booted"))
            #expect(try await server.punnet("image", "set", "nothing", "--shared-identity", "refuse").status == 1)
            #expect(try await server.punnet("image", "set", "debian-desktop", "--notes", "with Scratch").status == 0)
            #expect(try await server.punnet("image", "list").output.contains("with Scratch"))
            #expect(try await server.punnet("image", "set", "debian-desktop").status == 64, "nothing is to be set")
            let needed = try await server.punnet("image", "delete", "debian-desktop", "--yes")
            #expect(needed.status == 1 && needed.errors.contains("lab 'room1'"))
        }
    }

    @Test func whatPunnetdRefusesIsSaidAndSeenInTheExitStatus() async throws {
        try await TestServer.run { server in
            let unknown = try await server.punnet("lab", "delete", "room9")
            #expect(unknown.status == 1)
            #expect(unknown.errors.contains("there is no lab 'room9'"))
            let taken = try await server.punnet("lab", "create", "room1", "--image", "debian-desktop", "--size", "0")
            #expect(taken.status == 1)
            #expect(taken.errors.contains("room1"))
            let noImage = try await server.punnet("lab", "create", "room2", "--image", "nothing", "--size", "1")
            #expect(noImage.status == 1)
            #expect(noImage.errors.contains("there is no image 'nothing'"))
            #expect(noImage.output.isEmpty)
        }
    }

    @Test func aLabThatDoesNotFitIsRefusedWithWhatWouldAndWhatEndsFirst() async throws {
        try await TestServer.run { server in
            // 4 GiB less dom0's 2 and Xen's share, and one desktop is room1's.
            let refused = try await server.punnet("lab", "create", "room2", "--image", "debian-desktop", "--size", "24")
            #expect(refused.status == 1)
            #expect(refused.errors.contains("this server holds 2 desktops of this profile; 24 were asked for"))
            #expect(refused.errors.contains("its memory ends first"))
            #expect(refused.errors.contains("Choose a size of at most 2, or less memory for each desktop"))
            let larger = try await server.punnet("lab", "set", "room1", "--size", "4")
            #expect(larger.status == 1)
            #expect(larger.errors.contains("this server holds 3 desktops of this profile; 4 were asked for"))
        }
    }

    @Test func aDesktopThatCannotBeMadeIsExplained() async throws {
        try await TestServer.run { server in
            let explained = try await eventually {
                let answer = try await server.punnet("desktop", "explain", "room1-1", "--json")
                let told = try JSONDecoder().decode(DesktopExplanationMessage.self, from: Data(answer.output.utf8))
                return told.desktop.state == "quarantined" && told.cause?.contains("there is no Xen here") == true && told.nextAt != nil
                    && told.failure?.step == "domain"
            }
            #expect(explained)
            let shown = try await eventually {
                let text = try await server.punnet("desktop", "explain", "room1-1").output
                return [
                    "room1-1: quarantined", "Cause     building its domain failed", "Next      it is made anew, at ",
                    "You can   'punnet desktop remake room1-1'",
                ].allSatisfy(text.contains)
            }
            #expect(shown)
            let unknown = try await server.punnet("desktop", "explain", "room1-9")
            #expect(unknown.status == 1)
            #expect(unknown.errors.contains("there is no desktop 'room1-9'"))
        }
    }

    @Test func aLabWithSeatsIsNotDeleted() async throws {
        try await TestServer.run { server in
            #expect(try await server.punnet("seat", "add", "pi-01", "--lab", "room1").status == 0)
            let refused = try await server.punnet("lab", "delete", "room1", "--yes")
            #expect(refused.status == 1)
            #expect(refused.errors.contains("pi-01"))
        }
    }

    @Test(arguments: [
        ["lab", "set", "room1"], ["lab", "create", "x"], ["nothing"], ["session", "end", "x"],
        ["lab", "create", "x", "--image", "i", "--size", "1", "--memory", "lots"],
    ])
    func aCommandWrittenWronglyIsAnErrorOfUsage(_ words: [String]) async throws {
        let command = try await Command.run([TestServer.program] + words)
        #expect(command.status == 64)
        #expect(command.output.isEmpty)
    }

    @Test func withoutAServerTheExitStatusIsUnavailable() async throws {
        let away = try await Command.run(TestServer.program, "status", "--socket", "/nonexistent/control.sock")
        #expect(away.status == 69)
        #expect(away.errors.contains("/nonexistent/control.sock"))
    }

    @Test(.enabled(if: getuid() == 0, "another user is needed"))
    func whoMayNotAdministerIsToldWhatToDo() async throws {
        try await TestServer.run { server in
            let program = server.folder + "/punnet"
            // By a program of its own: a file that this process has open for writing is inherited by all it starts, and cannot be run.
            #expect(try await Command.run("cp", TestServer.program, program).status == 0)
            func asNobody() async throws -> Command {
                try await Command.run(
                    "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", program, "status", "--socket", server.socket)
            }
            let closed = try await asNobody()
            #expect(closed.status == 77)
            #expect(closed.errors.contains("sudo"))
            chmod(server.socket, 0o666)
            let refused = try await asNobody()
            #expect(refused.status == 77)
            #expect(refused.errors.contains("Use sudo"))
        }
    }

    @Test func anImageThatCannotBeTakenInIsSaidWithItsReason() async throws {
        try await TestServer.run { server in
            let absent = try await server.punnet("image", "add", server.folder + "/nothing")
            #expect(absent.status == 1)
            #expect(absent.errors.contains("there is no folder"))
            let empty = try await server.punnet("image", "add", server.folder)
            #expect(empty.status == 1)
            #expect(empty.errors.contains("image.json"))
            let list = try await server.punnet("image", "list")
            #expect(list.output.contains("debian-desktop-1"))
            #expect(!list.output.contains("secret"))
        }
    }

    @Test func slowWorkIsListedAndWhatIsOverIsNotCancelled() async throws {
        try await TestServer.run { server in
            #expect(try await server.punnet("operation", "list").output == "No operations since punnetd was started.\n")
            #expect(try await server.punnet("image", "add", server.folder).status == 1)
            let list = try await server.punnet("operation", "list", "--state", "failed", "--json")
            let failed = try #require(try JSONDecoder().decode([OperationMessage].self, from: Data(list.output.utf8)).first)
            #expect(failed.subject == server.folder && failed.kind == "image-add")
            let table = try await server.punnet("operation", "list").output
            #expect(table.contains(failed.id) && table.contains("image.json"), "\(table)")
            let refused = try await server.punnet("operation", "cancel", failed.id)
            #expect(refused.status == 1 && refused.errors.contains("nothing is left to cancel"), "\(refused)")
            #expect(try await server.punnet("operation", "watch", failed.id).errors.contains("image.json"))
            let unknown = try await server.punnet("operation", "cancel", "none")
            #expect(unknown.status == 1 && unknown.errors.contains("no operation 'none'"))
        }
    }

    @Test func desktopsAndSessionsAreListed() async throws {
        try await TestServer.run { server in
            let shown = try await eventually {
                let list = try await server.punnet("desktop", "list", "--json")
                let desktops = try JSONDecoder().decode([DesktopMessage].self, from: Data(list.output.utf8))
                return desktops.map(\.name) == ["room1-1"] && desktops[0].explanation?.isEmpty == false
            }
            #expect(shown)
            #expect(try await server.punnet("desktop", "remake", "room1-9").status == 1)
            #expect(try await server.punnet("desktop", "remake", "room1-1").status == 0)
            #expect(try await server.punnet("desktop", "list", "--lab", "room9").status == 1)
            let sessions = try await server.punnet("session", "list", "--all")
            #expect(sessions.output == "No sessions.\n")
            #expect(try await server.punnet("session", "end", "12").status == 1)
        }
    }
}
