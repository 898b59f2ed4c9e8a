import ArgumentParser
import ControlAPI
import FoundationEssentials

struct CertificateGive: ControlCommand {
    static let configuration = CommandConfiguration(
        commandName: "give", abstract: "Have browsers shown another certificate than the appliance's own.",
        discussion: "It is shown to those that open the panel by a name that it has. It must be given anew before it ends.")

    @Option(help: "The certificate, and after it those above it, as PEM.", completion: .file())
    var chain: String

    @Option(help: "Its private key as PEM, not encrypted.", completion: .file())
    var key: String

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        let request = CertificateRequest(chain: try Self.read(chain), key: try Self.read(key))
        let given: CertificateMessage = try await client.put("certificate", request)
        try show(given) { CertificateCommand.text($0) }
    }

    private static func read(_ path: String) throws(ValidationError) -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { throw ValidationError("'\(path)' cannot be read as text.") }
        return text
    }
}
