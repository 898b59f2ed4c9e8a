/// What runs an appliance's desktops.
public enum ServerKind: String, Hashable, Sendable, CaseIterable {
    /// Real ones, on this machine's Xen.
    case xen
    /// None: they are played, in punnetd itself.
    case simulated
}
