import ArgumentParser
import ControlAPI

struct Journal: ControlCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who did what, the newest first.", discussion: "The journal is only added to; nothing in it is changed or removed.")

    @Option(help: "At most this many.")
    var limit = 50

    @Option(help: ArgumentHelp("Only what this person or account did.", valueName: "name"))
    var who: String?

    @Option(help: "Only this, such as lab-change.")
    var action: String?

    @Option(help: ArgumentHelp("Only what was done to this, such as a lab's name.", valueName: "name"))
    var subject: String?

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if limit < 1 { throw ValidationError("--limit takes a number from 1.") }
    }

    func perform(_ client: ControlClient) async throws {
        let entries: [JournalMessage] = try await client.list(
            "journal", query: [("who", who), ("action", action), ("subject", subject)], limit: limit)
        try show(entries, Self.table)
    }

    static func table(_ entries: [JournalMessage]) -> String {
        var table = TextTable("TIME", "WHO", "FROM", "ACTION", "SUBJECT", "DETAIL")
        for entry in entries { table.add(Clock.local(entry.at.seconds), entry.who, entry.origin, entry.action, entry.subject, entry.detail) }
        return table.text(otherwise: "Nothing is in the journal.")
    }
}
