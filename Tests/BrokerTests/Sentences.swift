import DesktopModel

/// What a test writes is a text from outside, which is the same as every sentence that reads so.
extension Sentence: ExpressibleByStringInterpolation {
    public init(stringLiteral text: String) { self = .outside(text) }
}

extension Sentence {
    func contains(_ part: String) -> Bool { description.contains(part) }
    func hasPrefix(_ part: String) -> Bool { description.hasPrefix(part) }
}
