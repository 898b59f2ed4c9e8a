import ArgumentParser
import ControlAPI

struct LabCreate: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a lab; its desktops are then prepared.",
        discussion: "Example: punnet lab create room1 --image debian-desktop --size 2 --memory 512MiB")

    @Argument(help: "Its name: lower-case letters, digits and hyphens. Desktops are named after it.")
    var name: String

    @Option(help: "The image, for its newest version, or IMAGE-VERSION.")
    var image: String

    @Option(help: "How many desktops the lab keeps at most, leased ones included.")
    var size: Int

    @OptionGroup var pool: PoolOptions

    @Option(help: ArgumentHelp("Memory of each desktop, such as 512MiB or 1.5GiB.", valueName: "amount"), transform: LabCommand.memory)
    var memory: Int64 = 512 << 20

    @Option(help: "Virtual CPUs of each desktop.")
    var vcpus = 1

    @Option(
        help: ArgumentHelp("How long a session whose link is lost is kept, such as 60s or 5min.", valueName: "time"),
        transform: LabCommand.seconds)
    var grace = 60

    @OptionGroup var airing: AiringOption

    @Option(help: "What a seat does when its session has ended.")
    var after = AfterSession.claimAgain

    @OptionGroup var limits: LimitOptions

    @OptionGroup var reach: InternetOption

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let draft = LabDraftMessage(
            name: name, image: image, vcpus: vcpus, memory: memory, size: size, leastReady: pool.ready, atOnce: pool.atOnce,
            graceSeconds: grace, airingSeconds: airing.seconds, afterSession: after.rawValue, longestSeconds: limits.longest,
            idleSeconds: limits.idle, warningSeconds: limits.warning, internet: reach.isOn)
        let lab: LabMessage = try await client.post("labs", draft)
        try show(lab) { "Lab \($0.name) is made: \($0.size) desktops of \($0.image), \(Bytes.format($0.memory)) each, are being prepared." }
    }
}
