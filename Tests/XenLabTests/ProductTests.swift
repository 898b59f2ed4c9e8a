import Foundation
import Testing

extension XenLab {
    /// What is, and is not, in what a school gets.
    struct Product {
        @Test func theLabsChannelIsInNoPackageAndNoImageButTheLabsOwn() async throws {
            let packages = try #require(Lab.packages)
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }

            // The server's image: of its whole disk, not a byte of the channel's name.
            let images = try await Program.output(of: [Lab.repository + "/Scripts/xen-lab", "images"], within: .seconds(600))
            let server = try #require(images.split(separator: "\n").first { $0.hasPrefix("server=") }?.dropFirst("server=".count))
            let disk = folder + "/server.raw"
            _ = try await Program.output(of: ["qemu-img", "convert", "-O", "raw", "\(server)/disk.qcow2", disk], within: .seconds(120))
            try #require(try await Self.file(disk, holds: "punnet-packages.service"), "the search finds what is there")
            try #require(try await !Self.file(disk, holds: Self.port))
            try #require(try await !Self.file(disk, holds: "punnet-lab"))
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
        }

        private static let port = "virtio-ports/punnet"

        private static func file(_ path: String, holds text: String) async throws -> Bool {
            let outcome = try await Program.run(["grep", "-qaF", text, path], within: .seconds(120))
            guard outcome.status <= 1 else { throw Program.Failure(description: outcome.complaint) }
            return outcome.status == 0
        }

        private static func entry(_ path: String, in disk: String, request: String = "stat") async throws -> String {
            let outcome = try await Program.run(["debugfs", "-R", "\(request) \(path)", disk])
            return outcome.output + outcome.complaint
        }
    }
}
