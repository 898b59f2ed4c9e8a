import ArgumentParser
import ControlAPI

struct SeatRequests: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "requests", abstract: "List the seats that ask to join.",
        discussion: "Accept one only where its own screen shows the same PIN and the same four words: other words mean that somebody is in between.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("joins")) { Self.table($0) }
    }

    static func table(_ joins: [SeatJoinMessage]) -> String {
        var table = TextTable("PIN", "WORDS", "MODEL", "ADDRESS", "SINCE")
        for join in joins {
            table.add(join.pin, join.words.joined(separator: " "), join.model, join.address, Clock.local(join.since.seconds))
        }
        return table.text(otherwise: "No seat asks to join: 'punnet-seat join ADDRESS' on it does.")
    }
}

struct SeatAccept: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "accept", abstract: "Let a seat in that asks to join.",
        discussion: "Compare the four words before: 'punnet seat requests' shows them, and the seat's screen. It enrols by itself then.")

    @Argument(help: "The PIN on the seat's screen.")
    var pin: String

    @Option(help: "The name that it gets, such as pi-07.")
    var name: String

    @Option(help: "The lab whose desktops it is shown.")
    var lab: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.tell("joins/\(ControlClient.part(pin))/accept", SeatAddRequest(name: name, lab: lab))
        report("Seat \(name) is let in.")
    }
}

struct SeatRefuse: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "refuse", abstract: "Refuse a seat that asks to join.")

    @Argument(help: "The PIN on the seat's screen.")
    var pin: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.post("joins/\(ControlClient.part(pin))/refuse")
        report("The seat is refused.")
    }
}
