import Hypervisor
import Subprocess

/// Another program that is run to its end.
enum Program {
    /// Runs it with the given input and gives what it printed. Anything but exit status 0 is an error that carries what it said.
    ///
    /// It is found on the path of the system's own programs; it gets no environment but `PATH`, `LC_ALL` and what is given.
    @discardableResult
    static func run(
        _ name: String, _ arguments: [String], input: String = "", environment: [String: String] = [:]
    ) async throws(HypervisorError) -> String {
        let standard = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"].merging(environment) { $1 }
        let variables = Dictionary(uniqueKeysWithValues: standard.map { (Environment.Key(stringLiteral: $0.key), $0.value) })
        do {
            let result = try await Subprocess.run(
                .name(name), arguments: Arguments(arguments), environment: .custom(variables),
                input: .string(input), output: .string(limit: 1 << 20), error: .string(limit: 1 << 16))
            guard result.terminationStatus.isSuccess else {
                let said = result.standardError.split(separator: "\n").prefix(8).joined(separator: " | ")
                throw HypervisorError.failed(call: name, code: code(of: result.terminationStatus), detail: said)
            }
            return result.standardOutput
        } catch let error as HypervisorError {
            throw error
        } catch {
            throw .failed(call: name, code: 0, detail: "it could not be run: \(error)")
        }
    }

    private static func code(of status: TerminationStatus) -> Int {
        switch status {
        case .exited(let code): Int(code)
        case .signaled(let signal): 128 + Int(signal)
        }
    }
}
