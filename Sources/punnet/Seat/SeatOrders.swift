import ArgumentParser
import ControlAPI

/// Seats that something is done to: by name, or all that are on.
struct SeatsOption: ParsableArguments {
    @Argument(help: "The seats' names.")
    var names: [String] = []

    @Flag(name: .long, help: "All seats that are on.")
    var all = false

    func validate() throws {
        if all != names.isEmpty { throw ValidationError("name seats, or write --all") }
    }

    /// Sends the order to each. All are tried; the first that failed is told at the end.
    func order(_ order: SeatOrderRequest, _ client: ControlClient, _ report: (String) -> Void) async throws {
        var failure: (any Error)?
        let present: [SeatListMessage] = all ? try await client.list("seats") : []
        for name in all ? present.filter(\.present).map(\.name) : names {
            do {
                try await client.tell("seats/\(ControlClient.part(name))/order", order)
                report("Seat \(name) is told.")
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}

struct SeatMessageCommand: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "message", abstract: "Show a message on seats, over whatever is on their screens.",
        discussion: "It goes by itself after half a minute. Seats that are off are not told later.")

    @Option(name: .long, help: "The message: one line of at most 200 characters.")
    var text: String

    @OptionGroup var seats: SeatsOption
    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws { try await seats.order(SeatOrderRequest(order: "message", text: text), client) { report($0) } }
}

struct SeatIdentify: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "identify", abstract: "Show each seat's own name on its screen for a moment.")

    @OptionGroup var seats: SeatsOption
    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws { try await seats.order(SeatOrderRequest(order: "identify"), client) { report($0) } }
}

struct SeatRestart: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "restart", abstract: "Start the thin clients of seats anew.",
        discussion: "Sessions on them end and what is open there is lost: then, on a terminal, it asks first.")

    @OptionGroup var seats: SeatsOption

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try Terminal.confirm("The thin clients start anew, and sessions on them end", yes: yes, harmless: false)
        try await seats.order(SeatOrderRequest(order: "restart"), client) { report($0) }
    }
}

struct SeatShutDown: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "shut-down", abstract: "Switch the thin clients of seats off.",
        discussion: "Sessions on them end and what is open there is lost: then, on a terminal, it asks first.")

    @OptionGroup var seats: SeatsOption

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try Terminal.confirm("The thin clients are switched off, and sessions on them end", yes: yes, harmless: false)
        try await seats.order(SeatOrderRequest(order: "shut-down"), client) { report($0) }
    }
}
