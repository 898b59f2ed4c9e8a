import DesktopModel
import DesktopStore

/// The database from which each history's begins: it has two images, and an installation's mark that is always the same.
enum Template {
    /// The first has the guest package.
    static let images = ["debian", "fedora"]
    static let password = "secret"
    static let diskSize = ByteCount.gibibytes(2)

    /// Makes it; gives its path.
    static func make(in folder: String) throws -> String {
        let path = folder + "/template.db"
        let store = try DesktopStore(path: path, clock: { Int64(Watch.calendarStart) })
        let isDone = Flag()
        Task {
            for image in images {
                _ = try await store.addImage(
                    NewImageVersion(
                        image: image, version: 1, boot: .pv, disk: "/\(image)", kernel: "/kernel", ramdisk: "/ramdisk",
                        blankOverlay: "/\(image)-blank", commandLine: "console=hvc0", account: Account(user: "student", password: password),
                        checksum: String(repeating: "0", count: 64), diskSize: diskSize, minimumMemory: .mebibytes(256),
                        hasGuest: image == images[0]))
            }
            isDone.set()
        }
        while !isDone.isSet { JobLoop.drain {} }
        // Drawn at random for every database, which no seed decides.
        try store.pool.write { try $0.execute(sql: "UPDATE appliance SET installation = ?", arguments: [Int64(Watch.installation)]) }
        try store.close()
        return path
    }
}
