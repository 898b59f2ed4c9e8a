import DesktopModel
import Testing

private enum Fruit: String, Phrases {
    case basket = "{1} in {0}, {1}"
    case plain = "ripe"
    case of = "a basket of {0}"
}

@Suite struct SentenceTests {
    private let basket = Fruit.basket(Fruit.of("plums"), 3)

    @Test func itsEnglishIsThePhraseWithItsValues() {
        #expect(basket.description == "3 in a basket of plums, 3")
        #expect(Fruit.plain().description == "ripe" && Sentence.outside("{0}").description == "{0}")
    }

    @Test func anotherLanguageHasItsOwnOrder() {
        let texts = ["{1} in {0}, {1}": "{0}: {1}개", "a basket of {0}": "{0} 바구니"]
        #expect(basket.text { texts[$0] ?? $0 } == "plums 바구니: 3개")
    }

    @Test(arguments: [
        ("{0}", "{1}", "{1}"), ("{0}{1}{2}", "a", "ab{2}"), ("{", "a", "{"), ("{0", "a", "{0"), ("{x}{}{-1}", "a", "{x}{}{-1}"), ("{{0}}", "a", "{a}"),
        ("", "a", ""), ("}{0}{", "a", "}a{"),
    ])
    func onlyPlacesAreFilledAndOnlyOnce(text: String, first: String, filled: String) { #expect(Sentence.filled(text, [first, "b"]) == filled) }

    @Test func twoAreTheSameThatReadTheSame() {
        #expect(basket == .outside("3 in a basket of plums, 3") && basket != .outside("3"))
        #expect(Set([basket, .outside("3 in a basket of plums, 3")]).count == 1)
    }

    @Test func anErrorThatTellsIsToldAndAnotherIsQuoted() {
        struct Rotten: Telling { let sentence = Fruit.of("plums") }
        struct Other: Error, CustomStringConvertible { let description = "other" }
        #expect(Sentence(Rotten()).text { _ in "{0} 바구니" } == "plums 바구니" && Rotten().description == "a basket of plums")
        #expect(Sentence(Other()).text { _ in "" } == "other")
    }
}
