import ArgumentParser
import ControlAPI

struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Who has which desktop.", subcommands: [SessionList.self, SessionEnd.self])

    static func table(_ sessions: [SessionMessage]) -> String {
        var table = TextTable("SESSION", "SEAT", "DESKTOP", "BEGAN", "ENDED", "REASON", "CONNECTED")
        for session in sessions {
            table.add(
                "\(session.id)", session.seat, session.desktop, Clock.local(session.began.seconds),
                session.ended.map { Clock.local($0.seconds) } ?? "", session.reason ?? "", session.connected ? "yes" : "no")
        }
        return table.text(otherwise: "No sessions.")
    }
}
