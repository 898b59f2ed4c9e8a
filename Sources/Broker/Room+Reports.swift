import DesktopModel

/// Looking things up by the names that people use, and checking what they ask for.
extension Room {
    func lab(named name: String) throws(BrokerError) -> Lab {
        guard let lab = labs.values.first(where: { $0.name == name }) else { throw .unknownLab(name) }
        return lab
    }

    /// The lab as a change would have it; nothing is checked but that there are lab, image, and the internet where it is wished.
    func lab(named name: String, after change: LabChange) throws(BrokerError) -> Lab {
        var lab = try lab(named: name)
        try checkInternet(change.internet)
        lab.internet = change.internet ?? lab.internet
        if let wanted = change.image { lab.image = try image(named: wanted).id }
        lab.profile.vcpus = change.vcpus ?? lab.profile.vcpus
        lab.profile.memory = change.memory ?? lab.profile.memory
        lab.size = change.size ?? lab.size
        lab.leastReady = change.leastReady ?? lab.leastReady
        lab.atOnce = change.atOnce ?? lab.atOnce
        lab.grace = change.grace ?? lab.grace
        lab.airing = change.airing ?? lab.airing
        lab.afterSession = change.afterSession ?? lab.afterSession
        lab.longest = change.longest ?? lab.longest
        lab.idle = change.idle ?? lab.idle
        lab.warning = change.warning ?? lab.warning
        return lab
    }

    func image(_ id: ImageVersionID) throws(BrokerError) -> ImageVersion {
        guard let image = images[id] else { throw .unknownImage("\(id)") }
        return image
    }

    /// `<image>-<version>` means that one, `<image>` its newest version. An image's own name may end with a number.
    func image(named name: String) throws(BrokerError) -> ImageVersion {
        if let exact = images.values.first(where: { $0.name == name }) { return exact }
        guard let newest = images.values.filter({ $0.image == name }).max(by: { $0.version < $1.version }) else { throw .unknownImage(name) }
        return newest
    }

    /// Refuses for an image that something still needs.
    func checkIsUnused(_ image: ImageVersion) throws(BrokerError) {
        func needed(by user: Sentence) -> BrokerError { .inUse(kind: "image", name: image.name, by: user) }
        if let lab = labs.values.filter({ $0.image == image.id }).map(\.name).min() { throw needed(by: Refused.byLab(lab)) }
        if let desktop = desktops.values.filter({ $0.image == image.id && $0.state.holdsResources }).min(by: { $0.id < $1.id }) {
            if case .leased = desktop.state { throw needed(by: Refused.byLeasedDesktop(desktop.name)) }
            throw needed(by: Refused.byDesktop(desktop.name))
        }
        if checkpoints.values.contains(where: { $0.image == image.id }) { throw needed(by: Refused.byCheckpoint()) }
    }

    /// The versions of images with what uses them, by name and version.
    func imageReports() -> [ImageReport] {
        images.values.sorted { ($0.image, $0.version) < ($1.image, $1.version) }.map { image in
            ImageReport(
                version: image, labs: labs.values.filter { $0.image == image.id }.map(\.name).sorted(),
                desktops: desktops.values.count { $0.image == image.id && $0.state.holdsResources },
                checkpoints: checkpoints.values.filter { $0.image == image.id }.sorted { $0.id < $1.id })
        }
    }

    /// Whether a lab as it is wanted is possible on this server.
    func check(_ lab: Lab, _ image: ImageVersion) throws(BrokerError) {
        try check(lab.profile, image)
        for desktop in desktops.values.filter({ $0.lab == lab.id }).sorted(by: { $0.number < $1.number }) {
            guard let own = desktop.ownProfile, own.memory < image.minimumMemory else { continue }
            throw .invalid(
                field: "image", value: image.image,
                remedy: Refused.ownMemoryTooSmall(desktop.name, own.memory, image.minimumMemory))
        }
        guard lab.size >= 0 else {
            throw .invalid(field: "size", value: "\(lab.size)", remedy: Refused.useRange(0, addresses.places))
        }
        guard (0...addresses.places).contains(lab.leastReady) else {
            throw .invalid(field: "least ready", value: "\(lab.leastReady)", remedy: Refused.useRangeOrAll(addresses.places))
        }
        guard (0...64).contains(lab.atOnce) else {
            throw .invalid(field: "at once", value: "\(lab.atOnce)", remedy: Refused.useRangeOrServer(64))
        }
        guard (.zero...(.seconds(86_400))).contains(lab.grace) else {
            throw .invalid(field: "grace time", value: "\(lab.grace)", remedy: Refused.useUpToADay())
        }
        guard lab.airing == .zero || (.seconds(60)...(.seconds(86_400))).contains(lab.airing) else {
            throw .invalid(field: "airing interval", value: "\(lab.airing)", remedy: Refused.useMinuteToDay())
        }
        let limits = Duration.seconds(60)...(.seconds(7 * 86_400))
        guard lab.longest == .zero || limits.contains(lab.longest) else {
            throw .invalid(field: "longest session", value: "\(lab.longest)", remedy: Refused.useMinuteToWeek())
        }
        guard lab.idle == .zero || limits.contains(lab.idle) else {
            throw .invalid(field: "idle time", value: "\(lab.idle)", remedy: Refused.useMinuteToWeek())
        }
        guard (.zero...(.seconds(3600))).contains(lab.warning) else {
            throw .invalid(field: "warning", value: "\(lab.warning)", remedy: Refused.useUpToAnHour())
        }
        try admit(lab, image)
    }

    /// Whether desktops of this image can have such hardware.
    func check(_ profile: Profile, _ image: ImageVersion) throws(BrokerError) {
        guard (1...32).contains(profile.vcpus) else {
            throw .invalid(field: "vCPUs", value: "\(profile.vcpus)", remedy: Refused.useRange(1, 32))
        }
        guard profile.memory >= image.minimumMemory else {
            throw .invalid(field: "memory", value: "\(profile.memory)", remedy: Refused.imageNeeds(image.image, image.minimumMemory))
        }
        guard profile.memory <= .gibibytes(256) else {
            throw .invalid(field: "memory", value: "\(profile.memory)", remedy: Refused.useAtMost(ByteCount.gibibytes(256)))
        }
    }

    /// Whether it is known what the server has, or known that it cannot be asked now.
    var hasTriedToMeasure: Bool { lastCapacity != nil || unmeasured != nil }

    /// How many desktops of a lab are in each state.
    func report(of lab: Lab) -> LabReport {
        let image = images[lab.image]?.name ?? ""
        let counts = desktops.values.filter { $0.lab == lab.id }.reduce(into: [:]) { $0[$1.toldState.word, default: 0] += 1 }
        return LabReport(lab: lab, image: image, desktops: counts, waiting: lines[lab.id, default: []].count)
    }
}

extension Desktop {
    /// The state as people are told it: one that was put in quarantine by hand holds nothing and is in quarantine.
    var toldState: DesktopState { isSetAside && state == .empty ? .quarantined(cause: Told.setAsideInShort(), holding: false) : state }
}
