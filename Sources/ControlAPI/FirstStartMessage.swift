/// The answer to `POST /api/v1/first-start`: the code by which the first administrator is made in the panel.
public struct FirstStartMessage: Hashable, Sendable, Codable {
    public let code: String
    /// Where browsers find the panel, the best first.
    public let addresses: [String]
    public let expiresInSeconds: Int
    public init(code: String, addresses: [String], expiresInSeconds: Int) {
        self.code = code
        self.addresses = addresses
        self.expiresInSeconds = expiresInSeconds
    }
}
