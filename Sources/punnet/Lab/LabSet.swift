import ArgumentParser
import ControlAPI

struct LabSet: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change a lab; what is not named stays.",
        discussion: "A new image or new hardware is for desktops made from now on; sessions go on undisturbed.")

    @Argument(help: "The lab's name.")
    var name: String

    @Option(help: "The image, for its newest version, or IMAGE-VERSION.")
    var image: String?

    @Option(help: "How many desktops the lab keeps at most, leased ones included.")
    var size: Int?

    @OptionGroup var pool: PoolOptions

    @Option(help: ArgumentHelp("Memory of each desktop, such as 512MiB or 1.5GiB.", valueName: "amount"), transform: LabCommand.memory)
    var memory: Int64?

    @Option(help: "Virtual CPUs of each desktop.")
    var vcpus: Int?

    @Option(
        help: ArgumentHelp("How long a session whose link is lost is kept, such as 60s or 5min.", valueName: "time"),
        transform: LabCommand.seconds)
    var grace: Int?

    @OptionGroup var airing: AiringOption

    @Option(help: "What a seat does when its session has ended.")
    var after: AfterSession?

    @OptionGroup var limits: LimitOptions

    @OptionGroup var reach: InternetOption

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if image == nil, size == nil, memory == nil, vcpus == nil, grace == nil, airing.seconds == nil, after == nil, pool.ready == nil,
            pool.atOnce == nil, limits.areNil, reach.isOn == nil
        {
            throw ValidationError(
                """
                Nothing to change: name at least one of --image, --size, --ready, --at-once, --memory, --vcpus, --grace, --air-every, --after, --longest, \
                --idle, --warning and --internet.
                """)
        }
    }

    func perform(_ client: ControlClient) async throws {
        let change = LabChangeMessage(
            image: image, vcpus: vcpus, memory: memory, size: size, leastReady: pool.ready, atOnce: pool.atOnce, graceSeconds: grace,
            airingSeconds: airing.seconds, afterSession: after?.rawValue, longestSeconds: limits.longest, idleSeconds: limits.idle,
            warningSeconds: limits.warning, internet: reach.isOn)
        let lab: LabMessage = try await client.patch("labs/\(ControlClient.part(name))", change)
        try show(lab) { LabCommand.table([$0]) }
    }
}
