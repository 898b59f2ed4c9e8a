import ArgumentParser
import ControlAPI

struct SeatShow: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one seat, and what it said of itself last.")

    @Argument(help: "The seat's name.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let seat: SeatListMessage = try await client.get("seats/\(ControlClient.part(name))")
        try show(seat, Self.text)
    }

    static func text(_ seat: SeatListMessage) -> String {
        let state = !seat.enrolled ? "not enrolled" : seat.blocked ? "blocked" : seat.desktop.map { "has \($0)" } ?? (seat.present ? "on" : "off")
        var lines = ["\(seat.name): \(state). Lab \(seat.lab)."]
        func add(_ heading: String, _ text: String?) {
            if let text { lines.append(heading + String(repeating: " ", count: 13 - heading.count) + text) }
        }
        add("Place", seat.place.map { "\($0.column), \($0.row)" })
        guard let health = seat.health else { return lines.map(\.printable).joined(separator: "\n") }
        add("Model", health.model)
        add("Program", health.version)
        add("Screen", health.screenWidth.flatMap { width in health.screenHeight.map { "\(width) × \($0)" } })
        add("Temperature", health.millidegrees.map { "\(($0 + 500) / 1000) °C" })
        add("Memory", health.memoryTotal.map { Bytes.format($0) + (health.memoryAvailable.map { ", \(Bytes.format($0)) available" } ?? "") })
        add("Uptime", health.uptimeSeconds.map { Seconds.format($0) })
        add("Warnings", health.warnings.isEmpty ? nil : health.warnings.joined(separator: ", "))
        add("Said at", Clock.local(health.reported.seconds))
        return lines.map(\.printable).joined(separator: "\n")
    }
}
