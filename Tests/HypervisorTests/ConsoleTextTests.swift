import Hypervisor
import Testing

@Suite struct ConsoleTextTests {
    @Test(arguments: [
        ("one\ntwo\n", ["one", "two"]),
        ("one\r\ntwo\rthree", ["one", "two", "three"]),
        ("\n\n  \n\t\nlast", ["last"]),
        ("a\tb", ["a b"]),
        // Colours, a cleared screen, a moved cursor.
        ("\u{1b}[0;31mred\u{1b}[0m \u{1b}[2J\u{1b}[1;1Hhome", ["red home"]),
        // The terminal's title, by both ends of a string; a character set; a bell.
        ("\u{1b}]0;evil\u{07}after \u{1b}]2;evil\u{1b}\\again \u{1b}(B\u{07}end", ["after again end"]),
        // The same by C1 controls.
        ("\u{9b}31mred \u{9d}0;evil\u{9c}end", ["red end"]),
        // What is never finished swallows its line alone.
        ("\u{1b}]0;never\nnext \u{1b}[12\nlast", ["next ", "last"]),
        // Text direction is not turned round.
        ("a\u{202e}b\u{200f}c", ["abc"]),
        ("부팅\n", ["부팅"]),
    ])
    func whatCommandsATerminalIsLeftOut(text: String, lines: [String]) {
        #expect(ConsoleText.lines(of: text.utf8) == lines)
    }

    @Test func whatIsNoUTF8IsReplaced() {
        #expect(ConsoleText.lines(of: [0x61, 0xff, 0xc3, 0x62]) == ["a\u{fffd}\u{fffd}b"])
        #expect(ConsoleText.lines(of: [0x00, 0x7f, 0x61]) == ["a"])
    }

    @Test func linesAndTheirNumberAreBounded() {
        let text = (1...100).map { "line \($0)" }.joined(separator: "\n")
        #expect(ConsoleText.lines(of: text.utf8, last: 3) == ["line 98", "line 99", "line 100"])
        #expect(ConsoleText.lines(of: "가나다라마\nfit".utf8, width: 4) == ["가나다…", "fit"])
        // One letter with a tower of marks is bounded as well.
        let tower = "e" + String(repeating: "\u{301}", count: 5_000)
        #expect(ConsoleText.lines(of: tower.utf8).map(\.unicodeScalars.count) == [200])
    }

    @Test func theRestOfALineThatWasCutIsNoLine() {
        #expect(ConsoleText.lines(of: "ut off\nwhole".utf8, isCut: true) == ["whole"])
        #expect(ConsoleText.lines(of: "\u{1b}[31".utf8, isCut: true) == [])
    }

    @Test func everyByteAloneAndInPairsIsHarmless() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                for line in ConsoleText.lines(of: [first, second]) {
                    #expect(line.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f).contains($0.value) })
                }
            }
        }
    }
}
