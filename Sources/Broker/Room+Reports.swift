import DesktopModel

/// Looking things up by the names that people use, and checking what they ask for.
extension Room {
    func lab(named name: String) throws(BrokerError) -> Lab {
        guard let lab = labs.values.first(where: { $0.name == name }) else { throw .unknownLab(name) }
        return lab
    }

    /// The lab as a change would have it; nothing is checked but that there are lab and image.
    func lab(named name: String, after change: LabChange) throws(BrokerError) -> Lab {
        var lab = try lab(named: name)
        if let wanted = change.image { lab.image = try image(named: wanted).id }
        lab.profile.vcpus = change.vcpus ?? lab.profile.vcpus
        lab.profile.memory = change.memory ?? lab.profile.memory
        lab.size = change.size ?? lab.size
        lab.leastReady = change.leastReady ?? lab.leastReady
        lab.atOnce = change.atOnce ?? lab.atOnce
        lab.grace = change.grace ?? lab.grace
        lab.airing = change.airing ?? lab.airing
        lab.afterSession = change.afterSession ?? lab.afterSession
        return lab
    }

    func image(_ id: ImageVersionID) throws(BrokerError) -> ImageVersion {
        guard let image = images[id] else { throw .unknownImage("\(id)") }
        return image
    }

    /// `<image>` means its newest version, `<image>-<version>` that one.
    func image(named name: String) throws(BrokerError) -> ImageVersion {
        let newest = images.values.filter { $0.image == name }.max { $0.version < $1.version }
        guard let image = newest ?? images.values.first(where: { "\($0.image)-\($0.version)" == name }) else { throw .unknownImage(name) }
        return image
    }

    /// Whether a lab as it is wanted is possible on this server.
    func check(_ lab: Lab, _ image: ImageVersion) throws(BrokerError) {
        try check(lab.profile, image)
        for desktop in desktops.values.filter({ $0.lab == lab.id }).sorted(by: { $0.number < $1.number }) {
            guard let own = desktop.ownProfile, own.memory < image.minimumMemory else { continue }
            throw .invalid(
                field: "image", value: image.image,
                remedy: "desktop '\(desktop.name)' has \(own.memory) of its own, and it needs \(image.minimumMemory); give it more, or its lab's, first")
        }
        guard lab.size >= 0 else {
            throw .invalid(field: "size", value: "\(lab.size)", remedy: "use 0 to \(addresses.places)")
        }
        guard (0...addresses.places).contains(lab.leastReady) else {
            throw .invalid(field: "least ready", value: "\(lab.leastReady)", remedy: "use 1 to \(addresses.places), or 0 for all of the lab's size")
        }
        guard (0...64).contains(lab.atOnce) else {
            throw .invalid(field: "at once", value: "\(lab.atOnce)", remedy: "use 1 to 64, or 0 for as many as the server allows")
        }
        guard (.zero...(.seconds(86_400))).contains(lab.grace) else {
            throw .invalid(field: "grace time", value: "\(lab.grace)", remedy: "use 0 seconds to a day")
        }
        guard lab.airing == .zero || (.seconds(60)...(.seconds(86_400))).contains(lab.airing) else {
            throw .invalid(field: "airing interval", value: "\(lab.airing)", remedy: "use a minute to a day, or 0 for never")
        }
        try admit(lab, image)
    }

    /// Whether desktops of this image can have such hardware.
    func check(_ profile: Profile, _ image: ImageVersion) throws(BrokerError) {
        guard (1...32).contains(profile.vcpus) else {
            throw .invalid(field: "vCPUs", value: "\(profile.vcpus)", remedy: "use 1 to 32")
        }
        guard profile.memory >= image.minimumMemory else {
            throw .invalid(field: "memory", value: "\(profile.memory)", remedy: "image '\(image.image)' needs at least \(image.minimumMemory)")
        }
        guard profile.memory <= .gibibytes(256) else {
            throw .invalid(field: "memory", value: "\(profile.memory)", remedy: "use at most 256 GiB")
        }
    }

    /// Whether it is known what the server has, or known that it cannot be asked now.
    var hasTriedToMeasure: Bool { capacity != nil || (measuring == nil && refillAt != nil) }

    /// How many desktops of a lab are in each state.
    func report(of lab: Lab) -> LabReport {
        let image = images[lab.image].map { "\($0.image)-\($0.version)" } ?? ""
        let counts = desktops.values.filter { $0.lab == lab.id }.reduce(into: [:]) { $0[$1.state.word, default: 0] += 1 }
        return LabReport(lab: lab, image: image, desktops: counts, waiting: lines[lab.id, default: []].count)
    }
}
