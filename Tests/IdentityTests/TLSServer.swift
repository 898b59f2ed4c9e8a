import Foundation
import Testing

@testable import Identity

/// A folder of one test's own; removed with the value.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/punnet-test-XXXXXX").utf8CString)
        let made = try #require(mkdtemp(&template))
        path = String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Runs a program to its end and gives what it printed on both outputs; its exit status beside it.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
}

/// `openssl s_server` on a loopback port of its own choice, with a certificate of ours; ended with the value.
final class TLSServer {
    let port: UInt16
    let certificate: SelfSignedCertificate
    private let process = Process()
    private let output = Pipe()
    private let folder: TemporaryFolder

    init(_ options: [String] = []) throws {
        folder = try TemporaryFolder()
        certificate = try SelfSignedCertificate.load(orCreateIn: folder.path, names: ["desktop.example", "127.0.0.1"])
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments =
            ["s_server", "-accept", "127.0.0.1:0", "-key", folder.path + "/key.pem", "-cert", folder.path + "/certificate.pem", "-www"]
            + options
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        var said = ""
        while !said.contains("\n") || !said.contains("ACCEPT") {
            let bytes = output.fileHandleForReading.availableData
            guard !bytes.isEmpty else { break }
            said += String(decoding: bytes, as: UTF8.self)
        }
        let line = try #require(said.split(separator: "\n").first { $0.hasPrefix("ACCEPT ") })
        port = try #require(UInt16(line.split(separator: ":").last ?? ""))
    }

    deinit {
        // The child may have inherited a mask that blocks SIGTERM from the thread that started it.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

/// A listener on loopback that answers the first connection as an RDP server would, or wrongly; ended with the value.
final class X224Answerer {
    enum Conduct {
        /// Reads the request, sends this, then passes everything on to the TLS server and back.
        case answer([UInt8], thenTo: UInt16)
        /// Reads the request, sends this and closes.
        case close(after: [UInt8])
        /// Reads the request, sends this and then nothing, until the other side goes.
        case silence(after: [UInt8])
    }

    static let agreed: [UInt8] = [3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0, 8, 0, 1, 0, 0, 0]

    let port: UInt16
    private let listener: Int32
    private let done = DispatchSemaphore(value: 0)
    private let seen = Seen()

    /// What the other side sent first, and how it ended.
    final class Seen: @unchecked Sendable {
        private let lock = NSLock()
        private var bytes: [UInt8] = []
        private var ended = false
        var request: [UInt8] { lock.withLock { bytes } }
        var sawOrderlyEnd: Bool { lock.withLock { ended } }
        func note(_ request: [UInt8]) { lock.withLock { bytes = request } }
        func noteOrderlyEnd() { lock.withLock { ended = true } }
    }

    init(_ conduct: Conduct) throws {
        let (listener, port) = try Self.listen()
        self.listener = listener
        self.port = port
        let done = done
        let seen = seen
        Thread.detachNewThread {
            let peer = accept(listener, nil, nil)
            if peer >= 0 {
                Self.serve(peer, conduct, seen)
                close(peer)
            }
            done.signal()
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// Waits until the connection is over.
    func finished() -> Seen {
        done.wait()
        return seen
    }

    private static func serve(_ peer: Int32, _ conduct: Conduct, _ seen: Seen) {
        seen.note(receive(peer, 19))
        switch conduct {
        case .close(let bytes):
            _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        case .silence(let bytes):
            _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            while !receive(peer, 1).isEmpty {}
            seen.noteOrderlyEnd()
        case .answer(let bytes, let port):
            _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            guard let server = try? connect(to: port) else { return }
            defer { close(server) }
            splice(peer, server, seen)
        }
    }

    private static func splice(_ peer: Int32, _ server: Int32, _ seen: Seen) {
        var piece = [UInt8](repeating: 0, count: 16_384)
        var open = [true, true]
        while open.contains(true) {
            var watched = zip([peer, server], open).map { pollfd(fd: $1 ? $0 : -1, events: Int16(POLLIN), revents: 0) }
            guard poll(&watched, 2, 10_000) > 0 else { return }
            for (index, (from, to)) in [(peer, server), (server, peer)].enumerated() where watched[index].revents != 0 {
                let count = recv(from, &piece, piece.count, 0)
                if count > 0 {
                    _ = send(to, piece, count, Int32(MSG_NOSIGNAL))
                } else {
                    if index == 0, count == 0 { seen.noteOrderlyEnd() }
                    open[index] = false
                    shutdown(to, Int32(SHUT_WR))
                }
            }
        }
    }

    private static func receive(_ socket: Int32, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(socket, &bytes, count, Int32(MSG_WAITALL))
        return Array(bytes.prefix(max(0, got)))
    }

    /// A socket that listens on a free loopback port, and the port.
    static func listen() throws -> (Int32, UInt16) {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                try #require(bind(socket, generic, length) == 0)
                try #require(Glibc.listen(socket, 4) == 0)
                try #require(getsockname(socket, generic, &length) == 0)
            }
        }
        return (socket, UInt16(bigEndian: address.sin_port))
    }

    private static func connect(to port: UInt16) throws -> Int32 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(port)
        let done = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(done == 0)
        return socket
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }
}
