/// One running desktop of an image and a profile whose RDP has answered, frozen: a disk and a memory that belong together. Every desktop of the
/// two is a restored clone of it.
///
/// It is good for the hypervisor, processor and kernel that it was made with, and for no others.
public struct Checkpoint: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// A desktop is being booted to be frozen.
        case making
        /// It lies there, and no desktop that was restored from it has answered yet.
        case unproven
        /// A desktop that was restored from it has answered.
        case proven
        /// It could not be made, or what was restored from it did not answer; why. Desktops are booted instead.
        case failed(cause: Sentence)

        /// The state's one word.
        public var word: String {
            switch self {
            case .making: "making"
            case .unproven: "unproven"
            case .proven: "proven"
            case .failed: "failed"
            }
        }
    }

    public let id: CheckpointID
    public let image: ImageVersionID
    public let profile: Profile
    /// Which hypervisor, processor and kernel it was made with.
    public let host: String
    /// What its memory holds, and each of its clones at first: less than the profile's where the guest had some to spare.
    public var memory: ByteCount
    public var state: State
    /// How many of this image and profile have failed in a row, this one included once it has.
    public var failures: Int

    /// - Parameter memory: All of the profile's where it is not said.
    public init(
        id: CheckpointID, image: ImageVersionID, profile: Profile, host: String, memory: ByteCount? = nil, state: State, failures: Int
    ) {
        self.id = id
        self.image = image
        self.profile = profile
        self.host = host
        self.memory = memory ?? profile.memory
        self.state = state
        self.failures = failures
    }
}
