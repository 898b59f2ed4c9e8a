import DesktopModel
import Foundation
import Hypervisor

/// A folder that holds an image to be taken in: a golden disk, kernel and ramdisk, and `image.json`, which says what they are.
struct ImageFolder {
    let name: String
    let boot: BootMode
    let files: ImageFiles
    let commandLine: String
    let account: Account
    let minimumMemory: ByteCount
    let hasGuest: Bool

    private struct Description: Decodable {
        struct Checksums: Decodable { var disk: String? }
        var name: String
        var boot: String
        var disk: String
        var kernel: String
        var ramdisk: String
        var commandLine: String
        var account: Account
        var minimumMemory: String
        var sha256: Checksums?
        var guest: Int?
    }

    /// The largest description that is read.
    private static let longest = 64 << 10

    init(untrustedPath path: String) throws(BrokerError) {
        guard path.hasPrefix("/") else {
            throw .invalid(field: "folder", value: path, remedy: Refused.giveAbsolutePath())
        }
        let file = path + "/image.json"
        guard let handle = FileHandle(forReadingAtPath: file) else {
            throw .invalid(field: "folder", value: path, remedy: Refused.mustHoldDescription())
        }
        defer { try? handle.close() }
        let description: Description
        do {
            guard let data = try handle.read(upToCount: Self.longest + 1), data.count <= Self.longest else {
                throw BrokerError.invalid(field: "image.json", value: file, remedy: Refused.mustBeSmall())
            }
            description = try JSONDecoder().decode(Description.self, from: data)
        } catch let error as BrokerError {
            throw error
        } catch {
            throw .invalid(field: "image.json", value: file, remedy: Refused.notAsDescribed(Self.complaint(error)))
        }
        name = try Name.checked(description.name, of: "image")
        guard let boot = BootMode(rawValue: description.boot) else {
            throw .invalid(field: "boot", value: description.boot, remedy: Refused.useBoot())
        }
        self.boot = boot
        guard let memory = Self.memory(description.minimumMemory) else {
            throw .invalid(field: "minimumMemory", value: description.minimumMemory, remedy: Refused.writeMemory())
        }
        minimumMemory = memory
        guard description.guest == nil || description.guest == 1 else {
            throw .invalid(
                field: "guest", value: "\(description.guest ?? 0)",
                remedy: Refused.writeGuest())
        }
        hasGuest = description.guest == 1
        commandLine = try Self.line(description.commandLine, field: "commandLine", longest: 1024)
        account = Account(
            user: try Self.line(description.account.user, field: "account.user", longest: 64),
            password: try Self.line(description.account.password, field: "account.password", longest: 128))
        if let sum = description.sha256?.disk, sum.utf8.count != 64 || !sum.allSatisfy(\.isHexDigit) {
            throw .invalid(field: "sha256.disk", value: String(sum.prefix(80)), remedy: Refused.writeDigits())
        }
        files = ImageFiles(
            disk: try Self.file(description.disk, in: path), kernel: try Self.file(description.kernel, in: path),
            ramdisk: try Self.file(description.ramdisk, in: path), diskChecksum: description.sha256?.disk?.lowercased())
    }

    /// A file of the folder itself: its name must not lead elsewhere.
    private static func file(_ untrusted: String, in folder: String) throws(BrokerError) -> String {
        guard !untrusted.isEmpty, !untrusted.contains("/"), untrusted != ".", untrusted != ".." else {
            throw .invalid(field: "file", value: untrusted, remedy: Refused.nameFile())
        }
        return folder + "/" + untrusted
    }

    /// One line of visible text.
    private static func line(_ untrusted: String, field: String, longest: Int) throws(BrokerError) -> String {
        let isPlain = untrusted.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7f }
        guard isPlain, !untrusted.isEmpty, untrusted.utf8.count <= longest else {
            throw .invalid(field: field, value: String(untrusted.prefix(40)), remedy: Refused.useOneLine(longest))
        }
        return untrusted
    }

    private static func memory(_ text: String) -> ByteCount? {
        for (unit, size) in [("MiB", ByteCount.mebibytes), ("GiB", ByteCount.gibibytes)] where text.hasSuffix(unit) {
            guard let count = Int64(text.dropLast(3)), (1...65_536).contains(count) else { return nil }
            return size(count)
        }
        return nil
    }

    private static func complaint(_ error: any Error) -> Sentence {
        switch error as? DecodingError {
        case .keyNotFound(let key, _): Refused.lacksKey(key.stringValue)
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            Refused.wrongKind(context.codingPath.map(\.stringValue).joined(separator: "."))
        default: Refused.notJSON()
        }
    }
}
