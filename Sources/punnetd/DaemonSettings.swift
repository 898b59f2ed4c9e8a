import Configuration
import ControlAPI
import DesktopModel
import Foundation
import Hypervisor
import Logging
import SystemPackage
import Yams

/// What punnetd needs to start. Everything else is in the database.
///
/// From the configuration file, the environment (`PUNNET_` and the key in upper case with `_` for `.`) and flags, the later before the former.
struct DaemonSettings: Sendable, Equatable {
    enum NetworkMode: String, CaseIterable, Sendable { case libvirt, bridge }

    var server: ServerKind
    var data: String
    var runtime: String
    /// The folder of the panel's files.
    var panel: String
    /// The folder of the image that came with the server, which the panel's first start takes in.
    var shippedImage: String
    var httpsHost: String
    var httpsPort: Int
    var relayPort: Int
    var adminGroup: String
    var networkMode: NetworkMode
    var bridge: String
    var subnet: IPv4Subnet
    var internet: Bool
    /// For `network.mode: bridge`: where dnsmasq reads its reservations, and the file with its process number.
    var reservationsFile: String
    var dnsmasqPIDFile: String
    /// Nil: as many as suit the server's processors.
    var atOnce: Int?
    /// For `hypervisor: simulated`: how large that server is, and how many times as fast as a real one.
    var simulatedMemory: ByteCount
    var simulatedProcessors: Int
    var simulatedDisk: ByteCount
    var simulatedSpeed: Double
    var logLevel: Logger.Level

    /// Every key, with its default and what it may be.
    enum Key: String, CaseIterable {
        case hypervisor = "hypervisor"
        case data = "data"
        case runtime = "runtime"
        case panel = "panel"
        case shippedImage = "image"
        case httpsAddress = "https.address"
        case httpsPort = "https.port"
        case relayPort = "relay.port"
        case adminGroup = "admin.group"
        case networkMode = "network.mode"
        case bridge = "network.bridge"
        case subnet = "network.subnet"
        case internet = "network.internet"
        case reservationsFile = "network.reservations"
        case dnsmasqPIDFile = "network.dnsmasq"
        case atOnce = "pool.atOnce"
        case simulatedMemory = "simulated.memory"
        case simulatedProcessors = "simulated.processors"
        case simulatedDisk = "simulated.disk"
        case simulatedSpeed = "simulated.speed"
        case logLevel = "log.level"

        func defaultValue(on server: ServerKind) -> String {
            switch self {
            case .hypervisor: "xen"
            case .data: "/var/lib/punnet"
            case .runtime: "/run/punnet"
            case .panel: "/usr/share/punnet/panel"
            case .shippedImage: "/usr/share/punnet/images/debian-desktop"
            case .httpsAddress: "0.0.0.0"
            case .httpsPort: "443"
            case .relayPort: "3389"
            case .adminGroup: "punnet-admin"
            case .networkMode: "libvirt"
            case .bridge: "punnet0"
            case .subnet: server == .simulated ? "127.88.0.0/24" : "10.88.0.0/24"
            case .internet: "false"
            case .reservationsFile: "/var/lib/punnet/network/reservations"
            case .dnsmasqPIDFile: "/run/punnet/dnsmasq.pid"
            case .atOnce: "auto"
            case .simulatedMemory: "64GiB"
            case .simulatedProcessors: "16"
            case .simulatedDisk: "500GiB"
            case .simulatedSpeed: "1"
            case .logLevel: "info"
            }
        }

        /// What it decides.
        var meaning: String {
            switch self {
            case .hypervisor: "what runs the desktops: this machine's Xen, or a simulated server on which none is real"
            case .data: "the folder of the database, the images and the desktops"
            case .runtime: "the folder of the sockets"
            case .panel: "the folder of the panel's files"
            case .shippedImage: "the folder of the image that the first start of the panel takes in, if it is there"
            case .httpsAddress: "the address on which seats, browsers and programs are served"
            case .httpsPort: "the port of that address"
            case .relayPort: "the port that seats are told to reach the relay at, which listens where its own options say"
            case .adminGroup: "the group whose members may administer by punnet, beside root"
            case .networkMode: "whether libvirt makes the desktops' network, or an administrator's own bridge and dnsmasq are used"
            case .bridge: "the bridge of the desktops' network"
            case .subnet: "the addresses of the desktops' network, of which the first is the appliance's"
            case .internet: "whether the desktops' network leads to the internet, for the labs that are to reach it"
            case .reservationsFile: "with network.mode bridge: the file of reservations that dnsmasq reads"
            case .dnsmasqPIDFile: "with network.mode bridge: the file with dnsmasq's process number"
            case .atOnce: "how many desktops are made at once"
            case .simulatedMemory: "the memory of the simulated server"
            case .simulatedProcessors: "the processors of the simulated server"
            case .simulatedDisk: "the disk of the simulated server"
            case .simulatedSpeed: "the speed of the simulated server"
            case .logLevel: "the least important messages that are logged"
            }
        }

        /// What a value may be, for the refusal of one that is not.
        func range(on server: ServerKind) -> String {
            switch self {
            case .hypervisor: ServerKind.allCases.map(\.rawValue).joined(separator: " or ")
            case .data, .runtime, .panel, .shippedImage, .reservationsFile, .dnsmasqPIDFile: "an absolute path"
            case .httpsAddress: "an IPv4 address of this server, or 0.0.0.0 for all"
            case .httpsPort, .relayPort: "a port, 1 to 65535"
            case .adminGroup: "a name of 1 to 32 letters, digits, '-' and '_'"
            case .networkMode: NetworkMode.allCases.map(\.rawValue).joined(separator: " or ")
            case .bridge: "a bridge's name of 1 to 15 letters, digits, '-' and '_'"
            case .subnet where server == .simulated: "a part of 127.0.0.0/8 with at most 28 network bits and no host bits, as 127.88.0.0/24"
            case .subnet: "an IPv4 network with 8 to 28 network bits and no host bits, not of 127.0.0.0/8, as 10.88.0.0/24"
            case .internet: "true or false"
            case .atOnce: "a number, 1 to 16, or auto: one for each four processors of the server, 2 to 8"
            case .simulatedMemory: "an amount of memory, 4GiB to 4TiB"
            case .simulatedProcessors: "a number, 1 to 1024"
            case .simulatedDisk: "an amount of disk, 1GiB to 1024TiB"
            case .simulatedSpeed: "how many times as fast as a real server, 0.1 to 100"
            case .logLevel: Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            }
        }
    }

    /// Why the daemon does not start.
    enum Refusal: Error, Equatable, CustomStringConvertible {
        case noSetting(String)
        case value(key: String, value: String, range: String)
        case unknownKey(String, file: String)
        case unreadable(file: String, reason: String)

        var description: String {
            switch self {
            case .noSetting(let text):
                "'\(text)' is no setting; write one of \(Key.allCases.map(\.rawValue).joined(separator: ", ")) with '=' and its value"
            case .value(let key, let value, let range): "setting '\(key)' has the value '\(value)'; it must be \(range)"
            case .unknownKey(let key, let file):
                "'\(file)' has the unknown setting '\(key)'; the settings are \(Key.allCases.map(\.rawValue).joined(separator: ", "))"
            case .unreadable(let file, let reason): "the configuration '\(file)' cannot be read: \(reason)"
            }
        }
    }

    /// - Parameters:
    ///   - flags: Values by key, from the command line.
    ///   - mayBeMissing: Whether a file that is not there counts as an empty one.
    static func read(
        file: String, mayBeMissing: Bool, environment: [String: String] = ProcessInfo.processInfo.environment, flags: [Key: String]
    ) async throws(Refusal) -> DaemonSettings {
        if FileManager.default.fileExists(atPath: file) || !mayBeMissing { try refuseUnknownKeys(in: file) }
        let yaml: FileProvider<YAMLSnapshot>
        do {
            yaml = try await FileProvider<YAMLSnapshot>(filePath: FilePath(file), allowMissing: mayBeMissing)
        } catch {
            throw .unreadable(file: file, reason: "\(error)")
        }
        let given = InMemoryProvider(
            values: Dictionary(
                uniqueKeysWithValues: flags.map { (AbsoluteConfigKey(keyOf($0.key)), ConfigValue(.string($0.value), isSecret: false)) }))
        let config = ConfigReader(providers: [
            given, EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "punnet"), yaml,
        ])
        return try DaemonSettings { config.string(forKey: keyOf($0)) }
    }

    /// Reads settings as they are given on the command line, `key=value`; a later one replaces an earlier.
    static func flags(_ texts: [String]) throws(Refusal) -> [Key: String] {
        var flags: [Key: String] = [:]
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, let key = Key(rawValue: String(parts[0])) else { throw .noSetting(text) }
            flags[key] = String(parts[1])
        }
        return flags
    }

    private static func keyOf(_ key: Key) -> ConfigKey {
        ConfigKey(key.rawValue.split(separator: ".").map(String.init))
    }

    private static func refuseUnknownKeys(in file: String) throws(Refusal) {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
            throw .unreadable(file: file, reason: "it is missing, not readable, or no UTF-8 text")
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw .unreadable(file: file, reason: "\(error)")
        }
        guard let root else { return }
        guard case .mapping(let mapping) = root else { throw .unreadable(file: file, reason: "it is no list of 'key: value'") }
        for key in keys(of: mapping, under: []) where Key(rawValue: key) == nil { throw .unknownKey(key, file: file) }
    }

    private static func keys(of mapping: Node.Mapping, under path: [String]) -> [String] {
        mapping.flatMap { key, value in
            let here = path + [key.string ?? "?"]
            if case .mapping(let inner) = value { return keys(of: inner, under: here) }
            return [here.joined(separator: ".")]
        }
    }

    private init(_ given: (Key) -> String?) throws(Refusal) {
        var server = ServerKind.xen
        func checked<Value>(_ key: Key, _ read: (String) -> Value?) throws(Refusal) -> Value {
            let text = given(key) ?? key.defaultValue(on: server)
            guard let value = read(text) else { throw .value(key: key.rawValue, value: text, range: key.range(on: server)) }
            return value
        }
        func path(_ text: String) -> String? {
            text.hasPrefix("/") && !text.contains("\0") && text.utf8.count < 200 ? (text == "/" ? nil : text) : nil
        }
        func name(upTo length: Int) -> (String) -> String? {
            { text in
                let isAllowed = text.utf8.allSatisfy { byte in
                    Character(UnicodeScalar(byte)).isASCII
                        && (Character(UnicodeScalar(byte)).isLetter || Character(UnicodeScalar(byte)).isNumber || byte == 45 || byte == 95)
                }
                return isAllowed && (1...length).contains(text.utf8.count) ? text : nil
            }
        }
        func number(_ range: ClosedRange<Int>) -> (String) -> Int? {
            { text in Int(text).flatMap { range.contains($0) ? $0 : nil } }
        }
        func amount(_ range: ClosedRange<ByteCount>) -> (String) -> ByteCount? {
            { text in
                guard let amount = (try? Bytes.parse(text)).map(ByteCount.init(rawValue:)), range.contains(amount) else { return nil }
                return amount
            }
        }
        server = try checked(.hypervisor, ServerKind.init(rawValue:))
        self.server = server
        data = try checked(.data, path)
        runtime = try checked(.runtime, path)
        panel = try checked(.panel, path)
        shippedImage = try checked(.shippedImage, path)
        httpsHost = try checked(.httpsAddress) { IPv4Address($0)?.description }
        httpsPort = try checked(.httpsPort, number(1...65_535))
        relayPort = try checked(.relayPort, number(1...65_535))
        adminGroup = try checked(.adminGroup, name(upTo: 32))
        networkMode = try checked(.networkMode, NetworkMode.init(rawValue:))
        bridge = try checked(.bridge, name(upTo: 15))
        subnet = try checked(.subnet) { text in
            // The twin's desktops listen on loopback, and real ones are reached over a network.
            IPv4Subnet(text).flatMap { $0.prefix <= 28 && ($0.base.rawValue >> 24 == 127) == (server == .simulated) ? $0 : nil }
        }
        internet = try checked(.internet, Bool.init)
        reservationsFile = try checked(.reservationsFile, path)
        dnsmasqPIDFile = try checked(.dnsmasqPIDFile, path)
        atOnce = try checked(.atOnce) { (text) -> Int?? in text == "auto" ? .some(nil) : number(1...16)(text).map { $0 } }
        simulatedMemory = try checked(.simulatedMemory, amount(.gibibytes(4) ... .gibibytes(4096)))
        simulatedProcessors = try checked(.simulatedProcessors, number(1...1024))
        simulatedDisk = try checked(.simulatedDisk, amount(.gibibytes(1) ... .gibibytes(1 << 20)))
        simulatedSpeed = try checked(.simulatedSpeed) { text in Double(text).flatMap { (0.1...100).contains($0) ? $0 : nil } }
        logLevel = try checked(.logLevel, Logger.Level.init(rawValue:))
    }
}
