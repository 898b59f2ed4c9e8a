import DesktopModel
import Hypervisor

/// One thing that happens to the room from outside. What it is done to is chosen by a number, among those there are when it happens.
enum Action: Hashable, Sendable, CustomStringConvertible {
    case passTime(milliseconds: Int)
    case claim(seat: Int, boot: Int)
    case end(session: Int, EndReason)
    case openLink(session: Int, link: UInt64)
    case closeLink(session: Int, link: UInt64)
    case comes(seat: Int)
    case leaves(seat: Int)
    case guestEnds(Int, DomainEvent.Kind)
    case guestHangs(Int)
    case endFromOutside(Int)
    case remake(Int)
    case resize(lab: Int, Int)
    case faults(failures: Bool, lies: Bool, silences: Bool, hangs: Bool)
    case faultsEnd
    case diskFull(Bool)
    /// The daemon is killed after so many moments, and started anew.
    case kill(afterMoments: Int)
    case losePower

    var description: String {
        switch self {
        case .passTime(let milliseconds): "passTime(\(milliseconds) ms)"
        case .claim(let seat, let boot): "claim(seat \(seat), boot \(boot))"
        case .end(let session, let reason): "end(session \(session), \(reason.rawValue))"
        case .openLink(let session, let link): "openLink(session \(session), \(link))"
        case .closeLink(let session, let link): "closeLink(session \(session), \(link))"
        case .comes(let seat): "comes(seat \(seat))"
        case .leaves(let seat): "leaves(seat \(seat))"
        case .guestEnds(let guest, let kind): "guestEnds(\(guest), \(kind))"
        case .guestHangs(let guest): "guestHangs(\(guest))"
        case .endFromOutside(let domain): "endFromOutside(\(domain))"
        case .remake(let desktop): "remake(\(desktop))"
        case .resize(let lab, let size): "resize(lab \(lab), \(size))"
        case .faults(let failures, let lies, let silences, let hangs):
            "faults(failures \(failures), lies \(lies), silences \(silences), hangs \(hangs))"
        case .faultsEnd: "faultsEnd"
        case .diskFull(let full): "diskFull(\(full))"
        case .kill(let moments): "kill(after \(moments) moments)"
        case .losePower: "losePower"
        }
    }

    static func random(_ random: inout SplitMix) -> Action {
        let number = Int.random(in: 0..<1_000, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<34: return .passTime(milliseconds: [50, 500, 5_000, 20_000, 60_000].randomElement(using: &random) ?? 50)
        case 34..<54: return .claim(seat: number, boot: Int.random(in: 1...2, using: &random))
        case 54..<62:
            return .end(session: number, [.logOff, .closed, .administrator].randomElement(using: &random) ?? .logOff)
        case 62..<67: return .openLink(session: number, link: .random(in: 1...3, using: &random))
        case 67..<70: return .closeLink(session: number, link: .random(in: 1...3, using: &random))
        case 70..<74: return .comes(seat: number)
        case 74..<77: return .leaves(seat: number)
        case 77..<80: return .guestEnds(number, [.shutDown, .crashed].randomElement(using: &random) ?? .crashed)
        case 80..<81: return .guestHangs(number)
        case 81..<83: return .endFromOutside(number)
        case 83..<84: return .remake(number)
        case 84..<87: return .resize(lab: number, Int.random(in: 0...4, using: &random))
        case 87..<90:
            func maybe() -> Bool { Int.random(in: 0..<2, using: &random) == 0 }
            return .faults(failures: maybe(), lies: maybe(), silences: maybe(), hangs: maybe())
        case 90..<92: return .faultsEnd
        case 92..<94: return .diskFull(Bool.random(using: &random))
        case 94..<99: return .kill(afterMoments: Int.random(in: 1...40, using: &random))
        default: return .losePower
        }
    }
}
