import Foundation
import Testing

extension XenLab {
    /// What is, and is not, in what a school gets.
    struct Product {
        @Test func theLabsChannelIsInNoPackageAndNoImageButTheLabsOwn() async throws {
            let packages = try #require(Lab.packages)
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }

            // The server's image: of all that is on its disk, not a byte of the channel's name. The image's file is searched, since the
            // disk itself is mostly emptiness; its clusters are stored as they are.
            let images = try await Program.output(of: [Lab.repository + "/Scripts/xen-lab", "images"], within: .seconds(600))
            let server = try #require(images.split(separator: "\n").first { $0.hasPrefix("server=") }?.dropFirst("server=".count))
            let image = "\(server)/disk.qcow2", disk = folder + "/server.raw"
            try #require(try await Program.output(of: ["qemu-img", "check", image]).contains(" 0.00% compressed"))
            try #require(try await Self.file(image, holds: "punnet-disks.service"), "the search finds what is there")
            try #require(try await !Self.file(image, holds: Self.port))
            try #require(try await !Self.file(image, holds: "punnet-lab"))
            _ = try await Program.output(of: ["qemu-img", "convert", "-O", "raw", image, disk], within: .seconds(120))
            try #require(try await Self.entry("/etc/systemd/system/punnet-disks.service", in: disk).contains("Type: regular"))
            for path in ["/usr/lib/punnet-lab", "/usr/lib/systemd/system/punnet-lab.service"] {
                try #require(try await Self.entry(path, in: disk).contains("File not found"), "\(path)")
            }
            try FileManager.default.removeItem(atPath: disk)

            // The packages: the channel is in the lab's, and in no other.
            let entries = try await Self.entry("/", in: packages, request: "ls -p").split(separator: "/")
            let debs = entries.map(String.init).filter { $0.hasSuffix(".deb") }
            var withChannel: [String] = []
            for deb in debs {
                _ = try await Program.output(of: ["debugfs", "-R", "dump /\(deb) \(folder)/\(deb)", packages])
                let tree = folder + "/tree"
                _ = try await Program.output(of: ["dpkg-deb", "--raw-extract", "\(folder)/\(deb)", tree])
                let found = try await Program.run(["grep", "-rla", "-e", Self.port, "-e", "/usr/lib/punnet-lab", tree])
                try #require(found.status <= 1, "\(found.complaint)")
                if found.status == 0 { withChannel.append(String(deb.prefix { $0 != "_" })) }
                try FileManager.default.removeItem(atPath: tree)
            }
            try #require(debs.contains { $0.hasPrefix("punnet_") })
            try #require(withChannel == ["punnet-lab"], "\(debs)")
            try #require(!debs.contains { $0.hasPrefix("punnet-guest") }, "it is the desktops', not the appliance's")
        }

        @Test func whatTheLabLaysOverItsDesktopsIsOnItsOwnDiskOnly() async throws {
            let packages = try #require(Lab.packages)
            let images = try await Program.output(of: [Lab.repository + "/Scripts/xen-lab", "images"], within: .seconds(600))
            func place(_ name: String) throws -> String {
                String(try #require(images.split(separator: "\n").first { $0.hasPrefix(name + "=") }).dropFirst(name.count + 1))
            }
            let (desktop, disk) = (try place("desktop"), try place("images"))
            for word in ["lab-desktop", "lab.wakes"] {
                try #require(try await Self.file(disk, holds: word), "the search finds what is there")
                for file in ["\(desktop)/disk.qcow2", "\(desktop)/initrd.img", "\(desktop)/image.json", packages] {
                    try #require(try await !Self.file(file, holds: word), "\(word) is in \(file)")
                }
            }
        }

        private static let port = "virtio-ports/punnet"

        private static func file(_ path: String, holds text: String) async throws -> Bool {
            // Zero bytes end a line, so that a line is never longer than memory.
            let outcome = try await Program.run(
                ["sh", "-c", "tr '\\000' '\\n' <\"$1\" | grep -qaF -e \"$2\"", "sh", path, text], within: .seconds(120))
            guard outcome.status <= 1 else { throw Program.Failure(description: outcome.complaint) }
            return outcome.status == 0
        }

        private static func entry(_ path: String, in disk: String, request: String = "stat") async throws -> String {
            let outcome = try await Program.run(["debugfs", "-R", "\(request) \(path)", disk])
            return outcome.output + outcome.complaint
        }
    }
}
