import Foundation
import HypervisorContract
import Testing

extension XenLab {
    /// How quick the appliance's own work is: what `punnet-bench` measures in dom0. Last, since the bench takes the first desktop's place.
    @Suite(.enabled(if: Bench.path != nil, "no punnet-bench is built: swift build -c release --static-swift-stdlib --product punnet-bench"))
    struct Work {
        let lab: Lab

        init() throws { lab = try #require(Lab.current) }

        @Test(.enabled(if: LongRun.isLong, "for the long run"))
        func realXenKeepsEveryPromiseThatTheTwinKeeps() async throws {
            try await makeRoom()
            let answer = try await lab.dom0("punnet-bench xen contract; true", within: .seconds(2400))
            let lines = answer.split(separator: "\n").map(String.init)
            for line in lines where line.hasPrefix("FAILED") { Issue.record("\(line)") }
            for fact in HypervisorContract.facts {
                let isAsked = lines.contains { $0.hasPrefix("ok      \(fact) (") || $0.hasPrefix("FAILED  \(fact): ") }
                try #require(isAsked, "not asked: \(fact)")
            }
            try #require(lines.last == "\(HypervisorContract.facts.count) kept, 0 broken", "\(answer)")
            figure("promises kept by real Xen", "\(HypervisorContract.facts.count)")
        }

        @Test(.enabled(if: LongRun.isLong, "for the long run")) func handOutsAndPausesAreMeasured() async throws {
            try await makeRoom()
            let times = 1000
            for subject in ["handout", "xen pause"] {
                let answer = try await lab.dom0("punnet-bench \(subject) --count \(times)", within: .seconds(900))
                let line = try #require(answer.split(separator: "\n").last { $0.hasPrefix("{") })
                let counted = try JSONDecoder().decode(Bench.Count.self, from: Data(line.utf8))
                try #require(counted.count == times)
                figure("punnet-bench \(subject)", String(line))
            }
        }

        /// Takes the room off the server and puts the bench on it.
        private func makeRoom() async throws {
            let path = try #require(Bench.path)
            if try await lab.dom0("systemctl is-active punnetd || true").hasPrefix("active") {
                await lab.seatsLeave()
                for seat in try await lab.seatNames() { try await lab.dom0("punnet seat remove \(seat) --yes") }
                if try await lab.dom0("punnet lab list").contains("room") {
                    try await lab.dom0("punnet lab delete room --yes", within: .seconds(60))
                }
                try await eventually("the room is empty", within: .seconds(60)) { try await lab.domains().isEmpty }
                try await lab.dom0("systemctl stop punnetd", within: .seconds(60))
            }
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let stripped = folder + "/punnet-bench"
            _ = try await Program.output(of: ["strip", "-o", stripped, path])
            try await lab.put(try Data(contentsOf: URL(fileURLWithPath: stripped)), at: "/usr/local/bin/punnet-bench")
            try await lab.dom0("chmod 755 /usr/local/bin/punnet-bench")
        }
    }
}

/// The program that measures.
enum Bench {
    struct Count: Decodable { let count: Int }

    static let path: String? = [
        ProcessInfo.processInfo.environment["PUNNET_LAB_BENCH"], Lab.repository + "/.build/release/punnet-bench",
    ].compactMap { $0 }.first { FileManager.default.isExecutableFile(atPath: $0) }
}
