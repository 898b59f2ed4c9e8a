import CLibvirt
import Glibc

/// A connection to libvirt: `network:///system`, `storage:///system`, or `test:///default`, which needs no daemon.
///
/// Calls block, network calls for seconds: call from a thread that may. Safe from any thread, since libvirt locks it. Networks, pools and
/// volumes outlive it; the handles it gives keep it open. Closed when the last of them is gone.
public final class LibvirtConnection: Sendable {
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Connects. Where libvirtd is away, the error's cause is `unreachable`.
    public init(_ uri: String) throws(LibvirtError) {
        // libvirt prints every error to stderr, unless a function takes it; they are thrown here.
        virSetErrorFunc(nil) { _, _ in }
        guard let connection = virConnectOpen(uri) else { throw LibvirtError.last("virConnectOpen") }
        pointer = connection
    }

    deinit { virConnectClose(pointer) }

    /// Whether libvirtd still answers on it.
    public var isAlive: Bool { virConnectIsAlive(pointer) == 1 }

    /// The network of this name; nil where there is none.
    public func network(named name: String) throws(LibvirtError) -> VirtualNetwork? {
        guard let network = virNetworkLookupByName(pointer, name) else {
            let error = LibvirtError.last("virNetworkLookupByName")
            if error.cause == .notFound { return nil }
            throw error
        }
        return VirtualNetwork(network, connection: self)
    }

    /// Defines a network that lasts, or changes its definition; a running one runs on as it was.
    public func define(_ definition: NetworkDefinition) throws(LibvirtError) -> VirtualNetwork {
        // A network is known by its UUID: a definition without it would be another network of the same name, which libvirt refuses.
        let uuid = try network(named: definition.name)?.uuid
        guard let network = virNetworkDefineXML(pointer, definition.xml(uuid: uuid)) else { throw LibvirtError.last("virNetworkDefineXML") }
        return VirtualNetwork(network, connection: self)
    }

    /// The storage pool of this name; nil where there is none.
    public func storagePool(named name: String) throws(LibvirtError) -> StoragePool? {
        guard let pool = virStoragePoolLookupByName(pointer, name) else {
            let error = LibvirtError.last("virStoragePoolLookupByName")
            if error.cause == .notFound { return nil }
            throw error
        }
        return StoragePool(pool, connection: self)
    }

    /// Defines a pool that is a folder, or changes its definition. The folder must be there before the pool is started.
    public func defineFolderPool(named name: String, folder: String) throws(LibvirtError) -> StoragePool {
        let xml = """
            <pool type='dir'>
              <name>\(xmlEscaped(name))</name>
              <target><path>\(xmlEscaped(folder))</path></target>
            </pool>
            """
        guard let pool = virStoragePoolDefineXML(pointer, xml, 0) else { throw LibvirtError.last("virStoragePoolDefineXML") }
        return StoragePool(pool, connection: self)
    }
}

/// Takes over a string that libvirt allocated.
func adopted(_ text: UnsafeMutablePointer<CChar>?, _ call: String) throws(LibvirtError) -> String {
    guard let text else { throw LibvirtError.last(call) }
    defer { free(text) }
    return String(cString: text)
}

/// The text as it may stand in an element or between quotes.
func xmlEscaped(_ text: String) -> String {
    var escaped = ""
    for character in text {
        switch character {
        case "&": escaped += "&amp;"
        case "<": escaped += "&lt;"
        case ">": escaped += "&gt;"
        case "'": escaped += "&apos;"
        case "\"": escaped += "&quot;"
        default: escaped.append(character)
        }
    }
    return escaped
}
