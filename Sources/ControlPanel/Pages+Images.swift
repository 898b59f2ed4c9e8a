import Broker
import ControlAPI
import DesktopModel

extension Pages {
    /// - Parameters:
    ///   - folder: What the form shows.
    ///   - operations: Images that are being taken in, or could not be.
    public func images(
        _ images: [ImageVersion], labs: [LabReport], folder: String, operations: [OperationMessage], for viewer: Viewer
    ) -> String {
        html(
            "images", "images", for: viewer,
            [
                "isEmpty": images.isEmpty, "folder": folder,
                "images": images.map { version -> Fields in
                    let name = "\(version.image)-\(version.version)"
                    let users = labs.filter { $0.image == name }
                    return [
                        "name": name, "image": version.image, "version": version.version, "boot": version.boot.rawValue, "user": version.account.user,
                        "checksum": version.checksum, "diskSize": "\(version.diskSize)", "minimumMemory": "\(version.minimumMemory)",
                        "hasGuest": version.hasGuest, "sharesIdentity": version.sharesIdentity,
                        "labs": users.map { ["name": $0.lab.name, "href": "/labs/\($0.lab.name)"] as Fields }, "isUsed": !users.isEmpty,
                    ]
                },
                "operations": operations.map { progress(of: $0, viewer.texts) },
            ])
    }

    /// An image that is being taken in, or could not be.
    func progress(of operation: OperationMessage, _ texts: Texts) -> Fields {
        let percent = operation.progress.map { $0.total > 0 ? Int($0.done * 100 / $0.total) : 0 } ?? 0
        return [
            "percent": percent, "isFailed": operation.state == .failed, "text": operation.problem?.detail ?? texts("pattern.takingIn", "\(percent)"),
        ]
    }
}
