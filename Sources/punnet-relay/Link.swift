import NIOCore
import Relay

/// One connection of a seat on its way through the door: its first packet, its admission, its desktop, and what runs between the two.
///
/// Confined to the event loop of its channels. It says nothing on its own: every end goes through `LinkTable`.
final class Link {
    enum Stage {
        case reading
        case asking(request: ByteBuffer)
        case connecting(session: Int64)
        case open(session: Int64, since: Int64)
        case over
    }

    let id: LinkID
    let source: SourceAddress
    let seat: any Channel
    var stage = Stage.reading
    var deadline: Scheduled<Void>?
    var desktop: (any Channel)?
    var seatSide: SpliceHandler?
    var desktopSide: SpliceHandler?
    /// The first thing that ended a direction or a side; what comes of it later does not count.
    var firstEnd: LinkEnd?

    init(id: LinkID, source: SourceAddress, seat: any Channel) {
        self.id = id
        self.source = source
        self.seat = seat
    }

    /// The session it was admitted for.
    var session: Int64? {
        switch stage {
        case .connecting(let session), .open(let session, _): session
        case .reading, .asking, .over: nil
        }
    }

    var isOver: Bool {
        if case .over = stage { true } else { false }
    }

    /// Closes both sides now; what was not sent yet is dropped.
    func cut() {
        seat.close(promise: nil)
        desktop?.close(promise: nil)
    }
}
