import Testing

@testable import punnet

@Suite struct TextTableTests {
    @Test func columnsStandUnderEachOther() {
        var table = TextTable("SEAT", "LAB")
        table.add("pi-07", "room1")
        table.add("x", "y")
        #expect(table.text(otherwise: "") == "SEAT   LAB\npi-07  room1\nx      y")
    }

    @Test func wideCharactersTakeTwoColumns() {
        var table = TextTable("SEAT", "NOTE")
        table.add("교실-1", "한글")
        table.add("pi-0007", "x")
        #expect(table.text(otherwise: "") == "SEAT     NOTE\n교실-1   한글\npi-0007  x")
        #expect("교실".displayWidth == 4)
        #expect("e\u{301}".displayWidth == 1)
        #expect("\u{1100}\u{1161}\u{11a8}".displayWidth == 2)
        #expect("ｱ🙂".displayWidth == 3)
    }

    @Test func aColumnWithoutContentIsLeftOut() {
        var table = TextTable("A", "B", "C")
        table.add("1", "", "3")
        #expect(table.text(otherwise: "") == "A  C\n1  3")
    }

    @Test func noLineEndsInBlanks() {
        var table = TextTable("A", "B")
        table.add("1", "2")
        table.add("3", "")
        #expect(table.text(otherwise: "").split(separator: "\n").allSatisfy { !$0.hasSuffix(" ") })
    }

    @Test func withoutRowsTheOtherTextIsAll() {
        #expect(TextTable("A").text(otherwise: "none") == "none")
    }

    @Test func whatCouldCommandATerminalIsReplaced() {
        var table = TextTable("A")
        table.add("\u{1b}[2J\u{7}\n")
        #expect(!table.text(otherwise: "").dropFirst(2).unicodeScalars.contains { $0.value < 0x20 })
    }

    @Test func aNameBecomesOnePartOfAnAddress() {
        #expect(ControlClient.part("room1-2.a_b~") == "room1-2.a_b~")
        #expect(ControlClient.part("a/b ?&é") == "a%2Fb%20%3F%26%C3%A9")
    }
}
