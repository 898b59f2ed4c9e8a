import COpenSSL
import Glibc

@testable import Identity

func checkConfirm(_ bytes: [UInt8]) throws {
    guard bytes.count >= ConnectionConfirm.headerLength else { return }
    let header = Array(bytes.prefix(ConnectionConfirm.headerLength))
    guard let length = try? ConnectionConfirm.length(header: header) else { return }
    try Violation.unless((11...19).contains(length), "an answer of \(length) bytes is waited for")
    guard bytes.count >= length else { return }
    let packet = Array(bytes.prefix(length))
    let isAccepted = (try? ConnectionConfirm.check(packet)) != nil
    // Said the other way round: a connection confirm, whose references and flags do not matter, that chooses TLS.
    let choosesTLS =
        length == 19 && packet[4] == 14 && packet[5] >> 4 == 0xd && packet[11] == 2 && Array(packet[13...]) == [8, 0, 1, 0, 0, 0]
    try Violation.unless(isAccepted == choosesTLS, "an answer that \(choosesTLS ? "agrees to" : "refuses") TLS is misread")
}

func checkCertificate(_ bytes: [UInt8]) throws {
    LibraryErrors.clear()
    let shown = bytes.withUnsafeBufferPointer { buffer in
        var place = buffer.baseAddress
        return d2i_X509(nil, &place, buffer.count)
    }
    LibraryErrors.clear()
    guard let shown else { return }
    let certificate = X509Certificate(taking: shown)
    let fingerprint = try? certificate.fingerprint()
    _ = try? certificate.names(all: ["desktop.example", "127.0.0.1", "::1"])
    _ = certificate.lasts(days: 1)
    _ = try? certificate.publicKey()
    var der: UnsafeMutablePointer<UInt8>?
    LibraryErrors.clear()
    let length = i2d_X509(certificate.pointer, &der)
    LibraryErrors.clear()
    guard length > 0, let der else { return }
    defer { CRYPTO_free(der, nil, 0) }
    let sum = Digest.sha256(Array(UnsafeBufferPointer(start: der, count: Int(length))))
    try Violation.unless(fingerprint == sum, "the fingerprint is not the SHA-256 of the certificate")
}

/// The whole conversation, over a real pair of sockets, with a guest that has said all of it before it is asked.
func checkProbe(_ bytes: [UInt8]) throws {
    var ends: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
        throw Violation(description: "no pair of sockets: \(String(cString: strerror(errno)))")
    }
    defer { close(ends[1]) }
    let sent = send(ends[1], bytes, bytes.count, Int32(MSG_NOSIGNAL))
    guard sent == bytes.count else {
        close(ends[0])
        throw Violation(description: "the pair of sockets does not take \(bytes.count) bytes")
    }
    shutdown(ends[1], Int32(SHUT_WR))
    let link = ProbeSocket(connected: ends[0], deadline: .seconds(10), bell: try CancellationBell())
    let result: Result<[UInt8], ProbeError>
    do throws(ProbeError) {
        result = .success(try RDPProbe.converse(over: link))
    } catch {
        result = .failure(error)
    }
    switch result {
    case .success: throw Violation(description: "a handshake is done with a guest that said all of it beforehand")
    case .failure(.timedOut(let step, _)): throw Violation(description: "the probe waits for one that has gone, while \(step.rawValue)")
    case .failure(.cancelled): throw Violation(description: "nobody cancelled the probe")
    case .failure: try Violation.unless(ERR_peek_error() == 0, "OpenSSL's errors are left over")
    }
}
