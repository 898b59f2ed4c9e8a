import ArgumentParser
import Foundation
import Glibc
import Hypervisor
import Synchronization

/// The model test: the real broker and the real database live through random histories on a simulated server, with crashes at every effect.
///
/// A history is decided by its seed. It is checked at each deed against what must always hold, and at its end for progress.
@main
struct PunnetModel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "punnet-model",
        abstract: "Lets the broker live through random histories, and tells what must never be.",
        discussion: "Exit codes: 0 no history showed anything wrong; 1 one did, and its seed and shortest form are printed.")

    @Option(help: "How many histories.")
    var histories = 1_000
    @Option(help: "The seed of the first; each further one has the next number.")
    var seed: UInt64 = 1
    @Option(help: "How many things happen in one history.")
    var actions = 30
    @Option(help: "Where histories keep their database.")
    var folder = "/dev/shm"

    func run() throws {
        // Iterating over sets and dictionaries is the same in every process then, and so is a history.
        if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
            setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
            var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
            execv("/proc/self/exe", &arguments)
            throw ModelError("the program cannot start itself anew: \(errno)")
        }
        JobLoop.takeOver()
        let work = "\(folder)/punnet-model-\(getpid())"
        try FileManager.default.createDirectory(atPath: work, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: work) }
        let template = try Template.make(in: work)

        let began = ContinuousClock.now
        var kills = 0
        var digest = 0
        for number in 0..<UInt64(histories) {
            let seed = seed + number
            var random = SplitMix(seed: seed &* 0x9e37 &+ 1)
            let wanted = (0..<actions).map { _ in Action.random(&random) }
            let (violations, killed, deeds) = try Self.live(seed, wanted, in: work, template)
            kills += killed
            digest = digest &* 31 &+ deeds
            guard violations.isEmpty else {
                try Self.tell(seed, wanted, violations, in: work, template)
                throw ExitCode(1)
            }
        }
        print("\(histories) histories, \(kills) daemons killed in them, in \(ContinuousClock.now - began)")
        print("what was done: \(String(UInt(bitPattern: digest), radix: 16))")
    }

    /// Lives through one history; tells what must never be, how many daemons were killed in it, and a digest of all that was done.
    private static func live(_ seed: UInt64, _ actions: [Action], in work: String, _ template: String) throws -> ([String], Int, Int) {
        let history = try History(seed: seed, folder: "\(work)/history", template: template)
        for action in actions {
            try history.happen(action)
            if !history.violations.isEmpty { return (history.violations, history.kills, history.digest) }
        }
        history.conclude()
        return (history.violations, history.kills, history.digest)
    }

    /// Leaves out of a failing history what it fails without, and prints what remains.
    private static func tell(_ seed: UInt64, _ actions: [Action], _ violations: [String], in work: String, _ template: String) throws {
        print("FAILED: seed \(seed): \(violations[0])")
        var shortest = actions
        var step = max(1, shortest.count / 2)
        while true {
            var start = 0
            while start < shortest.count {
                var shorter = shortest
                shorter.removeSubrange(start..<min(start + step, shortest.count))
                if try !live(seed, shorter, in: work, template).0.isEmpty { shortest = shorter } else { start += step }
            }
            guard step > 1 else { break }
            step /= 2
        }
        let remaining = try live(seed, shortest, in: work, template).0
        print("shortest form, \(shortest.count) of \(actions.count):")
        for action in shortest { print("  \(action)") }
        print("what is wrong: \(remaining.joined(separator: "\n               "))")
        print("again: punnet-model --seed \(seed) --histories 1 --actions \(actions.count)")
    }
}
