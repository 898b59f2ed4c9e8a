/// Slow work that was begun and can be watched: `GET /api/v1/operations/{id}`.
public struct OperationMessage: Hashable, Sendable, Codable {
    public enum State: String, Hashable, Sendable, Codable, CaseIterable {
        case running, done, failed, cancelled
    }

    /// Bytes done and in all.
    public struct Progress: Hashable, Sendable, Codable {
        public let done: Int64
        public let total: Int64
        public init(done: Int64, total: Int64) {
            self.done = done
            self.total = total
        }
    }

    public let id: String
    /// What is being done: `image-add`.
    public let kind: String
    /// What it is done to: the folder of an image.
    public let subject: String
    public let began: Moment
    public let state: State
    /// Grows with every change. `?wait=SECONDS&after=REVISION` answers once it is greater than REVISION, or when the time is over.
    public let revision: Int
    public let progress: Progress?
    /// Why it failed.
    public let problem: Problem?
    /// The image that was added, once that is done.
    public let result: ImageMessage?

    public init(
        id: String, kind: String, subject: String, began: Moment, state: State, revision: Int, progress: Progress? = nil,
        problem: Problem? = nil, result: ImageMessage? = nil
    ) {
        self.id = id
        self.kind = kind
        self.subject = subject
        self.began = began
        self.state = state
        self.revision = revision
        self.progress = progress
        self.problem = problem
        self.result = result
    }
}
