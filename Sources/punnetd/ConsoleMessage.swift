import Foundation
import Logging

/// What the server's console shows before somebody logs in there: how the panel is begun. agetty reads the file, through `/etc/issue.d`.
struct ConsoleMessage: Sendable {
    private let path: String
    private let addresses: [String]
    private let port: Int
    private let logger: Logger

    /// - Parameter folder: Must exist when something is shown.
    init(folder: String, addresses: [String], port: Int, logger: Logger) {
        path = folder + "/console"
        self.addresses = addresses
        self.port = port
        self.logger = logger
    }

    /// Shows the code for the first start; nil takes it away. Root alone reads the file.
    func show(code: String?) {
        guard let code else {
            try? FileManager.default.removeItem(atPath: path)
            return
        }
        let address = addresses.first.map { "https://\($0)\(port == 443 ? "" : ":\(port)")/" } ?? "https://this server's address/"
        let text = """

            Punnet begins at  \(address)
            with the code     \(code)

            The code is good for a day. 'sudo punnet first-start' shows another one.


            """
        guard FileManager.default.createFile(atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600]) else {
            return logger.warning("the console cannot show how to begin; 'punnet first-start' does", metadata: ["file": "\(path)"])
        }
    }
}
