/// `GET /api/v1/desktops/{name}`: why a desktop is not ready and what happens next, in plain words.
public struct DesktopExplanationMessage: Hashable, Sendable, Codable {
    /// What went wrong last; absent once a making has succeeded.
    public struct Failure: Hashable, Sendable, Codable {
        /// How many makings and removals have failed in a row.
        public let count: Int
        public let generation: UInt32
        /// The step at which the making failed; absent where only the removal did.
        public let step: String?
        public let cause: String
        /// The last lines that this generation wrote to its console, oldest first.
        public let console: [String]
        public init(count: Int, generation: UInt32, step: String?, cause: String, console: [String]) {
            self.count = count
            self.generation = generation
            self.step = step
            self.cause = cause
            self.console = console
        }
    }

    public let desktop: DesktopMessage
    /// What its state means.
    public let meaning: String
    /// What is being done, or what it waits for.
    public let present: String?
    /// By when that must be done.
    public let deadline: Moment?
    public let next: String
    /// When that begins, where it has a time.
    public let nextAt: Moment?
    /// Why it is in quarantine.
    public let cause: String?
    public let failure: Failure?
    /// What an administrator can do, each a sentence with its command.
    public let remedies: [String]

    public init(
        desktop: DesktopMessage, meaning: String, present: String?, deadline: Moment?, next: String, nextAt: Moment?, cause: String?,
        failure: Failure?, remedies: [String]
    ) {
        self.desktop = desktop
        self.meaning = meaning
        self.present = present
        self.deadline = deadline
        self.next = next
        self.nextAt = nextAt
        self.cause = cause
        self.failure = failure
        self.remedies = remedies
    }
}
