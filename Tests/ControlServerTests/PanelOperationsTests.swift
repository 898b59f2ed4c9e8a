import ControlAPI
import Foundation
import Testing

/// Slow work as the panel shows it, and its end.
struct PanelOperationsTests {
    @Test func anImageThatIsBeingTakenInIsShownAndCanBeCancelledByAnAdministratorAlone() async throws {
        try await TestServer.run { server in
            let folder = server.folder + "/slow"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for file in ["disk.qcow2", "vmlinux", "initrd.img"] { try Data("x".utf8).write(to: URL(fileURLWithPath: folder + "/" + file)) }
            let description = """
                {"name": "slow", "boot": "pv", "kernel": "vmlinux", "ramdisk": "initrd.img", "disk": "disk.qcow2", "commandLine": "root=/dev/xvda",
                 "account": {"user": "student", "password": "secret"}, "minimumMemory": "256MiB"}
                """
            try Data(description.utf8).write(to: URL(fileURLWithPath: folder + "/image.json"))
            _ = try await server.room.people.drawCode()
            let administrator = Browser(server)
            try await administrator.begin()
            let teacher = try await administrator.teacher("tom", of: ["room1"])
            #expect(try await administrator.post("/panel/images/add", ["folder": folder]).status == 303)
            var page = ""
            #expect(
                try await eventually {
                    page = try await administrator.get("/images").body
                    return page.contains("The image is being taken in: 25 %")
                }, "\(page)")
            let action = try #require(page.firstMatch(of: /action="(\/panel\/operations\/[^"]+\/cancel)"/)).1
            #expect(try await administrator.get("/").body.contains(action), "the room's page has it too")
            #expect(try await teacher.post(String(action)).status == 403)
            #expect(try await administrator.post("/panel/operations/none/cancel").status == 404)

            let cancelled = try await administrator.post(String(action), ["back": "/images"])
            #expect(cancelled.status == 303 && cancelled.header("location")?.hasPrefix("/images") == true)
            #expect(try await eventually { try await !administrator.get("/images").body.contains("being taken in") })
            let list = try await server.punnet("operation", "list", "--json").output
            #expect(try JSONDecoder().decode([OperationMessage].self, from: Data(list.utf8)).map(\.state) == [.cancelled])
            let journal = try await server.room.people.journal(before: nil, limit: 10)
            #expect(journal.contains { $0.action == "operation-cancel" && $0.subject == folder }, "\(journal)")
            // Once more it changes nothing.
            #expect(try await administrator.post(String(action), ["back": "/images"]).header("location") == "/images")
        }
    }
}
