import DesktopModel
import Hypervisor

/// Admission: no more is promised than the server has, and nothing is begun that does not fit.
///
/// In the books are, for each desktop that holds something: its full memory, parked or not, with what Xen needs for it beside; its disk
/// process in dom0; and all that its overlay may grow to. What cannot be removed stays in the books.
extension Room {
    // MARK: What the server has

    mutating func measure() {
        guard measuring == nil else { return }
        measuring = (nextMeasuring, now + settings.measureDeadline, false)
        effects.append(.measure(nextMeasuring))
        nextMeasuring += 1
    }

    /// What comes too late is not what the server has now: it was asked again.
    mutating func takeMeasurement(_ measurement: ServerMeasurement, _ number: UInt64) {
        guard let asked = measuring, asked.number == number else { return }
        measuring = nil
        unmeasured = nil
        guard !asked.isOutdated else { return measure() }
        let host = measurement.host
        // What is neither dom0's nor a desktop's of ours is somebody else's, and so is what is left of a generation that is over.
        var others = ByteCount.zero
        var ours = ByteCount.zero
        for domain in measurement.domains {
            guard let desktop = desktop(with: domain.uuid), desktop.state.holdsResources, let profile = desktop.profile else {
                others += domain.memory
                continue
            }
            ours += domain.memory + (Self.memoryNeeded(by: profile) - profile.memory)
        }
        // Xen may hold memory for what no list of domains shows: what it says is free is the last word.
        let unclaimed = host.totalMemory - host.controlMemory - settings.memoryReserve - others
        if hostMark != host.mark {
            hostMark = host.mark
            dropCheckpoints()
        }
        capacity = Capacity(
            total: host.totalMemory, memory: max(.zero, min(unclaimed, host.freeMemory + ours)),
            controlMemory: max(.zero, host.controlMemory - settings.controlReserve),
            disk: max(.zero, measurement.disk.free + measurement.disk.overlays - settings.diskReserve),
            diskTotal: measurement.disk.total, diskFree: measurement.disk.free)
        fill()
    }

    mutating func overdueMeasurement() {
        guard let measuring, measuring.until <= now else { return }
        measurementFailed(Cause.slowMeasure(settings.measureDeadline.text), measuring.number)
    }

    mutating func measurementFailed(_ cause: Sentence, _ number: UInt64) {
        guard measuring?.number == number else { return }
        measuring = nil
        unmeasured = cause
        lastCapacity = nil
        refillAt = now + settings.refillPause
        effects.append(.notice("the server's capacity is unknown; no desktop is begun", ["cause": "\(cause)"]))
    }

    // MARK: What a desktop needs

    /// What a domain of this profile takes from Xen: its memory and the hypervisor's own tables for it.
    static func memoryNeeded(by profile: Profile) -> ByteCount {
        profile.memory + ByteCount(rawValue: profile.memory.rawValue / 128) + .mebibytes(Int64(2 + profile.vcpus))
    }

    /// What an overlay may grow to: all that the guest sees, and qcow2's own tables for it.
    static func diskNeeded(by image: ImageVersion) -> ByteCount {
        image.diskSize + ByteCount(rawValue: image.diskSize.rawValue / 4096) + .mebibytes(1)
    }

    /// What the memory of a desktop takes on the disk, saved.
    static func diskNeeded(byMemoryOf profile: Profile) -> ByteCount { profile.memory + .mebibytes(32) }

    /// What is promised to desktops now, whether they use it yet or not.
    var promised: (memory: ByteCount, disk: ByteCount, desktops: Int) {
        var memory = ByteCount.zero
        var disk = ByteCount.zero
        var count = 0
        for (kind, number) in desktops.kinds where kind.holdsResources {
            count += number
            if let profile = kind.profile { memory += Self.memoryNeeded(by: profile) * number }
            if let image = kind.image.flatMap({ images[$0] }) { disk += Self.diskNeeded(by: image) * number }
        }
        for id in desktops.underWay.union(desktops.stuck) {
            if case .checkpoint? = works[id]?.making, let profile = desktops[id]?.profile { disk += Self.diskNeeded(byMemoryOf: profile) }
        }
        return (memory, disk, count)
    }

    // MARK: Whether it fits

    /// Why one more desktop of the profile and image cannot be promised; nil when it can.
    func hindrance(to profile: Profile, _ image: ImageVersion, _ making: Making) -> Sentence? {
        guard let capacity else { return Told.capacityUnknown() }
        let promised = promised
        let needed = Self.memoryNeeded(by: profile)
        if promised.memory + needed > capacity.memory {
            return Told.lacksMemory(needed, max(.zero, capacity.memory - promised.memory), capacity.memory)
        }
        if settings.controlMemoryPerDesktop * (promised.desktops + 1) > capacity.controlMemory {
            return Told.lacksControlMemory()
        }
        var disk = Self.diskNeeded(by: image)
        if case .checkpoint = making { disk += Self.diskNeeded(byMemoryOf: profile) }
        if promised.disk + disk > capacity.disk {
            return Told.lacksDisk(disk, max(.zero, capacity.disk - promised.disk), capacity.disk)
        }
        return nil
    }

    /// How many desktops of the profile and image the server holds beside what other labs are to have, and what ends first.
    /// - Parameter size: How many the lab is to have, if that is known: no more of those with hardware of their own are kept.
    func holds(
        of profile: Profile, _ image: ImageVersion, inPlaceOf lab: LabID?, size: Int = .max
    ) -> (desktops: Int, limit: Limit)? {
        guard let capacity = lastCapacity else { return nil }
        var memory = capacity.memory
        var control = capacity.controlMemory
        var disk = capacity.disk
        var places = addresses.places
        if let lab { memory = memory - beyond(profile, in: lab, size: size) }
        for other in labs.values where other.id != lab {
            memory = memory - Self.memoryNeeded(by: other.profile) * other.size - beyond(other.profile, in: other.id, size: other.size)
            control = control - settings.controlMemoryPerDesktop * other.size
            disk = disk - (images[other.image].map(Self.diskNeeded) ?? .zero) * other.size
            places -= other.size
        }
        let counts: [(Int64, Limit)] = [
            (memory.rawValue / Self.memoryNeeded(by: profile).rawValue, .memory(each: Self.memoryNeeded(by: profile), left: max(.zero, memory))),
            (
                control.rawValue / settings.controlMemoryPerDesktop.rawValue,
                .controlMemory(each: settings.controlMemoryPerDesktop, left: max(.zero, control))
            ),
            (disk.rawValue / Self.diskNeeded(by: image).rawValue, .disk(each: Self.diskNeeded(by: image), left: max(.zero, disk))),
            (Int64(places), .addresses(left: max(0, places))),
        ]
        return counts.min { $0.0 < $1.0 }.map { (max(0, Int($0.0)), $0.1) }
    }

    /// What desktops of a lab with hardware of their own need beyond what they would with this profile; less than nothing where that is less. Of
    /// more than the lab is to have, those count that need the most.
    private func beyond(_ profile: Profile, in lab: LabID, size: Int) -> ByteCount {
        let kinds = desktops.kinds.filter { $0.key.lab == lab }.compactMap { kind in
            kind.key.ownProfile.map { (more: Self.memoryNeeded(by: $0) - Self.memoryNeeded(by: profile), count: kind.value) }
        }
        var (sum, left) = (ByteCount.zero, size)
        for kind in kinds.sorted(by: { $0.more > $1.more }) where left > 0 {
            sum += kind.more * min(left, kind.count)
            left -= min(left, kind.count)
        }
        return sum
    }

    /// Refuses hardware of one desktop for which the server has no memory beside what all labs are to have.
    func admit(_ wished: Profile, for desktop: Desktop) throws(BrokerError) {
        guard let former = profile(for: desktop), wished.memory > former.memory || wished.vcpus > former.vcpus else { return }
        guard let capacity = lastCapacity else { throw unmeasuredError }
        let more = Self.memoryNeeded(by: wished) - Self.memoryNeeded(by: former)
        let left = labs.values.reduce(capacity.memory) {
            $0 - Self.memoryNeeded(by: $1.profile) * $1.size - beyond($1.profile, in: $1.id, size: $1.size)
        }
        guard more <= left else {
            throw .invalid(
                field: "memory", value: "\(wished.memory)",
                remedy: Refused.takesMore(more, max(.zero, left)))
        }
    }

    private var unmeasuredError: BrokerError {
        .hypervisor(unmeasured.map { Refused.unmeasuredSince($0) } ?? Refused.unmeasured())
    }

    /// Refuses a lab for which the server has no room beside the others.
    func admit(_ lab: Lab, _ image: ImageVersion) throws(BrokerError) {
        let former = labs[lab.id]
        // What asks for no more than before is always possible.
        guard lab.size > (former?.size ?? 0) || (lab.size > 0 && (lab.profile != former?.profile || lab.image != former?.image)) else { return }
        guard let holds = holds(of: lab.profile, image, inPlaceOf: lab.id, size: lab.size) else { throw unmeasuredError }
        guard lab.size <= holds.desktops else {
            throw .doesNotFit(asked: lab.size, holds: holds.desktops, profile: lab.profile, limit: holds.limit)
        }
    }
}

/// What of the server ends first when more desktops are wanted: what each needs, and what is left for them beside other labs.
public enum Limit: Hashable, Sendable {
    case memory(each: ByteCount, left: ByteCount)
    /// dom0's, of which each desktop's disk process needs some.
    case controlMemory(each: ByteCount, left: ByteCount)
    case disk(each: ByteCount, left: ByteCount)
    case addresses(left: Int)

    /// What ends, as a clause.
    var words: Sentence {
        switch self {
        case .memory(let each, let left): Refused.memoryEnds(each, left)
        case .controlMemory(let each, let left): Refused.controlMemoryEnds(each, left)
        case .disk(let each, let left): Refused.diskEnds(each, left)
        case .addresses(let left): Refused.addressesEnd(left)
        }
    }

    /// What an administrator can do, for `holds` desktops that fit.
    public func remedy(holds: Int) -> Sentence {
        let smaller = holds > 0 ? Refused.chooseSize(holds) : Refused.makeOthersSmaller()
        return switch self {
        case .memory: Refused.orLessMemory(smaller)
        case .controlMemory: Refused.orMoreControlMemory(smaller)
        case .disk: Refused.orFreeDisk(smaller)
        case .addresses: Refused.orLargerNetwork(smaller)
        }
    }
}
