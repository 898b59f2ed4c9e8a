import CLibvirt

/// One network of libvirt's. The handle is freed with this object; the network stays.
///
/// Blocks; safe from any thread.
public final class VirtualNetwork: Sendable {
    private nonisolated(unsafe) let pointer: OpaquePointer
    private let connection: LibvirtConnection

    init(_ pointer: OpaquePointer, connection: LibvirtConnection) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { virNetworkFree(pointer) }

    /// Its UUID as text, which it keeps when its definition changes.
    public var uuid: String {
        get throws(LibvirtError) {
            var text = [CChar](repeating: 0, count: Int(VIR_UUID_STRING_BUFLEN))
            try LibvirtError.check(virNetworkGetUUIDString(pointer, &text), "virNetworkGetUUIDString")
            return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    /// Whether its bridge is up.
    public var isActive: Bool {
        get throws(LibvirtError) {
            let answer = virNetworkIsActive(pointer)
            try LibvirtError.check(answer, "virNetworkIsActive")
            return answer == 1
        }
    }

    /// The definition as XML: of the running network, or the one it will have when it is next started.
    public func description(whenNextStarted: Bool) throws(LibvirtError) -> String {
        let flags = whenNextStarted ? VIR_NETWORK_XML_INACTIVE.rawValue : 0
        return try adopted(virNetworkGetXMLDesc(pointer, flags), "virNetworkGetXMLDesc")
    }

    /// Whether the definition carries this mark.
    public func bears(mark: String, whenNextStarted: Bool) throws(LibvirtError) -> Bool {
        let text = try description(whenNextStarted: whenNextStarted)
        return text.contains("mark='\(xmlEscaped(mark))'") || text.contains("mark=\"\(xmlEscaped(mark))\"")
    }

    /// The name of its bridge.
    public var bridge: String {
        get throws(LibvirtError) { try adopted(virNetworkGetBridgeName(pointer), "virNetworkGetBridgeName") }
    }

    /// Brings the bridge and its DHCP server up. Seconds.
    public func start() throws(LibvirtError) { try LibvirtError.check(virNetworkCreate(pointer), "virNetworkCreate") }

    /// Takes the bridge down, whoever is on it.
    public func stop() throws(LibvirtError) { try LibvirtError.check(virNetworkDestroy(pointer), "virNetworkDestroy") }

    /// Writes a reservation of the running network as it is, whereupon libvirtd looks after the DHCP server, and starts the one that has died.
    /// Seconds.
    public func renew(_ reservation: NetworkDefinition.Reservation) throws(LibvirtError) {
        let code = virNetworkUpdate(
            pointer, VIR_NETWORK_UPDATE_COMMAND_MODIFY.rawValue, VIR_NETWORK_SECTION_IP_DHCP_HOST.rawValue, -1, reservation.xml,
            VIR_NETWORK_UPDATE_AFFECT_LIVE.rawValue)
        try LibvirtError.check(code, "virNetworkUpdate")
    }

    /// Whether libvirtd starts it by itself.
    public func setStartsByItself(_ starts: Bool) throws(LibvirtError) {
        try LibvirtError.check(virNetworkSetAutostart(pointer, starts ? 1 : 0), "virNetworkSetAutostart")
    }

    /// Forgets the definition. A running network goes when it is stopped.
    public func undefine() throws(LibvirtError) { try LibvirtError.check(virNetworkUndefine(pointer), "virNetworkUndefine") }
}
