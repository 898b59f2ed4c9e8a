import DesktopModel
import DesktopStore
import Foundation

/// What is told to administrators about the room as it stands.
extension Broker {
    func roomReport() async throws(BrokerError) -> RoomReport {
        guard isServing else { throw .unavailable }
        let capacity = room.lastCapacity
        let memory = capacity.map {
            RoomReport.Memory(total: $0.total, forDesktops: $0.memory, promised: room.promised.memory)
        }
        return RoomReport(
            labs: room.labs.values.sorted { $0.name < $1.name }.map(room.report), memory: memory, diskFree: capacity?.diskFree,
            diskTotal: capacity?.diskTotal, load: load, seatsPresent: room.seats.values.count { $0.isPresent }, seats: room.seats.count,
            troubles: troubles.sorted { $0.key < $1.key }.map(\.value) + room.failedCheckpoints)
    }

    /// The room when it is known what the server has, so that no more is promised than that. Bounded by the time a measurement may take.
    func roomOnceMeasured() async -> Room {
        await wait { $0.hasTriedToMeasure }
        return room
    }

    func report(of id: LabID) throws(BrokerError) -> LabReport {
        guard let lab = room.labs[id] else { throw .unknownLab("\(id)") }
        return room.report(of: lab)
    }

    func reports(ofDesktopsIn lab: LabID?) -> [DesktopReport] {
        let wanted = room.desktops.values.filter { lab == nil || $0.lab == lab }
        return wanted.sorted { (room.labs[$0.lab]?.name ?? "", $0.number) < (room.labs[$1.lab]?.name ?? "", $1.number) }.map { desktop in
            report(of: desktop)
        }
    }

    private func report(of desktop: Desktop) -> DesktopReport {
        DesktopReport(
            name: desktop.name, lab: room.labs[desktop.lab]?.name ?? "", state: desktop.toldState, generation: desktop.generation,
            profile: room.profile(for: desktop) ?? Profile(vcpus: 0, memory: .zero), hasOwnProfile: desktop.ownProfile != nil, isSetAside: desktop.isSetAside,
            address: room.addresses.addresses(of: desktop.place)?.address.description ?? "", since: room.works[desktop.id]?.since.map(calendar),
            explanation: room.note(on: desktop))
    }

    func explanation(ofDesktop name: String) throws(BrokerError) -> DesktopExplanation {
        guard isServing else { throw .unavailable }
        let desktop = try room.desktop(named: name)
        let told = room.explanation(of: desktop)
        var cause: Sentence?
        if case .quarantined(let why, _) = desktop.toldState { cause = why }
        return DesktopExplanation(
            desktop: report(of: desktop), meaning: told.meaning, present: told.present, deadline: told.deadline.map(calendar), next: told.next,
            nextAt: told.nextAt.map(calendar), done: (room.works[desktop.id]?.done ?? []).map { MakingStep(word: $0.deed, took: $0.took) }, cause: cause, failure: desktop.failure, remedies: told.remedies)
    }

    /// The room's instant as a moment of the calendar: the same at each call, unless the calendar was set meanwhile.
    private func calendar(_ instant: Instant) -> CalendarSeconds {
        let began = Date().timeIntervalSince1970 - seconds(now)
        if abs(began - clockBegan) > 1 { clockBegan = began }
        return CalendarSeconds(clockBegan + seconds(instant))
    }

    private func seconds(_ instant: Instant) -> Double {
        Double(instant.sinceStart.components.seconds) + Double(instant.sinceStart.components.attoseconds) / 1e18
    }

    /// A name that is taken, in the broker's words.
    nonisolated func taken(_ error: StoreError, _ kind: String, _ name: String) -> BrokerError {
        if case .taken = error { return .nameTaken(kind: kind, name: name) }
        return .storage(error.sentence)
    }
}
