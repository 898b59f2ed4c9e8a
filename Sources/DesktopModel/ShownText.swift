extension Unicode.Scalar {
    /// Whether a line on a screen can show it: not what a terminal would obey, nor what turns a line's direction, nor what has no shape.
    public var isShown: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: false
        default: true
        }
    }
}
