import Foundation
import Hypervisor

@testable import XenHypervisor

/// The program `guard-trial` beside this file, with the network guard's own rules.
enum GuardTrial {
    struct Outcome {
        let facts: [String]
        let errors: String
        let succeeded: Bool
    }

    static var canRun: Bool {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return geteuid() == 0 && folders.contains { access("\($0)/nft", X_OK) == 0 }
    }

    static func run(_ subnet: IPv4Subnet) async throws -> Outcome {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let guardFolder = here.appendingPathComponent("../../appliance/packages/punnet/usr/lib/punnet").standardizedFileURL.path
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("punnet-guard-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let closed = NetworkGuard(settings: NetworkSettings(subnet: subnet, guardFolder: guardFolder), logger: quiet)
        let open = NetworkGuard(settings: NetworkSettings(subnet: subnet, internet: true, guardFolder: guardFolder), logger: quiet)
        let (first, second) = (subnet.address(11), subnet.address(12))
        let texts = [
            "open": try open.rules(), "closed": try closed.rules(), "both": open.opening(to: [first, second]), "second": open.opening(to: [second]),
            "none": open.opening(to: []),
        ]
        for (name, text) in texts { try text.write(to: folder.appendingPathComponent(name + ".nft"), atomically: false, encoding: .utf8) }

        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["unshare", "--net", "--mount", here.path + "/guard-trial", folder.path, guardFolder + "/vif-punnet"]
        let errors = folder.appendingPathComponent("errors")
        try Data().write(to: errors)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        let printed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            facts: String(decoding: printed, as: UTF8.self).split(separator: "\n").map(String.init),
            errors: try String(contentsOf: errors, encoding: .utf8), succeeded: process.terminationStatus == 0)
    }
}
