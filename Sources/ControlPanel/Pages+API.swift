/// One address of the administrators' interface, for people to read.
public struct APIOperation: Sendable {
    public let method: String
    /// `/api/v1/labs/{name}`
    public let path: String
    public let summary: String
    /// The values of its query with what each means.
    public let query: [(name: String, meaning: String)]
    /// The fields of its body; those that may be absent end with a question mark.
    public let body: [String]
    /// The status where nothing is refused, and those by which it refuses.
    public let status: Int
    public let refusals: [Int]

    public init(
        method: String, path: String, summary: String, query: [(name: String, meaning: String)], body: [String], status: Int, refusals: [Int]
    ) {
        self.method = method
        self.path = path
        self.summary = summary
        self.query = query
        self.body = body
        self.status = status
        self.refusals = refusals
    }
}

extension Pages {
    /// The interface for programs, as a page. What it says of each address is in English, as the interface is.
    public func api(_ operations: [APIOperation], for viewer: Viewer) -> String {
        html(
            "api", "api", under: "settings", for: viewer,
            [
                "operations": operations.map { operation -> Fields in
                    [
                        "method": operation.method, "address": operation.path, "summary": operation.summary,
                        "query": operation.query.map { ["name": $0.name, "meaning": $0.meaning] as Fields }, "hasQuery": !operation.query.isEmpty,
                        "body": operation.body.joined(separator: ", "), "hasBody": !operation.body.isEmpty, "status": operation.status,
                        "refusals": operation.refusals.map(String.init).joined(separator: ", "),
                    ]
                }
            ])
    }
}
