import Broker
import ControlAPI
import DesktopModel

/// A lab's form as it was filled in, so that what was refused can be put right.
public struct LabForm: Sendable {
    public var name = ""
    public var image = ""
    public var vcpus = "1"
    public var memory = "1 GiB"
    public var size = "10"
    public var leastReady = "0"
    public var atOnce = "0"
    public var graceSeconds = "60"
    public var airing = "10min"
    public var afterSession = AfterSession.claimAgain.rawValue
    public var longest = "0"
    public var idle = "0"
    public var warning = "5min"
    /// `on` or `off`.
    public var internet = "off"

    public init() {}

    public init(_ report: LabReport) {
        let lab = report.lab
        name = lab.name
        image = report.image
        vcpus = "\(lab.profile.vcpus)"
        memory = lab.profile.memory.exact
        size = "\(lab.size)"
        leastReady = "\(lab.leastReady)"
        atOnce = "\(lab.atOnce)"
        graceSeconds = "\(lab.grace.components.seconds)"
        airing = Seconds.exact(Int(lab.airing.components.seconds))
        afterSession = lab.afterSession.rawValue
        longest = Self.limit(lab.longest)
        idle = Self.limit(lab.idle)
        warning = Self.limit(lab.warning)
        internet = lab.internet ? "on" : "off"
    }
}

extension LabForm {
    /// `45min`; `0` for none.
    private static func limit(_ time: Duration) -> String { time == .zero ? "0" : Seconds.exact(Int(time.components.seconds)) }
}

extension Pages {
    public func labs(_ labs: [LabReport], seats: [SeatReport], for viewer: Viewer) -> String {
        let texts = viewer.texts
        return html(
            "labs", "labs", for: viewer,
            [
                "isEmpty": labs.isEmpty,
                "labs": labs.map { report -> Fields in
                    [
                        "name": report.lab.name, "href": "/labs/\(report.lab.name)", "image": report.image,
                        "hardware": hardware(report.lab.profile, texts), "size": report.lab.size, "counts": counts(report.desktops, texts),
                        "waiting": report.waiting, "seats": seats.count { $0.lab == report.lab.name },
                    ]
                },
            ])
    }

    /// - Parameters:
    ///   - lab: The lab that is there; nil for a new one.
    ///   - leadsToInternet: Whether the server leads to the internet, for the labs that are to reach it.
    ///   - consequences: What a change would mean; nil where nobody has asked.
    public func lab(
        _ lab: LabReport?, form: LabForm, images: [ImageReport], leadsToInternet: Bool, consequences: [String]?, for viewer: Viewer
    ) -> String {
        let texts = viewer.texts
        return html(
            "lab", "lab", under: "labs", for: viewer,
            [
                "title": lab?.lab.name ?? texts("title.newLab"), "isNew": lab == nil, "name": known(lab?.lab.name),
                "form": [
                    "name": form.name, "image": form.image, "vcpus": form.vcpus, "memory": form.memory, "size": form.size,
                    "leastReady": form.leastReady, "atOnce": form.atOnce, "graceSeconds": form.graceSeconds, "airing": form.airing,
                    "afterSession": form.afterSession, "longest": form.longest, "idle": form.idle, "warning": form.warning,
                ] as Fields,
                "images": images.map(\.version.name).map { ["name": $0, "isChosen": $0 == form.image] as Fields },
                "afterSessions": AfterSession.allCases.map { after -> Fields in
                    ["value": after.rawValue, "label": texts("after.\(after.rawValue)"), "isChosen": after.rawValue == form.afterSession]
                },
                "internet": ["on", "off"].map { choice -> Fields in
                    ["value": choice, "label": texts("lab.internet.\(choice)"), "isChosen": choice == form.internet]
                },
                "internetHelp": texts(leadsToInternet ? "lab.internetHelp" : "lab.noInternetHelp"), "hasConsequences": consequences != nil, "consequences": consequences ?? [], "fits": known(nil), "canDelete": lab != nil,
                "deleteHref": known(lab.map { "/labs/\($0.lab.name)/delete" }),
            ])
    }
}
