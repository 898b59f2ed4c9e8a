import Glibc
import HypervisorContract

/// Asks for promises one after the other, and prints a line for each.
struct ContractRun {
    /// Checks whose fact does not contain it are left out.
    let only: String
    /// Checks before the first whose fact contains it are left out.
    private let from: String
    private var hasBegun: Bool
    private(set) var kept = 0
    private(set) var broken = 0

    init(only: String, from: String) {
        self.only = only
        self.from = from
        hasBegun = from.isEmpty
    }

    mutating func ask<Rig>(_ checks: [ContractCheck<Rig>], _ keep: (ContractCheck<Rig>) async throws -> Void) async {
        for check in checks where only.isEmpty || check.fact.contains(only) {
            hasBegun = hasBegun || check.fact.contains(from)
            guard hasBegun else { continue }
            let clock = ContinuousClock()
            let began = clock.now
            do {
                try await keep(check)
                kept += 1
                print("ok      \(check.fact) (\(Self.seconds(clock.now - began)) s)")
            } catch {
                broken += 1
                print("FAILED  \(check.fact): \(error)")
            }
            fflush(nil)
        }
    }

    private static func seconds(_ duration: Duration) -> String {
        let millis = Int(duration / .milliseconds(1))
        let rest = String(millis % 1000)
        return "\(millis / 1000).\(String(repeating: "0", count: 3 - rest.count))\(rest)"
    }
}
