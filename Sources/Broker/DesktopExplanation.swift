import DesktopModel

/// Something that was done to make a desktop.
public struct MakingStep: Hashable, Sendable {
    /// A step's word, or `removal`.
    public let word: String
    public let took: Duration
}

/// Why a desktop is not ready and what happens next, for people to read.
public struct DesktopExplanation: Hashable, Sendable {
    public let desktop: DesktopReport
    /// What its state means.
    public let meaning: Sentence
    /// What is being done, or what it waits for.
    public let present: Sentence?
    /// By when that must be done.
    public let deadline: CalendarSeconds?
    public let next: Sentence
    /// When that begins, where it has a time.
    public let nextAt: CalendarSeconds?
    /// What has been done of its making so far, its removal before that included, and how long each took. Empty where nobody remembers.
    public let done: [MakingStep]
    /// Why it is in quarantine.
    public let cause: Sentence?
    /// What went wrong last; nil once a making has succeeded.
    public let failure: Failure?
    /// What an administrator can do, each a sentence with its command.
    public let remedies: [Sentence]
}
