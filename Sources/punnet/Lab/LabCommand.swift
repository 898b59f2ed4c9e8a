import ArgumentParser
import ControlAPI

struct LabCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lab", abstract: "Rooms: their image, their desktops' hardware, and how many of them.",
        subcommands: [LabCreate.self, LabSet.self, LabList.self, LabDelete.self])

    static func table(_ labs: [LabMessage]) -> String {
        var table = TextTable("LAB", "IMAGE", "SIZE", "VCPUS", "MEMORY", "GRACE", "AIRED EVERY", "AFTER SESSION", "DESKTOPS", "WAITING")
        for lab in labs {
            let order = ["ready", "leased", "preparing", "retiring", "quarantined", "empty"]
            let desktops = order.compactMap { state in lab.desktops[state].flatMap { $0 > 0 ? "\($0) \(state)" : nil } }
            table.add(
                lab.name, lab.image, "\(lab.size)", "\(lab.vcpus)", Bytes.format(lab.memory), Seconds.format(lab.graceSeconds),
                lab.airingSeconds > 0 ? Seconds.format(lab.airingSeconds) : "never", lab.afterSession, desktops.joined(separator: ", "), lab.waiting > 0 ? "\(lab.waiting)" : "")
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
