import DesktopModel

/// Why a desktop is not ready and what happens next, for people to read.
public struct DesktopExplanation: Hashable, Sendable {
    public let desktop: DesktopReport
    /// What its state means.
    public let meaning: String
    /// What is being done, or what it waits for.
    public let present: String?
    /// By when that must be done.
    public let deadline: CalendarSeconds?
    public let next: String
    /// When that begins, where it has a time.
    public let nextAt: CalendarSeconds?
    /// Why it is in quarantine.
    public let cause: String?
    /// What went wrong last; nil once a making has succeeded.
    public let failure: Failure?
    /// What an administrator can do, each a sentence with its command.
    public let remedies: [String]
}
