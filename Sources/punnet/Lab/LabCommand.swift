import ArgumentParser
import ControlAPI

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab", abstract: "Rooms: their image, their desktops' hardware, and how many of them.",
        subcommands: [LabCreate.self, LabSet.self, LabList.self, LabDelete.self])

    static func table(_ labs: [LabMessage]) -> String {
        var table = TextTable("LAB", "IMAGE", "SIZE", "READY", "AT ONCE", "VCPUS", "MEMORY", "GRACE", "LONGEST", "IDLE", "AIRED EVERY", "AFTER SESSION", "INTERNET", "DESKTOPS", "WAITING")
        for lab in labs {
            let order = ["ready", "leased", "preparing", "retiring", "quarantined", "empty"]
            let desktops = order.compactMap { state in lab.desktops[state].flatMap { $0 > 0 ? "\($0) \(state)" : nil } }
            table.add(
                lab.name, lab.image, "\(lab.size)", lab.leastReady > 0 ? "\(lab.leastReady)" : "all", lab.atOnce > 0 ? "\(lab.atOnce)" : "as many as can be",
                "\(lab.vcpus)", Bytes.format(lab.memory), Seconds.format(lab.graceSeconds),
                lab.longestSeconds > 0 ? Seconds.format(lab.longestSeconds) : "-", lab.idleSeconds > 0 ? Seconds.format(lab.idleSeconds) : "-",
                lab.airingSeconds > 0 ? Seconds.format(lab.airingSeconds) : "never", lab.afterSession, lab.internet ? "on" : "off",
                desktops.joined(separator: ", "), lab.waiting > 0 ? "\(lab.waiting)" : "")
        }
        return table.text(otherwise: "No lab yet: 'punnet lab create' makes one.")
    }

    /// Reads an option; what is wrong with it is said as the parser says it.
    static func memory(_ text: String) throws -> Int64 {
        do throws(QuantityError) { return try Bytes.parse(text) } catch { throw ValidationError(error.description) }
    }

    static func seconds(_ text: String) throws -> Int {
        do throws(QuantityError) { return try Seconds.parse(text) } catch { throw ValidationError(error.description) }
    }
}

/// What a seat does when its session has ended.
enum AfterSession: String, ExpressibleByArgument, CaseIterable {
    case claimAgain = "claim-again"
    case shutDown = "shut-down"
}

/// Whether a lab's desktops reach the internet, where it is named.
struct InternetOption: ParsableArguments {
    enum Choice: String, ExpressibleByArgument, CaseIterable { case on, off }

    @Option(help: "Whether its desktops reach the internet; a change takes effect at once, for desktops in use too.")
    var internet: Choice?

    var isOn: Bool? { internet.map { $0 == .on } }
}

/// How many desktops of a lab stand ready, and how many are made at once, where it is named.
struct PoolOptions: ParsableArguments {
    @Option(
        name: .customLong("ready"),
        help: ArgumentHelp(
            "How many desktops stand ready beside those in use, while the size allows it; 'all': as many as the size allows.",
            valueName: "number|all"),
        transform: { try number($0, or: "all") })
    var ready: Int?

    @Option(
        name: .customLong("at-once"),
        help: ArgumentHelp("How many desktops of the lab are made at once; 'any': as many as the server allows.", valueName: "number|any"),
        transform: { try number($0, or: "any") })
    var atOnce: Int?

    /// A number from 1, or the word, which is zero.
    private static func number(_ text: String, or word: String) throws -> Int {
        if text == word { return 0 }
        guard let number = Int(text), number > 0 else { throw ValidationError("'\(text)' is neither a number from 1 nor '\(word)'.") }
        return number
    }
}

/// How often parked desktops are aired, where it is named.
struct AiringOption: ParsableArguments {
    @Option(
        name: .customLong("air-every"),
        help: ArgumentHelp(
            "How long a desktop stays parked before it is let run for a moment, so that it answers as at first; 0s: until it is handed out.",
            valueName: "time"),
        transform: LabCommand.seconds)
    var seconds: Int?
}

/// How long sessions may last, where it is named.
struct LimitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long a session may last before it is ended, such as 45min; 0s: for ever.", valueName: "time"), transform: LabCommand.seconds)
    var longest: Int?

    @Option(
        help: ArgumentHelp("How long nobody may touch a seat before its session is ended, such as 15min; 0s: for ever.", valueName: "time"),
        transform: LabCommand.seconds)
    var idle: Int?

    @Option(help: ArgumentHelp("How long before such an end the seat says so.", valueName: "time"), transform: LabCommand.seconds)
    var warning: Int?

    var areNil: Bool { longest == nil && idle == nil && warning == nil }
}
