import Broker
import ControlAPI
import DesktopModel

extension Pages {
    /// - Parameters:
    ///   - folder: What the form shows.
    ///   - operations: Images that are being taken in, or could not be.
    public func images(_ images: [ImageReport], folder: String, operations: [OperationMessage], for viewer: Viewer) -> String {
        html(
            "images", "images", for: viewer,
            [
                "isEmpty": images.isEmpty, "folder": folder, "images": images.map { fields(of: $0, viewer.texts) },
                "operations": operations.map { progress(of: $0, viewer.texts) },
            ])
    }

    /// - Parameters:
    ///   - before: The version of the same image that came before it, if it is still there.
    ///   - labs: The names of all labs.
    ///   - chosen: The labs that it is to be given to.
    ///   - notes: What the form shows.
    ///   - consequences: What that would mean; nil where nobody has asked.
    public func image(
        _ image: ImageReport, before: ImageReport?, labs: [String], chosen: [String], notes: String, consequences: [String]?, for viewer: Viewer
    ) -> String {
        let others = labs.filter { !image.labs.contains($0) }
        return html(
            "image", "image", under: "images", for: viewer,
            fields(of: image, viewer.texts).merging([
                "title": image.version.name,
                "others": others.map { ["name": $0, "isChosen": chosen.contains($0)] as Fields }, "hasOthers": !others.isEmpty,
                "before": known(image.labs.isEmpty ? nil : before.map { ["name": $0.version.name, "href": "/images/\($0.version.name)"] as Fields }),
                "form": ["notes": notes] as Fields, "hasConsequences": consequences != nil, "consequences": consequences ?? [],
            ]) { _, last in last })
    }

    private func fields(of image: ImageReport, _ texts: Texts) -> Fields {
        let version = image.version
        let fields: Fields = [
            "name": version.name, "href": "/images/\(version.name)", "boot": version.boot.rawValue, "user": version.account.user,
            "checksum": version.checksum, "diskSize": "\(version.diskSize)", "minimumMemory": "\(version.minimumMemory)",
            "hasGuest": version.hasGuest, "sharesIdentity": version.sharesIdentity, "notes": version.notes, "hasNotes": !version.notes.isEmpty,
            "labs": image.labs.map { ["name": $0, "href": "/labs/\($0)"] as Fields }, "isUsed": !image.labs.isEmpty, "desktops": image.desktops,
            "hasCheckpoints": !image.checkpoints.isEmpty,
            "checkpoints": image.checkpoints.map { checkpoint -> Fields in
                var cause: String?
                if case .failed(let why) = checkpoint.state { cause = texts(why) }
                let isKept = checkpoint.state == .unproven || checkpoint.state == .proven
                return [
                    "hardware": hardware(checkpoint.profile, texts), "label": texts("state.checkpoint.\(checkpoint.state.word)"), "cause": known(cause),
                    "kept": known(isKept ? texts("pattern.of", "\(checkpoint.memory)", "\(checkpoint.profile.memory)") : nil),
                ]
            },
        ]
        return fields.merging(moment("added", version.added)) { _, last in last }
    }

    /// An image that is being taken in, or could not be.
    func progress(of operation: OperationMessage, _ texts: Texts) -> Fields {
        let percent = operation.progress.map { $0.total > 0 ? Int($0.done * 100 / $0.total) : 0 } ?? 0
        return [
            "id": operation.id, "percent": percent, "isFailed": operation.state == .failed, "text": operation.problem.map { texts($0.detail) } ?? texts("pattern.takingIn", "\(percent)"),
        ]
    }
}
