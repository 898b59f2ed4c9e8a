import Glibc
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Connections of seats: counted, and watched by TCP itself, so that a seat that lost its power is noticed without a timer of ours.
struct SeatChannel<Base: ServerChildChannel>: ServerChildChannel {
    typealias Value = Base.Value

    private let base: Base
    private let gate: ConnectionGate

    init(_ base: Base, gate: ConnectionGate) {
        self.base = base
        self.gate = gate
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let address = PeerAddress(channel.remoteAddress)
        guard gate.admit(address) else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(ChannelError.eof)
        }
        channel.closeFuture.whenComplete { _ in gate.leave(address) }
        return channel.eventLoop.makeCompletedFuture {
            let options = channel.syncOptions
            for (level, name, value) in Self.deadPeerOptions {
                try options?.setOption(ChannelOptions.Types.SocketOption(level: level, name: name), value: value)
            }
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }

    /// A peer that answers nothing is given up after 20 + 3 × 5 seconds of silence, or 20 seconds after a byte that it never acknowledged.
    private static var deadPeerOptions: [(NIOBSDSocket.OptionLevel, NIOBSDSocket.Option, Int)] {
        [
            (.socket, .so_keepalive, 1),
            (.tcp, .tcp_nodelay, 1),
            (.tcp, NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE), 20),
            (.tcp, NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL), 5),
            (.tcp, NIOBSDSocket.Option(rawValue: TCP_KEEPCNT), 3),
            (.tcp, NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT), 20_000),
        ]
    }
}

/// The address of a TCP peer: as text, the same for one peer however it came, and as what limits are counted by.
struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IPv4-mapped IPv6 address is written as IPv4; an interface's mark is left out.
    let description: String
    /// The address, or an IPv6 network of 64 bits, since a host there has as many addresses as it likes.
    let counted: String

    init(_ address: SocketAddress?) { self.init(address?.ipAddress ?? "unknown") }

    init(_ text: String) {
        let bare = String(text.prefix { $0 != "%" })
        var bytes = in6_addr()
        guard inet_pton(AF_INET6, bare, &bytes) == 1 else {
            description = bare
            counted = bare
            return
        }
        let octets = withUnsafeBytes(of: &bytes) { Array($0) }
        if octets[0..<10].allSatisfy({ $0 == 0 }), octets[10] == 0xff, octets[11] == 0xff {
            description = octets[12...].map(String.init).joined(separator: ".")
            counted = description
        } else {
            description = bare
            counted = octets[..<8].map { String($0, radix: 16) }.joined(separator: ":")
        }
    }
}

/// Counts connections, in all and by address, and refuses what is too much: one noisy address leaves room for the others.
final class ConnectionGate: Sendable {
    private let limit: Int
    private let limitPerAddress: Int
    private let open = Mutex<(all: Int, byAddress: [String: Int])>((0, [:]))

    init(limit: Int, limitPerAddress: Int) {
        self.limit = limit
        self.limitPerAddress = limitPerAddress
    }

    /// Counts the connection in, or gives false where it must be closed; what was admitted must `leave`.
    func admit(_ address: PeerAddress) -> Bool {
        open.withLock { open in
            guard open.all < limit, open.byAddress[address.counted, default: 0] < limitPerAddress else { return false }
            open.all += 1
            open.byAddress[address.counted, default: 0] += 1
            return true
        }
    }

    func leave(_ address: PeerAddress) {
        open.withLock { open in
            open.all -= 1
            let left = open.byAddress[address.counted, default: 1] - 1
            open.byAddress[address.counted] = left > 0 ? left : nil
        }
    }
}
