import DesktopModel
import Hypervisor

/// One thing that happens to the room from outside. What it is done to is chosen by a number, among those there are when it happens.
enum Action: Hashable, Sendable, CustomStringConvertible {
    case passTime(milliseconds: Int)
    /// A seat that `givesUp` does not wait for an answer that takes longer than the broker's thought.
    case claim(seat: Int, boot: Int, givesUp: Bool)
    case end(session: Int, EndReason)
    case openLink(session: Int, link: UInt64)
    case closeLink(session: Int, link: UInt64)
    /// A seat shows its ticket at the relay, or another address does.
    case knock(seat: Int, isFromElsewhere: Bool)
    /// A seat listens for offers; what it makes of them is its own.
    case comes(seat: Int, Taking)
    case leaves(seat: Int)
    /// A guest crashes, or it shuts itself down or reboots, which Xen tells as the same.
    case guestEnds(Int, DomainEvent.Kind)
    case guestHangs(Int)
    case endFromOutside(Int)
    case foreignComes(mebibytes: Int)
    case foreignGoes(Int)
    case remake(Int)
    case resize(lab: Int, Int)
    case refit(lab: Int, image: Int, mebibytes: Int)
    /// How many of a lab's desktops stand ready, and are made at once.
    case pace(lab: Int, ready: Int, atOnce: Int)
    /// A desktop is to have so much memory of its own; none: its lab's.
    case own(desktop: Int, mebibytes: Int?)
    /// A desktop is put in quarantine by hand, or released.
    case quarantine(desktop: Int)
    case release(desktop: Int)
    /// How long sessions of a lab may last, and how long before their end they are warned; 0: for ever.
    case limit(lab: Int, seconds: Int, warning: Int)
    /// It is accepted that desktops of the image without the guest package have one identity, or no longer.
    case share(Bool)
    case addLab(size: Int)
    case deleteLab(Int)
    case faults(failures: Bool, lies: Bool, silences: Bool, hangs: Bool)
    case faultsEnd
    /// Others leave so much of the disk that desktops' overlays lie on.
    case leaveDisk(gibibytes: Int)
    /// The disk that the database lies on takes no more, or does again.
    case diskFull(Bool)
    /// The daemon is killed after so many moments, and started anew.
    case kill(afterMoments: Int)
    case losePower

    /// When a seat claims that is offered a desktop.
    enum Taking: String, Sendable {
        case atOnce = "takes offers"
        /// Within the time that it has, so that others come while the offer stands.
        case late = "takes offers late"
        case never = "takes no offers"
    }

    var description: String {
        switch self {
        case .passTime(let milliseconds): "passTime(\(milliseconds) ms)"
        case .claim(let seat, let boot, let givesUp): "claim(seat \(seat), boot \(boot)\(givesUp ? ", gives up" : ""))"
        case .end(let session, let reason): "end(session \(session), \(reason.rawValue))"
        case .openLink(let session, let link): "openLink(session \(session), \(link))"
        case .closeLink(let session, let link): "closeLink(session \(session), \(link))"
        case .knock(let seat, let isFromElsewhere): "knock(seat \(seat)\(isFromElsewhere ? ", from elsewhere" : ""))"
        case .comes(let seat, let taking): "comes(seat \(seat), \(taking.rawValue))"
        case .leaves(let seat): "leaves(seat \(seat))"
        case .guestEnds(let guest, let kind): "guestEnds(\(guest), \(kind))"
        case .guestHangs(let guest): "guestHangs(\(guest))"
        case .endFromOutside(let domain): "endFromOutside(\(domain))"
        case .foreignComes(let mebibytes): "foreignComes(\(mebibytes) MiB)"
        case .foreignGoes(let domain): "foreignGoes(\(domain))"
        case .remake(let desktop): "remake(\(desktop))"
        case .resize(let lab, let size): "resize(lab \(lab), \(size))"
        case .refit(let lab, let image, let mebibytes): "refit(lab \(lab), image \(image), \(mebibytes) MiB)"
        case .pace(let lab, let ready, let atOnce): "pace(lab \(lab), \(ready) ready, \(atOnce) at once)"
        case .own(let desktop, let mebibytes): "own(desktop \(desktop), \(mebibytes.map { "\($0) MiB" } ?? "as its lab"))"
        case .quarantine(let desktop): "quarantine(desktop \(desktop))"
        case .release(let desktop): "release(desktop \(desktop))"
        case .limit(let lab, let seconds, let warning): "limit(lab \(lab), \(seconds) s, warning \(warning) s)"
        case .share(let accepted): "share(\(accepted))"
        case .addLab(let size): "addLab(size \(size))"
        case .deleteLab(let lab): "deleteLab(\(lab))"
        case .faults(let failures, let lies, let silences, let hangs):
            "faults(failures \(failures), lies \(lies), silences \(silences), hangs \(hangs))"
        case .faultsEnd: "faultsEnd"
        case .leaveDisk(let gibibytes): "leaveDisk(\(gibibytes) GiB)"
        case .diskFull(let full): "diskFull(\(full))"
        case .kill(let moments): "kill(after \(moments) moments)"
        case .losePower: "losePower"
        }
    }

    static func random(_ random: inout SplitMix) -> Action {
        func one<Choice>(of choices: [Choice]) -> Choice { choices.randomElement(using: &random)! }
        func maybe() -> Bool { Bool.random(using: &random) }
        let number = Int.random(in: 0..<1_000, using: &random)
        switch Int.random(in: 0..<1_000, using: &random) {
        case 0..<255: return .passTime(milliseconds: one(of: [50, 500, 5_000, 20_000, 60_000]))
        case 255..<260: return .quarantine(desktop: number)
        case 260..<265: return .release(desktop: number)
        case 265..<270: return .limit(lab: number, seconds: one(of: [0, 60, 600]), warning: one(of: [0, 20, 300]))
        case 270..<430: return .claim(seat: number, boot: Int.random(in: 1...2, using: &random), givesUp: one(of: [false, false, false, true]))
        case 430..<510: return .end(session: number, one(of: [.logOff, .closed, .administrator]))
        case 510..<550: return .openLink(session: number, link: .random(in: 1...3, using: &random))
        case 550..<575: return .closeLink(session: number, link: .random(in: 1...3, using: &random))
        case 575..<600: return .knock(seat: number, isFromElsewhere: maybe())
        case 600..<670: return .comes(seat: number, one(of: [.atOnce, .atOnce, .late, .never]))
        case 670..<695: return .leaves(seat: number)
        case 695..<730: return .guestEnds(number, one(of: [.shutDown, .crashed]))
        case 730..<740: return .guestHangs(number)
        case 740..<755: return .endFromOutside(number)
        case 755..<768: return .foreignComes(mebibytes: one(of: [128, 512, 1_024]))
        case 768..<775: return .foreignGoes(number)
        case 785..<795: return .remake(number)
        case 775..<780: return .pace(lab: number, ready: Int.random(in: 0...2, using: &random), atOnce: Int.random(in: 0...1, using: &random))
        case 780..<785: return .own(desktop: number, mebibytes: one(of: [512, 640, nil]))
        case 795..<820: return .resize(lab: number, Int.random(in: 0...4, using: &random))
        case 820..<824: return .share(maybe())
        case 824..<834: return .refit(lab: number, image: Int.random(in: 0...1, using: &random), mebibytes: one(of: [512, 512, 640]))
        case 834..<843: return .addLab(size: Int.random(in: 1...2, using: &random))
        case 843..<852: return .deleteLab(number)
        case 852..<885: return .faults(failures: maybe(), lies: maybe(), silences: maybe(), hangs: maybe())
        case 885..<897: return .faultsEnd
        case 897..<917: return .leaveDisk(gibibytes: one(of: [80, 7, 3]))
        case 917..<935: return .diskFull(maybe())
        case 935..<990: return .kill(afterMoments: Int.random(in: 1...40, using: &random))
        default: return .losePower
        }
    }
}
