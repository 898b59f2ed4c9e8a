import ArgumentParser
import ControlAPI

struct DesktopExplain: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Tell why a desktop is not ready, and what happens next.")

    @Argument(help: "The desktop's name, such as room1-3.")
    var name: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("desktops/\(ControlClient.part(name))")) { Self.text($0) }
    }

    static func text(_ told: DesktopExplanationMessage, now: Int64 = Clock.now) -> String {
        let desktop = told.desktop
        let since = desktop.since.map { ", for \(Seconds.format(Int(max(0, now - $0.seconds))))" } ?? ""
        var lines = ["\(desktop.name): \(desktop.state)\(since). Generation \(desktop.generation), address \(desktop.address).", "\(told.meaning)."]
        func add(_ heading: String, _ text: String) {
            lines.append(heading + String(repeating: " ", count: 10 - heading.count) + text)
        }
        if let present = told.present { add("Now", present) }
        if let deadline = told.deadline { add("Until", time(deadline, now)) }
        if let cause = told.cause { add("Cause", cause) }
        add("Next", told.next + (told.nextAt.map { ", at \(time($0, now))" } ?? ""))
        if let failure = told.failure {
            let times = failure.count == 1 ? "once" : "\(failure.count) times in a row"
            let step = failure.step.map { ", last at the step '\($0)' of generation \(failure.generation)" } ?? ""
            add("Failed", "\(times)\(step)\(failure.cause == told.cause ? "" : ": \(failure.cause)")")
        }
        for (index, remedy) in told.remedies.enumerated() { add(index == 0 ? "You can" : "", "\(index == 0 ? "" : "or ")\(remedy)") }
        if let failure = told.failure, !failure.console.isEmpty {
            lines.append("The last lines of generation \(failure.generation)'s console:")
            lines += failure.console.map { "  | \($0)" }
        }
        return lines.map(\.printable).joined(separator: "\n")
    }

    /// `2026-03-02 08:15 (in 40s)`, in the machine's time zone.
    private static func time(_ moment: Moment, _ now: Int64) -> String {
        let left = moment.seconds - now
        return "\(Clock.local(moment.seconds)) (\(left >= 0 ? "in \(Seconds.format(Int(left)))" : "now"))"
    }
}
