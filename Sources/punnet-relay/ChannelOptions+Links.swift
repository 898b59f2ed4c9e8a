import NIOCore
import Relay

/// A socket option with its value.
struct SocketSetting: Sendable {
    let option: ChannelOptions.Types.SocketOption
    let value: SocketOptionValue

    /// What both sides of a link are set to: small packets leave at once, and a side that is silent for the time is taken for lost, whether
    /// there is data under way (TCP_USER_TIMEOUT) or not (keep-alive).
    static func link(silence: TimeAmount) -> [SocketSetting] {
        // Half the time passes before the kernel asks whether the other side is there; then it asks four times.
        let seconds = max(silence.nanoseconds / 1_000_000_000, 2)
        let idle = max(seconds / 2, 1)
        let interval = max((seconds - idle) / 4, 1)
        return [
            SocketSetting(option: .init(level: .socket, name: .so_keepalive), value: 1),
            SocketSetting(option: .init(level: .tcp, name: .tcp_nodelay), value: 1),
            // Linux' TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT and TCP_USER_TIMEOUT, of linux/tcp.h.
            SocketSetting(option: .init(level: .tcp, name: .init(rawValue: 4)), value: SocketOptionValue(idle)),
            SocketSetting(option: .init(level: .tcp, name: .init(rawValue: 5)), value: SocketOptionValue(interval)),
            SocketSetting(option: .init(level: .tcp, name: .init(rawValue: 6)), value: 4),
            SocketSetting(option: .init(level: .tcp, name: .init(rawValue: 18)), value: SocketOptionValue(silence.nanoseconds / 1_000_000)),
        ]
    }
}

extension Channel {
    /// Sets what both sides of a link are set to. On the channel's event loop.
    func setLinkOptions(_ limits: DoorLimits) throws {
        guard let options = syncOptions else { return }
        try options.setOption(ChannelOptions.autoRead, value: false)
        try options.setOption(ChannelOptions.allowRemoteHalfClosure, value: true)
        try options.setOption(ChannelOptions.maxMessagesPerRead, value: 2)
        try options.setOption(
            ChannelOptions.writeBufferWaterMark, value: .init(low: limits.bufferedBytes / 4, high: limits.bufferedBytes))
        try options.setOption(ChannelOptions.socketOption(.so_rcvbuf), value: SocketOptionValue(limits.receivedBytes))
        for setting in SocketSetting.link(silence: limits.silence) {
            try options.setOption(setting.option, value: setting.value)
        }
    }
}
