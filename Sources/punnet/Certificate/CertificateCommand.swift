import ArgumentParser
import ControlAPI

struct CertificateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificate", abstract: "The certificate that browsers are shown.",
        discussion: "Seats know the appliance's own certificate by its key and stay with it; browsers can be shown one that they know.",
        subcommands: [CertificateShow.self, CertificateGive.self, CertificateRemove.self])

    static func text(_ given: CertificateMessage) -> String {
        "Browsers are shown the certificate of \(given.names), good until \(Clock.local(given.ends.seconds)).\nSHA-256 \(given.fingerprint)".printable
    }
}
