/// What a person may do.
public enum Role: String, Sendable, Codable, Hashable, CaseIterable {
    /// Everything.
    case administrator
    /// Watch the labs that are theirs, and end what goes on in them.
    case teacher
}

/// Somebody who signs in to the panel.
public struct Person: Hashable, Sendable {
    public let id: PersonID
    public let name: String
    public let role: Role
    /// A teacher's labs; an administrator has all of them.
    public let labs: Set<LabID>

    public init(id: PersonID, name: String, role: Role, labs: Set<LabID>) {
        self.id = id
        self.name = name
        self.role = role
        self.labs = labs
    }

    public func mayWatch(_ lab: LabID) -> Bool { role == .administrator || labs.contains(lab) }
}
