import ArgumentParser
import ControlAPI
import FoundationEssentials
import Glibc

/// What every command takes.
struct ConnectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The socket on which punnetd listens.", valueName: "path"))
    var socket = "/run/punnet/control.sock"

    @Flag(help: "Print JSON.")
    var json = false
}

/// A command that asks punnetd.
protocol ControlCommand: AsyncParsableCommand {
    var connection: ConnectionOptions { get }
    func perform(_ client: ControlClient) async throws
}

extension ControlCommand {
    func run() async throws {
        do {
            try await perform(ControlClient(socket: connection.socket))
        } catch let failure as CommandFailure {
            Terminal.complain(failure.description)
            throw ExitCode(failure.exitStatus)
        }
    }

    /// Prints the answer: as JSON where that is asked for, otherwise as people read it.
    func show<Answer: Encodable>(_ answer: Answer, _ text: (Answer) -> String) throws {
        guard connection.json else {
            print(text(answer))
            return
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(answer), as: UTF8.self))
    }

    /// Says what was done, to people; a program that asked for JSON sees it in the exit status.
    func report(_ text: String) {
        if !connection.json { print(text) }
    }
}

/// Why a command did not do what it should, for people and as the exit status.
enum CommandFailure: Error, CustomStringConvertible {
    case notReachable(socket: String, reason: String)
    case notPermitted(detail: String)
    /// punnetd answered with a problem.
    case refused(Problem)
    /// punnetd's answer could not be read.
    case unreadable(reason: String)
    case noAnswer(seconds: Int64)
    /// A session would end and nobody could be asked.
    case unconfirmed(what: String)
    case declined
    /// It was interrupted, and what it had begun was undone.
    case cancelled(what: String)
    case noSuchFolder(String)

    var exitStatus: Int32 {
        switch self {
        case .notReachable: EX_UNAVAILABLE
        case .notPermitted: EX_NOPERM
        case .refused(let problem) where problem.status == 403: EX_NOPERM
        case .refused(let problem) where problem.status == 503 || problem.status == 429: EX_TEMPFAIL
        case .refused(let problem) where problem.status >= 500: EX_SOFTWARE
        case .refused, .unconfirmed, .declined, .noSuchFolder: 1
        case .cancelled: 128 + SIGINT
        case .unreadable: EX_SOFTWARE
        case .noAnswer: EX_TEMPFAIL
        }
    }

    var description: String {
        switch self {
        case .notReachable(let socket, let reason):
            "punnetd cannot be reached at \(socket): \(reason). Is it running? 'systemctl status punnetd' tells."
        case .notPermitted(let detail):
            "\(detail). Use sudo, or join the group punnet-admin and log in anew."
        case .refused(let problem):
            Self.sentences([problem.detail.description, problem.detailHoldsRemedy ? nil : problem.remedy?.description])
        case .unreadable(let reason):
            "punnetd's answer could not be read: \(reason). Are punnet and punnetd of one version?"
        case .noAnswer(let seconds):
            "punnetd did not answer within \(seconds) s. Look at its log: journalctl -u punnetd"
        case .unconfirmed(let what):
            "\(what), and nobody can be asked here. Add --yes to do it all the same."
        case .declined:
            "Nothing was changed."
        case .cancelled(let what):
            "\(what) was cancelled; nothing of it is left."
        case .noSuchFolder(let folder):
            "there is no folder '\(folder)'. Name the folder that holds the image."
        }
    }

    private static func sentences(_ parts: [String?]) -> String {
        parts.compactMap(\.self).joined(separator: ". ")
    }
}

extension Problem {
    fileprivate var detailHoldsRemedy: Bool { remedy.map { detail.description.contains($0.description) } ?? true }
}
