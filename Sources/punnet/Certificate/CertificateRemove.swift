import ArgumentParser
import ControlAPI

struct CertificateRemove: ControlCommand {
    static let configuration = CommandConfiguration(commandName: "remove", abstract: "Have browsers shown the appliance's own certificate again.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.delete("certificate")
        report("Browsers are shown the appliance's own certificate.")
    }
}
