import DesktopModel

/// Which desktops reach the internet: all of the labs that say so, where the server's network leads there.
extension Room {
    /// Has the internet opened to whom it is to be open now, and to nobody else, where that has changed.
    mutating func openInternet() {
        guard mayReachOtherwise else { return }
        mayReachOtherwise = false
        let open = leadsToInternet ? Set(labs.values.filter(\.internet).map(\.id)) : []
        let places = Set(desktops.values.filter { open.contains($0.lab) }.map(\.place))
        guard places != online else { return }
        online = places
        effects.append(.openInternet(places))
    }

    /// Refuses for a lab that is to reach the internet, where the server does not lead there. What a lab has said before may stay.
    func checkInternet(_ wished: Bool?) throws(BrokerError) {
        guard wished == true, !leadsToInternet else { return }
        throw .invalid(field: "internet", value: "on", remedy: Refused.leadToInternetFirst())
    }
}
