import Hypervisor

/// One promise of a hypervisor's protocols, asked of whatever host a rig offers. Its name is the fact that holds.
public struct ContractCheck<Rig>: Sendable, CustomStringConvertible {
    public let fact: String
    let body: @Sendable (Rig) async throws -> Void

    init(_ fact: String, _ body: @escaping @Sendable (Rig) async throws -> Void) {
        self.fact = fact
        self.body = body
    }

    public var description: String { fact }
}

/// Every fact of the contract, in the order in which they are asked.
public enum HypervisorContract {
    public static var facts: [String] {
        DomainContract.checks.map(\.fact) + DiskContract.checks.map(\.fact) + AddressContract.checks.map(\.fact)
    }
}

/// What was found otherwise than it was promised.
public struct Broken: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

func expect(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws {
    if !holds { throw Broken(otherwise()) }
}

/// The call must fail, and with this error.
func expectError(_ what: String, _ wanted: HypervisorError, _ call: () async throws -> Void) async throws {
    let error = try await failure(of: what, call)
    try expect(error == wanted, "\(what) fails with '\(error)', not '\(wanted)'")
}

/// The error with which the call must fail.
func failure(of what: String, _ call: () async throws -> Void) async throws -> HypervisorError {
    do { try await call() } catch let error as HypervisorError { return error }
    throw Broken("\(what) is no error")
}

/// Makes so many calls all at once, from number 0, and gives what came of each, in their order.
func atOnce<Answer: Sendable>(
    _ count: Int, _ call: @escaping @Sendable (Int) async throws -> Answer
) async -> [Result<Answer, HypervisorError>] {
    await withTaskGroup(of: (Int, Result<Answer, HypervisorError>).self) { group in
        for number in 0..<count {
            group.addTask {
                do {
                    return (number, .success(try await call(number)))
                } catch {
                    return (number, .failure(error as? HypervisorError ?? .failed(call: "check", code: 0, detail: "\(error)")))
                }
            }
        }
        var results: [(Int, Result<Answer, HypervisorError>)] = []
        for await result in group { results.append(result) }
        return results.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

extension Result {
    var error: Failure? { if case .failure(let error) = self { error } else { nil } }
    var value: Success? { if case .success(let value) = self { value } else { nil } }
}
