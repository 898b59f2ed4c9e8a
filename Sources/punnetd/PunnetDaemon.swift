import ArgumentParser
import Broker
import ControlServer
import DesktopStore
import Foundation
import Hypervisor
import Identity
import Logging
import Relay
import ServiceLifecycle
import SystemdNotify
import XenHypervisor

/// The daemon: wires everything once and runs it until systemd stops it.
@main
struct PunnetDaemon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "punnetd",
        abstract: "Keeps a room's desktops ready and hands them out.",
        discussion: """
            Settings come from the configuration file, then the environment (PUNNET_HTTPS_PORT for 'https.port'), then '--set'.
            Exit codes: 0 stopped in good order; 78 a setting is refused; 69 Xen or the database cannot be had; 70 anything else.
            """)

    @Option(name: .long, help: "The configuration file.")
    var config = "/etc/punnet/punnet.yaml"

    @Option(name: .long, help: "A setting, as 'https.port=8443'. May be given several times.")
    var set: [String] = []

    @Flag(name: .long, help: "Checks the settings and ends.")
    var check = false

    @Flag(name: .long, help: "Prints every setting, its default, what it may be and what it decides, with tabs between, and ends.")
    var settings = false

    mutating func run() async throws {
        guard !settings else {
            for key in DaemonSettings.Key.allCases {
                print([key.rawValue, key.defaultValue(on: .xen), key.range(on: .xen), key.meaning].joined(separator: "\t"))
            }
            return
        }
        let settings: DaemonSettings
        do {
            settings = try await DaemonSettings.read(
                file: config, mayBeMissing: config == "/etc/punnet/punnet.yaml", flags: try DaemonSettings.flags(set))
        } catch {
            Self.complain("\(error)")
            throw ExitCode(78)
        }
        guard !check else { return print("the settings are good") }
        let logger = Self.logger(settings.logLevel)
        do {
            try await Daemon(settings, logger: logger).run()
        } catch let error as StartFailure {
            logger.critical("punnetd cannot start", metadata: ["cause": "\(error)"])
            throw ExitCode(69)
        } catch {
            logger.critical("punnetd ends", metadata: ["cause": "\(error)"])
            throw ExitCode(70)
        }
    }

    private static func complain(_ message: String) {
        FileHandle.standardError.write(Data("punnetd: \(message)\n".utf8))
    }

    private static func logger(_ level: Logger.Level) -> Logger {
        LoggingSystem.bootstrap(StreamLogHandler.standardError)
        var logger = Logger(label: "punnetd")
        logger.logLevel = level
        return logger
    }
}
