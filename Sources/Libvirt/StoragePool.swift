import CLibvirt

/// One storage pool of libvirt's. The handle is freed with this object; the pool stays.
///
/// Blocks; safe from any thread.
public final class StoragePool: Sendable {
    private nonisolated(unsafe) let pointer: OpaquePointer
    private let connection: LibvirtConnection

    init(_ pointer: OpaquePointer, connection: LibvirtConnection) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { virStoragePoolFree(pointer) }

    /// Whether it is started.
    public var isActive: Bool {
        get throws(LibvirtError) {
            let answer = virStoragePoolIsActive(pointer)
            try LibvirtError.check(answer, "virStoragePoolIsActive")
            return answer == 1
        }
    }

    /// The definition as XML.
    public var description: String {
        get throws(LibvirtError) { try adopted(virStoragePoolGetXMLDesc(pointer, 0), "virStoragePoolGetXMLDesc") }
    }

    /// Makes its volumes usable.
    public func start() throws(LibvirtError) { try LibvirtError.check(virStoragePoolCreate(pointer, 0), "virStoragePoolCreate") }

    /// Ends its use; the files stay.
    public func stop() throws(LibvirtError) { try LibvirtError.check(virStoragePoolDestroy(pointer), "virStoragePoolDestroy") }

    /// Forgets the definition; the files stay.
    public func undefine() throws(LibvirtError) { try LibvirtError.check(virStoragePoolUndefine(pointer), "virStoragePoolUndefine") }

    /// Whether libvirtd starts it by itself.
    public func setStartsByItself(_ starts: Bool) throws(LibvirtError) {
        try LibvirtError.check(virStoragePoolSetAutostart(pointer, starts ? 1 : 0), "virStoragePoolSetAutostart")
    }

    /// Looks for files that came or went.
    public func refresh() throws(LibvirtError) { try LibvirtError.check(virStoragePoolRefresh(pointer, 0), "virStoragePoolRefresh") }

    /// The volume of this name; nil where there is none.
    public func volume(named name: String) throws(LibvirtError) -> StorageVolume? {
        guard let volume = virStorageVolLookupByName(pointer, name) else {
            let error = LibvirtError.last("virStorageVolLookupByName")
            if error.cause == .notFound { return nil }
            throw error
        }
        return StorageVolume(volume, connection: connection)
    }

    /// Makes an empty qcow2 volume over another qcow2 file, with that file's absolute path inside. Readable by root only.
    public func createOverlay(named name: String, over backing: String, capacity: Int64) throws(LibvirtError) -> StorageVolume {
        let xml = """
            <volume>
              <name>\(xmlEscaped(name))</name>
              <capacity unit='bytes'>\(capacity)</capacity>
              <target>
                <format type='qcow2'/>
                <permissions><mode>0600</mode></permissions>
              </target>
              <backingStore>
                <path>\(xmlEscaped(backing))</path>
                <format type='qcow2'/>
              </backingStore>
            </volume>
            """
        guard let volume = virStorageVolCreateXML(pointer, xml, 0) else { throw LibvirtError.last("virStorageVolCreateXML") }
        return StorageVolume(volume, connection: connection)
    }
}

/// One volume of a storage pool. The handle is freed with this object; the volume stays.
///
/// Blocks; safe from any thread.
public final class StorageVolume: Sendable {
    private nonisolated(unsafe) let pointer: OpaquePointer
    private let connection: LibvirtConnection

    init(_ pointer: OpaquePointer, connection: LibvirtConnection) {
        self.pointer = pointer
        self.connection = connection
    }

    deinit { virStorageVolFree(pointer) }

    /// The file's absolute path.
    public var path: String {
        get throws(LibvirtError) { try adopted(virStorageVolGetPath(pointer), "virStorageVolGetPath") }
    }

    /// Its size as a guest sees it, in bytes.
    public var capacity: UInt64 {
        get throws(LibvirtError) {
            var info = virStorageVolInfo()
            try LibvirtError.check(virStorageVolGetInfo(pointer, &info), "virStorageVolGetInfo")
            return info.capacity
        }
    }

    /// Removes the file.
    public func delete() throws(LibvirtError) { try LibvirtError.check(virStorageVolDelete(pointer, 0), "virStorageVolDelete") }
}
