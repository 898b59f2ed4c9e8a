import DesktopModel

/// All desktops by their numbers, and which of them stand where.
///
/// What every claim and every step asks for is kept with each change of a desktop, so that it takes no longer the more desktops there are.
struct Desktops: Sequence, Sendable {
    /// What admission and the pools count desktops by.
    struct Kind: Hashable, Sendable {
        let lab: LabID
        let image: ImageVersionID?
        let profile: Profile?
        let ownProfile: Profile?
        let holdsResources: Bool

        init(_ desktop: Desktop) {
            lab = desktop.lab
            image = desktop.image
            profile = desktop.profile
            ownProfile = desktop.ownProfile
            holdsResources = desktop.state.holdsResources
        }
    }

    /// A ready desktop, in the order of the numbers of its lab.
    struct Ready: Sendable {
        let number: Int
        let id: DesktopID
    }

    private var byID: [DesktopID: Desktop] = [:]
    /// How many there are of each kind that there is.
    private(set) var kinds: [Kind: Int] = [:]
    /// Those that hold nothing and may be made.
    private(set) var empty: Set<DesktopID> = []
    /// Those that are being made or removed.
    private(set) var underWay: Set<DesktopID> = []
    /// Those that hold what could not be removed.
    private(set) var stuck: Set<DesktopID> = []
    private var ready: [LabID: [Ready]] = [:]
    private var busy: [LabID: Int] = [:]
    private var ownHardware: [LabID: Int] = [:]

    var count: Int { byID.count }
    var isEmpty: Bool { byID.isEmpty }
    var keys: Dictionary<DesktopID, Desktop>.Keys { byID.keys }
    var values: Dictionary<DesktopID, Desktop>.Values { byID.values }
    func makeIterator() -> Dictionary<DesktopID, Desktop>.Iterator { byID.makeIterator() }

    /// The ready desktops of a lab, by number.
    func ready(in lab: LabID) -> [Ready] { ready[lab, default: []] }

    /// How many desktops of a lab are leased or in quarantine, by hand or not, so that nobody can be given them soon.
    func busy(in lab: LabID) -> Int { busy[lab, default: 0] }

    /// How many desktops of a lab have hardware of their own, those that are busy left out.
    func withOwnHardware(in lab: LabID) -> Int { ownHardware[lab, default: 0] }

    /// How many desktops a lab has.
    func count(in lab: LabID) -> Int { kinds.reduce(0) { $1.key.lab == lab ? $0 + $1.value : $0 } }

    subscript(id: DesktopID) -> Desktop? {
        get { byID[id] }
        set {
            let former = byID[id]
            byID[id] = newValue
            if let former, let newValue, former.state == newValue.state, former.isSetAside == newValue.isSetAside, Kind(former) == Kind(newValue) {
                return
            }
            if let former { leave(former) }
            if let newValue { enter(newValue) }
        }
    }

    private mutating func leave(_ desktop: Desktop) {
        let kind = Kind(desktop)
        kinds[kind] = kinds[kind].flatMap { $0 == 1 ? nil : $0 - 1 }
        count(desktop, -1)
        switch desktop.state {
        case .empty where desktop.isSetAside: break
        case .empty: empty.remove(desktop.id)
        case .preparing, .retiring: underWay.remove(desktop.id)
        case .ready:
            let place = place(of: desktop)
            ready[desktop.lab]?.remove(at: place)
        case .quarantined: stuck.remove(desktop.id)
        case .leased: break
        }
    }

    private mutating func enter(_ desktop: Desktop) {
        kinds[Kind(desktop), default: 0] += 1
        count(desktop, 1)
        switch desktop.state {
        case .empty where desktop.isSetAside: break
        case .empty: empty.insert(desktop.id)
        case .preparing, .retiring: underWay.insert(desktop.id)
        case .ready:
            let place = place(of: desktop)
            ready[desktop.lab, default: []].insert(Ready(number: desktop.number, id: desktop.id), at: place)
        case .quarantined(_, let holding): if holding { stuck.insert(desktop.id) }
        case .leased: break
        }
    }

    private mutating func count(_ desktop: Desktop, _ change: Int) {
        switch desktop.state {
        case .empty where desktop.isSetAside, .quarantined, .leased: busy[desktop.lab, default: 0] += change
        case .empty, .preparing, .retiring, .ready:
            if desktop.ownProfile != nil { ownHardware[desktop.lab, default: 0] += change }
        }
    }

    /// Where a desktop is among the ready ones of its lab, or would be.
    private func place(of desktop: Desktop) -> Int {
        let those = ready(in: desktop.lab)
        var places = 0..<those.count
        while !places.isEmpty {
            let middle = (places.lowerBound + places.upperBound) / 2
            places = those[middle].number < desktop.number ? middle + 1..<places.upperBound : places.lowerBound..<middle
        }
        return places.lowerBound
    }
}
