import NIOCore
import NIOEmbedded
import Testing

@testable import Relay

@Suite struct DeskWordTests {
    private static let relayWords: [RelayWord] = [
        .hello(version: 1, open: []),
        .hello(
            version: .max,
            open: [
                OpenLink(link: LinkID(rawValue: .max), session: .min, since: 1),
                OpenLink(link: LinkID(rawValue: 0), session: .max, since: -1),
            ]),
        .ask(link: LinkID(rawValue: 7), ticket: Array(0..<32), address: "2001:db8::1"),
        .opened(link: LinkID(rawValue: 7), session: 12),
        .closed(link: LinkID(rawValue: 7), session: 12, cause: .replaced, bytesFromSeat: .max, bytesToSeat: 0),
    ]
    private static let deskWords: [DeskWord] = [
        .welcome(version: 1), .admit(link: LinkID(rawValue: 1), session: 3, host: "10.77.0.5", port: 3389),
        .refuse(link: LinkID(rawValue: 2)), .close(session: -4),
    ]

    private func framed<Word: FramedWord>(_ word: Word) throws -> [UInt8] {
        var out = ByteBuffer()
        try FrameEncoder<Word>().encode(data: word, out: &out)
        return Array(out.readableBytesView)
    }

    /// The words of a stream that comes in pieces of the given size; throws what the decoder throws.
    private func words<Word: FramedWord>(_ bytes: [UInt8], piece: Int, as: Word.Type) throws -> [Word] {
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(FrameDecoder<Word>()))
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        var words: [Word] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            try channel.writeInbound(ByteBuffer(bytes: bytes[start..<min(start + piece, bytes.count)]))
            while let word = try channel.readInbound(as: Word.self) { words.append(word) }
        }
        return words
    }

    @Test(arguments: [1, 3, 1000]) func everyWordArrivesAsItWasSaid(piece: Int) throws {
        #expect(try words(Self.relayWords.flatMap { try framed($0) }, piece: piece, as: RelayWord.self) == Self.relayWords)
        #expect(try words(Self.deskWords.flatMap { try framed($0) }, piece: piece, as: DeskWord.self) == Self.deskWords)
    }

    private func expectBroken<Word: FramedWord>(_ frame: [UInt8], as: Word.Type) {
        #expect(throws: RelayError.self) { try words(frame, piece: 1000, as: Word.self) }
    }

    private func withLength(_ payload: [UInt8]) -> [UInt8] { [0, 0, UInt8(payload.count >> 8), UInt8(payload.count & 255)] + payload }

    @Test func aFrameThatIsShorterOrLongerThanItsWordIsRefused() throws {
        for word in Self.relayWords {
            let payload = Array(try framed(word)[4...])
            for length in 0..<payload.count { expectBroken(withLength(Array(payload[..<length])), as: RelayWord.self) }
            expectBroken(withLength(payload + [0]), as: RelayWord.self)
        }
        for word in Self.deskWords {
            let payload = Array(try framed(word)[4...])
            for length in 0..<payload.count { expectBroken(withLength(Array(payload[..<length])), as: DeskWord.self) }
            expectBroken(withLength(payload + [0]), as: DeskWord.self)
        }
    }

    @Test func aFrameBeyondTheBoundIsRefusedBeforeItIsWaitedFor() {
        expectBroken([0x7f, 0xff, 0xff, 0xff], as: RelayWord.self)
        expectBroken([0, 1, 0x80, 9], as: DeskWord.self)
    }

    @Test func aHelloOfAllLinksThereCanBeFitsAFrame() throws {
        let open = (0..<DeskProtocol.maximumLinks).map { OpenLink(link: LinkID(rawValue: UInt64($0)), session: Int64($0), since: 0) }
        let word = RelayWord.hello(version: 1, open: open)
        #expect(try words(try framed(word), piece: 65536, as: RelayWord.self) == [word])
    }

    @Test func randomFramesAreWordsOrRefused() throws {
        var random = SeededRandom(seed: 7)
        for _ in 0..<20_000 {
            let payload = (0..<Int.random(in: 0...60, using: &random)).map { index in
                index == 0 ? UInt8.random(in: 0...5, using: &random) : UInt8.random(in: .min ... .max, using: &random)
            }
            if let read = try? words(withLength(payload), piece: 1000, as: RelayWord.self) {
                #expect(try framed(try #require(read.first)) == withLength(payload))
            }
        }
    }
}
