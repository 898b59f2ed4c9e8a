/// The one who knows which ticket is good, and is told what becomes of the links.
///
/// `linksAre`, `linkOpened` and `linkClosed` come one at a time, in the order in which things happened at the relay. `admit` comes whenever
/// a ticket is shown, several at once, and again for the same link when the relay lost the answer: it only answers, and a link counts from
/// `linkOpened` on. The calls come from any thread. Nothing arrives while no relay is there.
public protocol TicketDesk: Sendable {
    /// Whether the ticket with this SHA-256 (32 bytes) lets a connection from the address (IPv4 or IPv6 as text, an IPv4 one never in IPv6
    /// clothes) through. The relay waits for seconds only.
    func admit(ticket: [UInt8], from address: String, link: LinkID) async -> Admission
    /// The connection to the desktop stands. A link of the same session that was open before has been reported closed.
    func linkOpened(_ link: LinkID, session: Int64) async
    /// An admitted link is over, and carried so much; also one that never opened.
    func linkClosed(_ link: LinkID, session: Int64, cause: LinkEnd, carried: LinkBytes) async
    /// A relay has come (back): these links are open, and no others. To be asked of it: `RelayDesk.closeLinks(of:)` for what should not be.
    func linksAre(_ open: [OpenLink]) async
}
