import DesktopModel
import DesktopStore
import Foundation
import Hypervisor

/// What an administrator sees and changes. Any task.
public final class Administration: Sendable {
    private let broker: Broker
    private let store: DesktopStore
    private let imports = ImageImports()
    private let labChanges = Turns()

    public init(_ broker: Broker, store: DesktopStore) {
        self.broker = broker
        self.store = store
    }

    public func room() async throws(BrokerError) -> RoomReport {
        try await broker.roomReport()
    }

    /// What was counted since the daemon began.
    public func figures() async -> Figures { await broker.room.figures }
    public func relayFigures() async -> RelayFigures { await broker.relayFigures }

    /// How long the server's processors have worked; nil where it does not tell it now.
    public func serverWork() async -> ServerWork? { await broker.serverWork() }

    /// Something for each time that the room changes, until nobody reads it; what comes while the last was not read yet counts as one.
    public func changes() async -> AsyncStream<Void> {
        await broker.changes()
    }

    /// Tells those who watch that something beside the room has changed that they show.
    public func tellOfChange() async {
        await broker.tellOfChange()
    }

    // MARK: Images

    /// All versions of all images, by name and version.
    public func images() async throws(BrokerError) -> [ImageReport] { await broker.room.imageReports() }

    /// One version of an image, by `<image>-<version>`, or `<image>` for its newest.
    public func image(_ name: String) async throws(BrokerError) -> ImageReport {
        let room = await broker.room
        let id = try room.image(named: name).id
        guard let report = room.imageReports().first(where: { $0.version.id == id }) else { throw .unknownImage(name) }
        return report
    }

    /// Takes in the image that the folder holds, as the next version of its name. Minutes; progress in bytes copied and in all. Cancelled, it
    /// throws and leaves nothing behind, or is done already.
    public func addImage(
        folder untrusted: String, progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(BrokerError) -> ImageReport {
        let folder = try ImageFolder(untrustedPath: untrusted)
        guard await imports.begin(folder.name) else {
            throw .inUse(kind: "image", name: folder.name, by: Refused.byImport())
        }
        let result = await Result { () async throws(BrokerError) in try await self.takeIn(folder, progress) }
        await imports.end(folder.name)
        return try await image(try result.get().name)
    }

    private func takeIn(
        _ folder: ImageFolder, _ progress: @escaping @Sendable (ByteCount, ByteCount) -> Void
    ) async throws(BrokerError) -> ImageVersion {
        let version = try await stored { () async throws(StoreError) in try await store.nextVersion(of: folder.name) }
        let disks = broker.disks
        let files: StoredImage
        do {
            // What an import that was cut off left under this version is nobody's.
            try await disks.removeImage(folder.name, version: version)
            files = try await disks.takeIn(folder.files, as: folder.name, version: version, progress: progress)
        } catch {
            throw .hypervisor(Refused.imageNotTakenIn(folder.name, Sentence(error)))
        }
        let image = NewImageVersion(
            image: folder.name, version: version, boot: folder.boot, disk: files.disk, kernel: files.kernel, ramdisk: files.ramdisk,
            blankOverlay: files.blankOverlay, commandLine: folder.commandLine, account: folder.account, checksum: files.checksum,
            diskSize: files.diskSize, minimumMemory: folder.minimumMemory, hasGuest: folder.hasGuest)
        do throws(BrokerError) {
            return try await keep(image)
        } catch {
            try? await disks.removeImage(folder.name, version: version)
            throw error
        }
    }

    /// Writes down an image whose files are there. In a task of its own: it is either written, and the room told, or not, whoever cancels meanwhile.
    private func keep(_ image: NewImageVersion) async throws(BrokerError) -> ImageVersion {
        try Task.checkCancelled()
        return try await Task { [store, broker] in
            await Result { () async throws(BrokerError) in
                let kept = try await stored { () async throws(StoreError) in try await store.addImage(image) }
                await broker.deliver(.imageIs(kept))
                return kept
            }
        }.value.get()
    }

    /// Changes what is noted of an image, or whether all of its desktops may have one identity, so that they are restored though it lacks the package
    /// punnet-guest; that is so for desktops made from then on.
    public func changeImage(_ name: String, _ change: ImageChange) async throws(BrokerError) -> ImageReport {
        try await inTurn { () async throws(BrokerError) in
            var image = try await self.broker.room.image(named: name)
            if let sharesIdentity = change.sharesIdentity {
                guard !image.hasGuest || !sharesIdentity else {
                    throw .invalid(
                        field: "shared identity", value: name, remedy: Refused.leaveIdentity())
                }
                image.sharesIdentity = sharesIdentity
            }
            if let notes = change.notes { image.notes = try Self.checkedNotes(notes) }
            let changed = image
            try await stored { () async throws(StoreError) in try await self.store.updateImage(changed) }
            await self.broker.deliver(.imageIs(changed))
            return try await self.image(changed.name)
        }
    }

    /// The most characters of an image's notes.
    public static let longestNotes = 500

    /// Lines that a screen can show.
    private static func checkedNotes(_ untrusted: String) throws(BrokerError) -> String {
        let lines = untrusted.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            String(String.UnicodeScalarView(line.unicodeScalars.filter(\.isShown)))
        }
        let notes = lines.joined(separator: "\n")
        guard notes.count <= longestNotes, notes.utf8.count <= 4 * longestNotes else {
            throw .invalid(field: "notes", value: String(notes.prefix(40)), remedy: Refused.writeAtMost(longestNotes))
        }
        return notes
    }

    /// Deletes a version of an image with its files. Refused while something needs it. Where that fails half way it is there still, and can be
    /// deleted again.
    public func deleteImage(_ name: String) async throws(BrokerError) {
        try await inTurn { () async throws(BrokerError) in
            let room = await self.broker.room
            let image = try room.image(named: name)
            try room.checkIsUnused(image)
            // From here on nothing of it is begun, nor written.
            await self.broker.deliver(.imageRemoved(image.id))
            do throws(BrokerError) {
                let isUnused = try await stored { () async throws(StoreError) in try await self.store.isUnused(image.id) }
                guard isUnused else { throw .inUse(kind: "image", name: image.name, by: Refused.byWriting()) }
                try await self.removeFiles(of: image)
                try await stored { () async throws(StoreError) in try await self.store.removeImage(image.id) }
            } catch {
                await self.broker.deliver(.imageIs(image))
                throw error
            }
            await self.broker.tellOfChange()
        }
    }

    private func removeFiles(of image: ImageVersion) async throws(BrokerError) {
        do {
            try await broker.disks.removeImage(image.image, version: image.version)
        } catch {
            throw .hypervisor(Refused.filesNotDeleted(image.name, Sentence(error)))
        }
    }

    // MARK: Labs

    /// Whether the server leads to the internet, for the labs that are to reach it.
    public var leadsToInternet: Bool { broker.network.leadsToInternet }

    public func createLab(_ draft: LabDraft) async throws(BrokerError) -> LabReport {
        try await inTurn { () async throws(BrokerError) in try await self.create(draft) }
    }

    /// Looks what labs there are and changes them before anybody else does: else one change would undo another, and two be admitted to the
    /// same room.
    private func inTurn<Value: Sendable>(_ body: () async throws(BrokerError) -> Value) async throws(BrokerError) -> Value {
        try await labChanges.take(body)
    }

    private func create(_ draft: LabDraft) async throws(BrokerError) -> LabReport {
        let name = try Name.checked(draft.name, of: "lab")
        let room = await broker.roomOnceMeasured()
        let image = try room.image(named: draft.image)
        let checked = Lab(
            id: LabID(rawValue: 0), name: name, image: image.id, profile: Profile(vcpus: draft.vcpus, memory: draft.memory), size: draft.size,
            leastReady: draft.leastReady, atOnce: draft.atOnce, grace: draft.grace, airing: draft.airing, afterSession: draft.afterSession,
            longest: draft.longest, idle: draft.idle, warning: draft.warning, internet: draft.internet)
        try room.checkInternet(draft.internet)
        try room.check(checked, image)
        let lab: Lab
        do {
            lab = try await store.addLab(checked)
        } catch {
            throw broker.taken(error, "lab", name)
        }
        await broker.deliver(.labChanged(lab))
        return try await broker.report(of: lab.id)
    }

    public func changeLab(_ name: String, _ change: LabChange) async throws(BrokerError) -> LabReport {
        let changed = try await inTurn { () async throws(BrokerError) in try await self.carryOut(change, of: name) }
        // Others need not wait for that.
        if change.internet != nil { await broker.internetIsTried() }
        return changed
    }

    /// What a change would mean for the lab's desktops; nothing changes. Refused where it is not possible.
    public func consequences(of change: LabChange, forLab name: String) async throws(BrokerError) -> [LabConsequence] {
        let room = await broker.roomOnceMeasured()
        return try room.consequences(of: try room.lab(named: name, after: change))
    }

    private func carryOut(_ change: LabChange, of name: String) async throws(BrokerError) -> LabReport {
        let room = await broker.roomOnceMeasured()
        let changed = try room.lab(named: name, after: change)
        try room.check(changed, try room.image(changed.image))
        try await stored { () async throws(StoreError) in try await store.updateLab(changed) }
        await broker.deliver(.labChanged(changed))
        return try await broker.report(of: changed.id)
    }

    /// Removes a lab with its desktops; refused while a seat belongs to it or a session runs in it. Returns when the desktops are gone.
    public func deleteLab(_ name: String) async throws(BrokerError) {
        let id = try await inTurn { () async throws(BrokerError) in try await self.empty(name) }
        await broker.wait { room in !room.desktops.values.contains { $0.lab == id } }
        try Task.checkCancelled()
        await broker.recordsWritten()
        try await inTurn { () async throws(BrokerError) in
            try await stored { () async throws(StoreError) in try await self.store.removeLab(id) }
            await self.broker.deliver(.labRemoved(id))
        }
    }

    /// Has all desktops of a lab that nobody needs removed.
    private func empty(_ name: String) async throws(BrokerError) -> LabID {
        let room = await broker.room
        var lab = try room.lab(named: name)
        if let seat = room.seats.values.filter({ $0.lab == lab.id }).map(\.name).min() {
            throw .inUse(kind: "lab", name: name, by: Refused.bySeat(seat))
        }
        if let open = room.sessions.values.first(where: { room.desktops[$0.session.desktop]?.lab == lab.id }) {
            throw .inUse(kind: "lab", name: name, by: Refused.bySession(open.session.id))
        }
        lab.size = 0
        let emptied = lab
        try await stored { () async throws(StoreError) in try await store.updateLab(emptied) }
        await broker.deliver(.labChanged(emptied))
        return emptied.id
    }

    // MARK: Desktops and sessions

    public func desktops(lab untrusted: String?) async throws(BrokerError) -> [DesktopReport] {
        let room = await broker.room
        let lab = try untrusted.map { name throws(BrokerError) in try room.lab(named: name) }
        return await broker.reports(ofDesktopsIn: lab?.id)
    }

    /// Why a desktop is not ready and what happens next.
    public func explainDesktop(_ name: String) async throws(BrokerError) -> DesktopExplanation {
        try await broker.explanation(ofDesktop: name)
    }

    /// Gives a desktop hardware of its own, what is nil as it is to have it now; or its lab's again. Tells what that means, one sentence each; where
    /// it is only to be told, nothing changes.
    public func changeDesktop(_ name: String, _ change: HardwareChange, onlyTell: Bool) async throws(BrokerError) -> [Sentence] {
        try await inTurn { () async throws(BrokerError) in
            let room = await self.broker.roomOnceMeasured()
            let desktop = try room.desktop(named: name)
            guard let lab = room.labs[desktop.lab] else { throw .unknownDesktop(name) }
            var own: Profile?
            if case .own(let vcpus, let memory) = change {
                let present = desktop.ownProfile ?? lab.profile
                own = Profile(vcpus: vcpus ?? present.vcpus, memory: memory ?? present.memory)
            }
            let told = try room.consequences(of: own ?? lab.profile, for: desktop)
            guard !onlyTell else { return told }
            let wished = own == lab.profile ? nil : own
            try await stored { () async throws(StoreError) in try await self.store.setOwnProfile(of: desktop.id, to: wished) }
            await self.broker.deliver(.ownProfileChanged(desktop.id, wished))
            return told
        }
    }

    /// Has a desktop made anew; a session on it ends. Refused for one that is in quarantine by hand.
    public func remakeDesktop(_ name: String) async throws(BrokerError) {
        let desktop = try await broker.room.desktop(named: name)
        guard !desktop.isSetAside else {
            throw .inUse(kind: "desktop", name: name, by: Refused.byQuarantine(name))
        }
        await broker.deliver(.remake(desktop.id))
    }

    /// Puts a desktop in quarantine: it is thrown away, one that somebody works at when that is over, and nobody is given it until it is released.
    public func quarantineDesktop(_ name: String) async throws(BrokerError) { try await setAside(name, true) }

    /// Ends a quarantine: the desktop is made anew. One that failed by itself is tried again at once.
    public func releaseDesktop(_ name: String) async throws(BrokerError) { try await setAside(name, false) }

    private func setAside(_ name: String, _ isSetAside: Bool) async throws(BrokerError) {
        try await inTurn { () async throws(BrokerError) in
            let desktop = try await self.broker.room.desktop(named: name)
            guard desktop.isSetAside != isSetAside else {
                if !isSetAside, case .quarantined = desktop.state { await self.broker.deliver(.remake(desktop.id)) }
                return
            }
            try await stored { () async throws(StoreError) in try await self.store.setAside(desktop.id, isSetAside) }
            await self.broker.deliver(.setAside(desktop.id, isSetAside))
        }
    }

    /// Open sessions, newest first; with `all` the ended ones too, those before one, of a seat, a desktop or a lab where these are named, at most
    /// `limit`.
    public func sessions(
        all: Bool, before: SessionID? = nil, seat: String? = nil, desktop: String? = nil, lab: String? = nil, limit: Int
    ) async throws(BrokerError) -> [SessionReport] {
        let records = try await stored { () async throws(StoreError) in
            try await store.sessions(openOnly: !all, before: before, seat: seat, desktop: desktop, lab: lab, limit: max(1, min(limit, 10_000)))
        }
        let room = await broker.room
        return records.map { record in
            SessionReport(
                id: record.id, seat: record.seatName, desktop: record.desktopName, began: record.began, ended: record.ended,
                reason: record.reason, connected: room.sessions[record.id]?.links.isEmpty == false)
        }
    }

    public func endSession(_ id: SessionID) async throws(BrokerError) {
        try await broker.end(id, of: nil, reason: .administrator)
    }
}

/// Which images are being taken in: one import of a name at a time.
private actor ImageImports {
    private var names: Set<String> = []
    func begin(_ name: String) -> Bool { names.insert(name).inserted }
    func end(_ name: String) { names.remove(name) }
}

extension Task where Success == Never, Failure == Never {
    /// Refuses to go on where nobody waits any longer.
    fileprivate static func checkCancelled() throws(BrokerError) {
        if isCancelled { throw .unavailable }
    }
}
