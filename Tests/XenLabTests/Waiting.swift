import Foundation
import Synchronization

/// How long everything may take here. The lab's times are made for a quiet machine; one that others share may be slower throughout.
enum Pace {
    /// What a quiet machine takes from the power-on until punnetd answers.
    static let bootOnQuietMachine = Duration.seconds(60)
    private static let measured = Mutex(1.0)

    /// By how much every limit is longer: from 1, where the server booted as quickly as on a quiet machine, to 4.
    static var factor: Double { measured.withLock { $0 } }

    /// Learns it from a server's boot. The slowest boot counts.
    static func learn(fromBoot took: Duration) {
        measured.withLock { $0 = max($0, min(4, took / bootOnQuietMachine)) }
    }
}

/// A condition did not come true in time.
struct TooLate: Error, CustomStringConvertible {
    let description: String
}

/// Waits until the condition gives a value, and gives that. Once every few seconds it says what it waits for.
///
/// An error of the condition counts as "not yet", and is told when the time is over. The time is for a quiet machine: see ``Pace``.
@discardableResult
func eventually<Value: Sendable>(
    _ what: String, within limit: Duration, every pause: Duration = .milliseconds(300),
    _ condition: @Sendable () async throws -> Value?
) async throws -> Value {
    let limit = limit * Pace.factor
    let clock = ContinuousClock()
    let start = clock.now
    var told = start
    while true {
        var reason = ""
        do {
            if let value = try await condition() { return value }
        } catch {
            reason = ": \(error)"
        }
        let now = clock.now
        guard now - start < limit else { throw TooLate(description: "not within \(limit): \(what)\(reason)") }
        if now - told > .seconds(15) {
            told = now
            say("still waiting, \(seconds(now - start)): \(what)")
        }
        try await Task.sleep(for: pause)
    }
}

/// The same for a condition that only holds or does not.
func eventually(
    _ what: String, within limit: Duration, every pause: Duration = .milliseconds(300), holds condition: @Sendable () async throws -> Bool
) async throws {
    try await eventually(what, within: limit, every: pause) { try await condition() ? true : nil }
}

/// A line of progress on standard error.
func say(_ line: String) {
    FileHandle.standardError.write(Data("lab: \(line)\n".utf8))
}

/// A measured figure: printed, never judged.
func figure(_ name: String, _ value: String) {
    FileHandle.standardError.write(Data("figure: \(name): \(value)\n".utf8))
}

/// The duration in seconds with one decimal.
func seconds(_ duration: Duration) -> String {
    String(format: "%.1f s", Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18)
}

/// How long the work took.
func time(isolation: isolated (any Actor)? = #isolation, _ work: () async throws -> Void) async rethrows -> Duration {
    let clock = ContinuousClock()
    let start = clock.now
    try await work()
    return start.duration(to: clock.now)
}
