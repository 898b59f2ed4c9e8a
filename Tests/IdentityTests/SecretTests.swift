import Testing

@testable import Identity

@Suite struct SecretTests {
    @Test func sha256AgreesWithThePublishedExamples() {
        #expect(Hex.text(of: Digest.sha256([])) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(Hex.text(of: Digest.sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }

    @Test func aStreamInPiecesGivesTheHashOfTheWhole() {
        let bytes = Randomness.bytes(100_000)
        var stream = SHA256Stream()
        for start in stride(from: 0, to: bytes.count, by: 7_777) {
            bytes[start..<min(start + 7_777, bytes.count)].withUnsafeBytes { stream.update($0) }
        }
        #expect(stream.finish() == Digest.sha256(bytes))
    }

    @Test func hexReadsWhatItWrites() {
        #expect(Hex.text(of: [0x00, 0x0f, 0xff], separator: ":") == "00:0f:ff")
        #expect(Hex.bytes(of: "000fFF") == [0x00, 0x0f, 0xff])
        #expect(Hex.bytes(of: "0") == nil)
        #expect(Hex.bytes(of: "0g") == nil)
        #expect(Hex.bytes(of: "00:0f") == nil)
    }

    @Test func base64ForURLsReadsWhatItWritesAndNothingElse() {
        for count in 0..<70 {
            let bytes = Randomness.bytes(count)
            #expect(Base64.bytes(ofURLText: Base64.urlText(of: bytes)) == bytes)
        }
        #expect(Base64.urlText(of: [0xfb, 0xff]) == "-_8")
        #expect(Base64.bytes(ofURLText: "-_9") == nil, "an unused bit is set")
        #expect(Base64.bytes(ofURLText: "-_8=") == nil)
        #expect(Base64.bytes(ofURLText: "A") == nil)
    }

    @Test func tokensDifferAndAreFoundByTheirHash() throws {
        let token = Token()
        #expect(token.text.utf8.count == 43)
        #expect(Set((0..<1_000).map { _ in Token().text }).count == 1_000)
        let read = try #require(Token(untrusted: token.text))
        #expect(read.matches(hash: token.hash))
        #expect(!Token().matches(hash: token.hash))
        #expect(!token.matches(hash: Array(token.hash.dropLast())))
    }

    @Test(arguments: ["", "short", String(repeating: "A", count: 44), String(repeating: "!", count: 43), String(repeating: "é", count: 43)])
    func whatIsNoTokenIsRefused(text: String) {
        #expect(Token(untrusted: text) == nil)
    }

    @Test func aWordIsReadHoweverItIsTyped() throws {
        let word = Word()
        let bare = word.text.filter { $0 != "-" }
        #expect(bare.count == 12)
        let spaced = bare.map(String.init).joined(separator: " ")
        for typed in [word.text, word.text.lowercased(), bare, " " + bare.lowercased() + " ", spaced] {
            #expect(try #require(Word(untrusted: typed)).hash == word.hash)
        }
    }

    @Test(arguments: ["", "K7MP-3QXT-9DH", "K7MP-3QXT-9DHWW", "K7MP-3QXT-9DH0", "A7MP-3QXT-9DHW", String(repeating: "-", count: 100)])
    func whatIsNoWordIsRefused(text: String) {
        #expect(Word(untrusted: text) == nil)
    }

    @Test func wordsUseTheirWholeAlphabetAndDiffer() {
        let words = (0..<2_000).map { _ in Word().text }
        #expect(Set(words).count == words.count)
        #expect(Set(words.joined().filter { $0 != "-" }).count == 25)
    }

    @Test func aPasswordIsKnownAgainAndAnotherIsNot() throws {
        let hash = try PasswordHash(password: "열려라 참깨")
        let kept = try #require(PasswordHash(encoded: hash.encoded))
        #expect(try kept.verify("열려라 참깨"))
        #expect(try !kept.verify("열려라 참깨 "))
        #expect(try !kept.verify(""))
        #expect(try PasswordHash(password: "열려라 참깨").encoded != hash.encoded, "the salt is new each time")
    }

    /// The third example of RFC 7914, section 12.
    @Test func scryptAgreesWithThePublishedExample() throws {
        let key =
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            + "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        let salt = Base64.urlText(of: Array("SodiumChloride".utf8))
        let line = "$scrypt$ln=14,r=8,p=1$\(salt)$\(Base64.urlText(of: try #require(Hex.bytes(of: key))))"
        #expect(try #require(PasswordHash(encoded: line)).verify("pleaseletmein"))
    }

    @Test(arguments: [
        "", "$scrypt$", "$bcrypt$ln=15,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=40,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=20,r=32,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=15,r=8$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$scrypt$ln=15,r=8,p=1$$AAAAAAAAAAAAAAAAAAAAAAAA",
    ])
    func aLineThatIsNoPasswordHashIsRefused(line: String) {
        #expect(PasswordHash(encoded: line) == nil)
    }
}
