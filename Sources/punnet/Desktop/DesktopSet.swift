import ArgumentParser
import ControlAPI

struct DesktopSet: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Give one desktop hardware of its own, or its lab's again.",
        discussion: """
            It tells first what that means. A desktop that nobody uses is made anew at once, one in use when its session has ended. \
            Example: punnet desktop set room1-3 --memory 2GiB
            """)

    @Argument(help: "The desktop's name, such as room1-3.")
    var name: String

    @Option(help: ArgumentHelp("Its memory, such as 512MiB or 1.5GiB.", valueName: "amount"), transform: LabCommand.memory)
    var memory: Int64?

    @Option(help: "Its virtual CPUs.")
    var vcpus: Int?

    @Flag(help: "Give it the hardware of its lab again.")
    var asLab = false

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard asLab != (memory != nil || vcpus != nil) else {
            throw ValidationError("Name --memory, --vcpus or both, or --as-lab alone.")
        }
    }

    func perform(_ client: ControlClient) async throws {
        if !yes {
            let told = try await change(client, preview: true)
            try Terminal.confirm(told.consequences.joined(separator: ". "), yes: yes, harmless: true)
        }
        let told = try await change(client, preview: false)
        try show(told) { $0.consequences.map { "\($0)." }.joined(separator: "\n") }
    }

    private func change(_ client: ControlClient, preview: Bool) async throws -> ConsequencesMessage {
        try await client.patch(
            "desktops/\(ControlClient.part(name))",
            DesktopChangeMessage(vcpus: vcpus, memory: memory, asLab: asLab ? true : nil, preview: preview))
    }
}
