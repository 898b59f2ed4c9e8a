import NIOCore

/// A word that has a place in a frame.
package protocol FramedWord: Sendable {
    /// The word of a whole frame, without the length before it.
    init(frame: inout ByteBuffer) throws(RelayError)
    func write(to frame: inout ByteBuffer)
}

extension RelayWord: FramedWord {
    package init(frame: inout ByteBuffer) throws(RelayError) {
        switch try frame.field(UInt8.self) {
        case 1:
            let version = try frame.field(UInt16.self)
            let count = Int(try frame.field(UInt16.self))
            guard count <= DeskProtocol.maximumLinks else { throw .protocolBroken("a hello names \(count) links") }
            var open: [OpenLink] = []
            for _ in 0..<count {
                open.append(
                    OpenLink(link: try frame.link(), session: try frame.field(Int64.self), since: try frame.field(Int64.self)))
            }
            self = .hello(version: version, open: open)
        case 2: self = .ask(link: try frame.link(), ticket: try frame.bytes(32), address: try frame.text())
        case 3: self = .opened(link: try frame.link(), session: try frame.field(Int64.self))
        case 4:
            let link = try frame.link()
            let session = try frame.field(Int64.self)
            let number = try frame.field(UInt8.self)
            guard let cause = LinkEnd(rawValue: number) else { throw .protocolBroken("a link's end has the unknown cause \(number)") }
            self = .closed(
                link: link, session: session, cause: cause, bytesFromSeat: try frame.field(UInt64.self),
                bytesToSeat: try frame.field(UInt64.self))
        case let kind: throw .protocolBroken("the relay said a word of the unknown kind \(kind)")
        }
        try frame.expectEnd()
    }

    package func write(to frame: inout ByteBuffer) {
        switch self {
        case .hello(let version, let open):
            frame.writeInteger(UInt8(1))
            frame.writeInteger(version)
            let named = open.prefix(DeskProtocol.maximumLinks)
            frame.writeInteger(UInt16(named.count))
            for link in named {
                frame.writeMultipleIntegers(link.link.rawValue, link.session, link.since)
            }
        case .ask(let link, let ticket, let address):
            frame.writeMultipleIntegers(UInt8(2), link.rawValue)
            frame.writeBytes(ticket)
            frame.writeText(address)
        case .opened(let link, let session): frame.writeMultipleIntegers(UInt8(3), link.rawValue, session)
        case .closed(let link, let session, let cause, let bytesFromSeat, let bytesToSeat):
            frame.writeMultipleIntegers(UInt8(4), link.rawValue, session, cause.rawValue, bytesFromSeat, bytesToSeat)
        }
    }
}

extension DeskWord: FramedWord {
    package init(frame: inout ByteBuffer) throws(RelayError) {
        switch try frame.field(UInt8.self) {
        case 1: self = .welcome(version: try frame.field(UInt16.self))
        case 2:
            let link = try frame.link()
            let session = try frame.field(Int64.self)
            let port = try frame.field(UInt16.self)
            self = .admit(link: link, session: session, host: try frame.text(), port: port)
        case 3: self = .refuse(link: try frame.link())
        case 4: self = .close(session: try frame.field(Int64.self))
        case let kind: throw .protocolBroken("punnetd said a word of the unknown kind \(kind)")
        }
        try frame.expectEnd()
    }

    package func write(to frame: inout ByteBuffer) {
        switch self {
        case .welcome(let version): frame.writeMultipleIntegers(UInt8(1), version)
        case .admit(let link, let session, let host, let port):
            frame.writeMultipleIntegers(UInt8(2), link.rawValue, session, port)
            frame.writeText(host)
        case .refuse(let link): frame.writeMultipleIntegers(UInt8(3), link.rawValue)
        case .close(let session): frame.writeMultipleIntegers(UInt8(4), session)
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func field<Number: FixedWidthInteger>(_ type: Number.Type) throws(RelayError) -> Number {
        guard let number = readInteger(as: type) else { throw .protocolBroken("a frame ends inside a number") }
        return number
    }

    fileprivate mutating func link() throws(RelayError) -> LinkID { LinkID(rawValue: try field(UInt64.self)) }

    fileprivate mutating func bytes(_ count: Int) throws(RelayError) -> [UInt8] {
        guard let bytes = readBytes(length: count) else { throw .protocolBroken("a frame ends inside a field of \(count) bytes") }
        return bytes
    }

    fileprivate mutating func text() throws(RelayError) -> String {
        let bytes = try bytes(Int(try field(UInt8.self)))
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .protocolBroken("a text is not UTF-8") }
        return text
    }

    fileprivate func expectEnd() throws(RelayError) {
        guard readableBytes == 0 else { throw .protocolBroken("a frame has \(readableBytes) bytes after its word") }
    }

    /// Writes at most 255 bytes of UTF-8; addresses, which are all that is written, are far shorter.
    fileprivate mutating func writeText(_ text: String) {
        let bytes = text.utf8.prefix(255)
        writeInteger(UInt8(bytes.count))
        writeBytes(bytes)
    }
}

/// Cuts a stream into frames and reads their words; a bad frame fails the connection.
package struct FrameDecoder<Word: FramedWord>: NIOSingleStepByteToMessageDecoder {
    package typealias InboundOut = Word

    package init() {}

    package mutating func decode(buffer: inout ByteBuffer) throws -> Word? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard length <= DeskProtocol.maximumFrame else { throw RelayError.protocolBroken("a frame of \(length) bytes") }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        guard var frame = buffer.readSlice(length: Int(length)) else { return nil }
        return try Word(frame: &frame)
    }

    package mutating func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> Word? {
        try decode(buffer: &buffer)
    }
}

/// Puts words into frames.
package struct FrameEncoder<Word: FramedWord>: MessageToByteEncoder, Sendable {
    package typealias OutboundIn = Word

    package init() {}

    package func encode(data: Word, out: inout ByteBuffer) throws {
        var frame = ByteBuffer()
        data.write(to: &frame)
        out.writeInteger(UInt32(frame.readableBytes))
        out.writeBuffer(&frame)
    }
}
