import ArgumentParser
import ControlAPI

struct DesktopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "desktop", abstract: "The desktops and their state.",
        subcommands: [DesktopList.self, DesktopExplain.self, DesktopSet.self, DesktopRemake.self, DesktopQuarantine.self, DesktopRelease.self])

    static func table(_ desktops: [DesktopMessage], now: Int64 = Clock.now) -> String {
        var table = TextTable("DESKTOP", "LAB", "STATE", "FOR", "GENERATION", "HARDWARE", "ADDRESS", "NOTE")
        for desktop in desktops {
            let detail = desktop.step ?? desktop.session.map { "session \($0)" }
            table.add(
                desktop.name, desktop.lab, desktop.state + (detail.map { " (\($0))" } ?? ""),
                desktop.since.map { Seconds.format(Int(max(0, now - $0.seconds))) } ?? "", "\(desktop.generation)", hardware(of: desktop), desktop.address,
                desktop.explanation ?? "")
        }
        return table.text(otherwise: "No desktops: 'punnet lab create' makes a lab with some.")
    }

    /// `1 × 512 MiB`, with a word where that is not its lab's.
    static func hardware(of desktop: DesktopMessage) -> String {
        "\(desktop.vcpus) × \(Bytes.format(desktop.memory))\(desktop.hasOwnHardware ? ", its own" : "")"
    }
}
