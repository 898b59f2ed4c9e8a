/// What went wrong with a desktop last; kept until a making of it succeeds, or an administrator has it made anew.
public struct Failure: Hashable, Sendable {
    /// How many makings and removals have failed in a row, from 1: the pauses between the tries grow with it.
    public var count: Int
    /// The generation that failed.
    public var generation: Generation
    /// The step at which its making failed; nil where only its removal did.
    public var step: PreparationStep?
    /// What failed, the value, what to do.
    public var cause: Sentence
    /// The last lines that this generation wrote to its console, oldest first; none where its making did not come that far.
    ///
    /// They are read of a generation whose making failed, never of one that a pupil had.
    public var console: [String]

    public init(count: Int, generation: Generation, step: PreparationStep?, cause: Sentence, console: [String] = []) {
        self.count = count
        self.generation = generation
        self.step = step
        self.cause = cause
        self.console = console
    }
}
