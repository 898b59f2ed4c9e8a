import Broker
import DesktopModel

extension Pages {
    /// - Parameter lab: The only lab that is shown; nil for all.
    public func desktops(_ desktops: [DesktopReport], labs: [LabReport], lab: String?, for viewer: Viewer) -> String {
        let texts = viewer.texts
        return html(
            "desktops", "desktops", for: viewer,
            [
                "isEmpty": desktops.isEmpty,
                "labs": labs.map { report -> Fields in
                    ["name": report.lab.name, "href": "/desktops?lab=\(report.lab.name)", "isCurrent": report.lab.name == lab]
                },
                "isAll": lab == nil,
                "desktops": desktops.map { desktop -> Fields in
                    [
                        "name": desktop.name, "href": "/desktops/\(desktop.name)", "lab": desktop.lab, "generation": "\(desktop.generation)",
                        "hardware": hardware(desktop.profile, texts), "isOwn": desktop.hasOwnProfile, "address": desktop.address,
                    ].merging(state(of: desktop, texts)) { _, last in last }
                    .merging(moment("since", desktop.since)) { _, last in last }
                },
            ])
    }

    /// `5.2 s`
    static func tenths(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let tenths = seconds * 10 + (attoseconds + 50_000_000_000_000_000) / 100_000_000_000_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }

    /// - Parameters:
    ///   - session: The session that it is leased to, if the viewer may know.
    ///   - hardware: What is asked for: vCPUs and memory as they were typed; nil shows what the desktop has.
    ///   - consequences: What a change would mean; nil where nobody has asked.
    public func desktop(
        _ told: DesktopExplanation, session: SessionReport?, hardware asked: (vcpus: String, memory: String)?, consequences: [String]?,
        for viewer: Viewer
    ) -> String {
        let texts = viewer.texts
        let desktop = told.desktop
        let fields: Fields = [
            "title": desktop.name, "name": desktop.name, "lab": desktop.lab, "labHref": "/labs/\(desktop.lab)",
            "generation": "\(desktop.generation)", "address": desktop.address, "hardware": hardware(desktop.profile, texts),
            "isOwn": desktop.hasOwnProfile, "isSetAside": desktop.isSetAside, "meaning": texts(told.meaning), "present": known(told.present.map { texts($0) }), "next": texts(told.next),
            "cause": known(told.cause.map { texts($0) }),
            "failure": known(
                told.failure.map { failure -> Fields in
                    [
                        "count": failure.count, "step": known(failure.step.map { texts("step.\($0.rawValue)") }), "cause": texts(failure.cause),
                        "console": failure.console, "hasConsole": !failure.console.isEmpty,
                    ]
                }), "hasRemedies": !told.remedies.isEmpty, "remedies": told.remedies.map { texts($0) },
            "hasMaking": !told.done.isEmpty,
            "making": told.done.map { ["label": texts("step.\($0.word)"), "took": Self.tenths($0.took)] as Fields },
            "makingTook": Self.tenths(told.done.reduce(.zero) { $0 + $1.took }),
            "session": known(session.map { ["id": "\($0.id)", "seat": $0.seat, "href": "/seats/\($0.seat)"] as Fields }),
            "form": [
                "vcpus": asked?.vcpus ?? "\(desktop.profile.vcpus)", "memory": asked?.memory ?? desktop.profile.memory.exact,
            ] as Fields,
            "hasConsequences": consequences != nil, "consequences": consequences ?? [],
        ]
        return html(
            "desktop", "desktop", under: "desktops", for: viewer,
            [state(of: desktop, texts), moment("since", desktop.since), moment("deadline", told.deadline), moment("nextAt", told.nextAt)]
                .reduce(fields) { all, more in all.merging(more) { _, last in last } })
    }
}
