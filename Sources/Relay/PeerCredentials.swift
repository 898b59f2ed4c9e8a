import NIOCore

/// Who is at the other side of a Unix socket, as the kernel saw it when the connection was made.
package struct PeerCredentials: Hashable, Sendable {
    package let process: Int32
    package let user: UInt32
    package let group: UInt32

    /// Asks the kernel for the peer of a connected Unix socket.
    package static func peer(of channel: any Channel) async throws -> PeerCredentials {
        guard let provider = channel as? any SocketOptionProvider else {
            throw RelayError.protocolBroken("a connection that is no socket")
        }
        // Linux' SOL_SOCKET and SO_PEERCRED; the answer is `struct ucred`, three 32-bit numbers in this order.
        return try await provider.unsafeGetSocketOption(
            level: .socket, name: .init(rawValue: 17), as: PeerCredentials.self
        ).get()
    }
}

extension SocketOptionProvider {
    fileprivate func unsafeGetSocketOption<Value: Sendable>(
        level: NIOBSDSocket.OptionLevel, name: NIOBSDSocket.Option, as: Value.Type
    ) -> EventLoopFuture<Value> {
        unsafeGetSocketOption(level: level, name: name)
    }
}
