import DesktopModel
import Foundation
import Testing

@testable import DesktopStore

/// One after the other: a process that is traced is slow.
@Suite(.serialized) struct DurabilityTests {
    @Test func theConnectionThatWritesIsFullySynchronous() async throws {
        let fixture = try await Fixture()
        let full = 2
        #expect(try await fixture.store.synchronousMode() == full)
    }

    /// The kernel is asked: strace writes down every sync of this process, with the file that it was for.
    @Test func everyLeaseIsSyncedToTheDiskOnce() async throws {
        let fixture = try await Fixture()
        let leases = 20
        try await fixture.store.apply(fixture.lease(1))
        try await fixture.store.apply(fixture.end(1) + [.desktopChanged(fixture.desktops[0])])
        let trace = try SyncTrace(folder: fixture.folder.path)
        var syncs = 0
        for number in 2...(leases + 1) {
            try await fixture.store.apply(fixture.lease(Int64(number)))
            syncs += 1
            try await fixture.store.apply(fixture.end(Int64(number)) + [.desktopChanged(fixture.desktops[0])])
            syncs += 1
        }
        let lines = try trace.finish().filter { $0.contains(fixture.path + "-wal>") }
        print("\(syncs) commits, \(lines.count) syncs of the write-ahead log")
        #expect(lines.count == syncs, "\(lines)")
    }

    /// A figure for people to read; nothing depends on it.
    @Test func theTimeOfAThousandLeasesIsPrinted() async throws {
        let fixture = try await Fixture()
        var times: [Duration] = []
        for number in 1...1_000 {
            let began = ContinuousClock.now
            try await fixture.store.apply(fixture.lease(Int64(number)))
            times.append(ContinuousClock.now - began)
            try await fixture.store.apply(fixture.end(Int64(number)) + [.desktopChanged(fixture.desktops[0])])
        }
        times.sort()
        #expect(try await fixture.store.room().nextSession == SessionID(rawValue: 1_001))
        print("1,000 leases committed: p50 \(times[500]), p99 \(times[990]), longest \(times[999])")
    }

    /// A file system of 2 MiB is really filled; mounting it needs root.
    @Test func aFullDiskIsToldAndTheStoreGoesOnWhenThereIsRoom() async throws {
        try #require(geteuid() == 0, "mounting a small file system needs root")
        let folder = try TemporaryFolder()
        try #require(mount("tmpfs", folder.path, "tmpfs", 0, "size=2m") == 0)
        defer { umount2(folder.path, Int32(MNT_DETACH)) }
        let path = folder.path + "/punnet.db"
        let store = try Fixture.open(path)
        let image = try await store.addImage(Fixture.newImage("debian", 1))
        let filler = folder.path + "/filler"
        try Data().write(to: URL(fileURLWithPath: filler))
        let file = try #require(FileHandle(forWritingAtPath: filler))
        while (try? file.write(contentsOf: [UInt8](repeating: 1, count: 4_096))) != nil {}
        try file.close()

        var kept = [image.version]
        var failure: StoreError?
        for version in 2...500 {
            do {
                _ = try await store.addImage(Fixture.newImage("debian", version))
                kept.append(version)
            } catch {
                failure = error
                break
            }
        }
        #expect(failure == .fullDisk(path: path))
        #expect(try await store.room().images.map(\.version) == kept, "what was kept is there, what failed is not")

        try FileManager.default.removeItem(atPath: filler)
        let next = try #require(kept.last) + 1
        _ = try await store.addImage(Fixture.newImage("debian", next))
        #expect(try await store.room().images.map(\.version) == kept + [next])
        try store.close()
    }
}

/// strace attached to this process, writing down syncs; ended with the value.
final class SyncTrace {
    private let process = Process()
    private let output: String

    init(folder: String) throws {
        output = folder + "/syncs.txt"
        try #require(FileManager.default.isExecutableFile(atPath: "/usr/bin/strace"), "strace is missing: install Debian's package strace")
        process.executableURL = URL(fileURLWithPath: "/usr/bin/strace")
        process.arguments = ["-f", "-y", "-e", "trace=fsync,fdatasync", "-o", output, "-p", String(getpid())]
        let messages = Pipe()
        process.standardError = messages
        // strace ends at SIGINT and would inherit a mask that blocks it.
        var none = sigset_t()
        var before = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
        var said = ""
        while !said.contains("attached") {
            let bytes = messages.fileHandleForReading.availableData
            try #require(!bytes.isEmpty, "strace could not attach: \(said)")
            said += String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Detaches and gives the lines, one for each sync.
    func finish() throws -> [String] {
        process.interrupt()
        process.waitUntilExit()
        return try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n").map(String.init).filter { $0.contains("sync(") }
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }
}
