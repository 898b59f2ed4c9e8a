import ArgumentParser
import ControlAPI

struct CertificateShow: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show the certificate that was given for browsers.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("certificate")) { CertificateCommand.text($0) }
    }
}
