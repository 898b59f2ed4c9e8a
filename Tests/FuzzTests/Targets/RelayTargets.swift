import Identity
import NIOCore
import NIOEmbedded

@testable import Relay
@testable import punnet_relay

/// What the reader made of a connection.
private enum Verdict: Equatable {
    case waits
    case accepted(ConnectionRequest, replayed: [UInt8])
    case closed
}

/// Puts the pieces through the handler that stands in the relay's pipeline. As the relay does, it ends at the first word against them.
private func verdict(_ pieces: [ArraySlice<UInt8>]) throws -> Verdict {
    let loop = EmbeddedEventLoop()
    var verdict = Verdict.waits
    let channel = EmbeddedChannel(loop: loop)
    let reader = RequestReader { outcome in
        switch (outcome, verdict) {
        case (.request(let request, let bytes), .waits): verdict = .accepted(request, replayed: Array(bytes.readableBytesView))
        case (.malformed, _), (.ended, _), (.request, _): verdict = .closed
        }
    }
    try channel.pipeline.syncOperations.addHandler(reader)
    for piece in pieces where verdict != .closed {
        try channel.writeInbound(ByteBuffer(bytes: piece))
    }
    let end = verdict
    _ = try channel.finish(acceptAlreadyClosed: true)
    return end
}

func checkRequest(_ bytes: [UInt8]) throws {
    guard !bytes.isEmpty else { return }
    let first = try verdict([bytes[...]])
    try Violation.unless(try verdict(cut(bytes)) == first, "cut into pieces, the bytes are judged otherwise")
    // One by one they go to the reader without its channel, of which there would be hundreds of events.
    var isClosed = false
    for count in 1...bytes.count where !isClosed {
        switch ConnectionRequest.read(Array(bytes.prefix(count))) {
        case .incomplete: try Violation.unless(first != .closed || count < bytes.count, "garbage is waited for to the end")
        case .complete(let request): isClosed = count < bytes.count || first != .accepted(request, replayed: bytes)
        case .malformed: isClosed = true
        }
    }
    try Violation.unless(isClosed == (first == .closed), "one by one, the bytes are judged otherwise")
    let maximum = ConnectionRequest.maximumLength
    switch first {
    case .waits: try Violation.unless(bytes.count < maximum, "\(bytes.count) bytes are waited for, of \(maximum)")
    case .closed: break
    case .accepted(let request, let replayed):
        try Violation.unless(replayed == bytes, "the desktop would get other bytes than the seat sent")
        try Violation.unless(request.length == bytes.count && bytes.count <= maximum, "a packet of \(bytes.count) bytes is let through")
        try checkAccepted(request, bytes)
    }
}

/// Reads an accepted packet in another way: by its places.
private func checkAccepted(_ request: ConnectionRequest, _ bytes: [UInt8]) throws {
    let token = bytes.dropFirst(11).prefix { $0 != 13 }
    let head: [UInt8] = [3, 0, UInt8(bytes.count >> 8), UInt8(bytes.count & 255), UInt8(bytes.count - 5), 0xe0, 0, 0, 0, 0, 0]
    let ticket = token.dropFirst(7)
    try Violation.unless(bytes.starts(with: head), "the head is not what a connection request has")
    try Violation.unless(token.starts(with: Array("punnet=".utf8)), "no routing token of ours")
    try Violation.unless(request.ticket.hash == Digest.sha256(Array(ticket)), "the ticket's hash is not that of what was sent")
    try Violation.unless(
        ticket.allSatisfy { UInt8(ascii: "-") == $0 || UInt8(ascii: "_") == $0 || isLetterOrDigit($0) }, "a ticket of other characters")
    let rest = Array(bytes[(token.endIndex)...])
    try Violation.unless(rest.starts(with: [13, 10, 1]) && [10, 46].contains(rest.count), "\(rest.count) bytes after the ticket")
    try Violation.unless(rest[6...9] != [0, 0, 0, 0], "bare RDP security is asked for")
    let shown = "\(request) \(String(reflecting: request))"
    try Violation.unless(!shown.contains(String(decoding: ticket, as: UTF8.self)), "the ticket is shown")
}

private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
}

/// The bytes as the variable part of a packet that is right otherwise.
func checkToken(_ bytes: [UInt8]) throws {
    let length = 11 + bytes.count
    try checkRequest(
        [3, 0, UInt8(truncatingIfNeeded: length >> 8), UInt8(length & 255), UInt8(truncatingIfNeeded: length - 5), 0xe0, 0, 0, 0, 0, 0]
            + bytes)
}

func checkWords(_ bytes: [UInt8]) throws {
    // The first byte says who speaks.
    guard let speaker = bytes.first else { return }
    if speaker & 1 == 0 {
        try checkWords(of: RelayWord.self, Array(bytes.dropFirst()))
    } else {
        try checkWords(of: DeskWord.self, Array(bytes.dropFirst()))
    }
}

private func checkWords<Word: FramedWord & Equatable>(of type: Word.Type, _ bytes: [UInt8]) throws {
    let first = words(of: type, in: [bytes[...]])
    for pieces in [cut(bytes), bytes.indices.map { bytes[$0...$0] }] {
        let other = words(of: type, in: pieces)
        try Violation.unless(other.words == first.words && other.failed == first.failed, "cut otherwise, other words are read")
    }
    var written = ByteBuffer()
    for word in first.words { try FrameEncoder<Word>().encode(data: word, out: &written) }
    try Violation.unless(bytes.starts(with: written.readableBytesView), "a word that was read is written otherwise")
    let rest = bytes.count - written.readableBytes
    try Violation.unless(first.failed || rest < 4 + DeskProtocol.maximumFrame, "\(rest) bytes are waited for")
}

/// The words of a stream, as the decoder in the pipeline reads them; whether it fails.
private func words<Word: FramedWord>(of type: Word.Type, in pieces: [ArraySlice<UInt8>]) -> (words: [Word], failed: Bool) {
    let processor = NIOSingleStepByteToMessageProcessor(FrameDecoder<Word>())
    var words: [Word] = []
    do {
        for piece in pieces { try processor.process(buffer: ByteBuffer(bytes: piece)) { words.append($0) } }
    } catch {
        return (words, true)
    }
    return (words, false)
}
