import Foundation

/// One booted lab: the appliance with real Xen, and the machines on its LAN.
///
/// Everything it tells is asked in the appliance's own shell: `xl` for Xen, the control API for what Punnet says of itself.
actor Lab {
    /// The lab of the suite that runs.
    @TaskLocal static var current: Lab?

    /// The disk with Punnet's packages; the suites run where it is named.
    static let packages = ProcessInfo.processInfo.environment["PUNNET_LAB_PACKAGES"]
    /// Whether the lab is left running, and one that runs already is used: to look into it, and to try one test again and again.
    static let isKept = ProcessInfo.processInfo.environment["PUNNET_LAB_KEEP"] != nil
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    /// The lab's own folder.
    static let folder = ProcessInfo.processInfo.environment["PUNNET_LAB"] ?? "/tmp/punnet-lab-tests"
    /// Where the appliance is on the LAN, and where the desktops are behind it.
    static let address = "10.77.0.10"
    static let desktops = "10.88.0.0/24"
    static let gateway = "10.88.0.1"

    private var seats: [String: Seat] = [:]
    /// How long each desktop took at its first making.
    private(set) var filling: Duration?

    // MARK: The machine

    /// What the machines on the LAN run. A seat without one of them would only ever be waited for.
    private static let programs = ["xfreerdp", "nmap", "Xvfb", "xterm", "xdotool", "import", "curl", "jq"]

    /// Boots it, and waits until punnetd answers.
    func boot(packages: String) async throws {
        if Self.isKept, try await status().contains("lab=running") { return say("the lab at \(Self.folder) runs already") }
        for program in Self.programs where try await Program.run(["which", program]).status != 0 {
            throw Program.Failure(description: "'\(program)' is missing on this machine: Scripts/test installs what the lab needs")
        }
        try await stop(purge: true)
        say("booting")
        let took = try await time {
            _ = try await Self.run(["start", "--network", "lan", "--packages", packages], within: .seconds(900))
            try await eventually("punnetd answers", within: .seconds(180)) { try await self.dom0("punnet status") }
        }
        Pace.learn(fromBoot: took)
        figure("power-on to punnetd answering", "\(seconds(took)), so limits are \(String(format: "%.1f", Pace.factor)) times a quiet machine's")
        try await dom0(Wire.watchReadiness)
    }

    /// Ends all of it, whatever came before.
    func stop(purge: Bool) async throws {
        for seat in seats.values { await seat.leave() }
        seats = [:]
        _ = try await Self.run(["stop"] + (purge ? ["--purge"] : []), within: .seconds(120))
    }

    private func status() async throws -> String { try await Self.run(["status"]) }

    /// Runs `Scripts/xen-lab`, which must succeed.
    @discardableResult
    static func run(_ arguments: [String], input: Data? = nil, within limit: Duration = .seconds(60)) async throws -> String {
        try await Program.output(
            of: [repository + "/Scripts/xen-lab"] + arguments, environment: ["PUNNET_LAB": folder], input: input, within: limit)
    }

    /// Runs a shell's line as root in dom0; it must succeed.
    @discardableResult
    func dom0(_ line: String, within limit: Duration = .seconds(60)) async throws -> String {
        try await Self.run(["exec", "--", line], within: limit)
    }

    /// Puts a file into dom0.
    func put(_ contents: Data, at path: String) async throws {
        try await Self.run(["exec", "--stdin", "--", "cat > \(path)"], input: contents)
    }

    // MARK: What Xen says

    /// A line of `xl list`.
    struct Domain: Sendable, Hashable {
        let name: String
        let id: Int
        let state: String
        var isPaused: Bool { state.contains("p") }
    }

    /// Every domain but dom0.
    func domains() async throws -> [Domain] {
        try await dom0("xl list").split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ").map(String.init)
            guard fields.count >= 6, let id = Int(fields[fields.count - 5]), id != 0 else { return nil }
            return Domain(name: fields[0], id: id, state: fields[fields.count - 2])
        }
    }

    /// The domain of a desktop; nil unless there is exactly one.
    func domain(of desktop: String) async throws -> Domain? {
        let own = try await domains().filter { $0.name.hasPrefix(desktop + "-g") }
        return own.count == 1 ? own[0] : nil
    }

    /// The disk files that Xen's domains use.
    func disksInUse() async throws -> Set<String> {
        let all = try await dom0("for domain in $(xenstore-list /local/domain/0/backend/qdisk 2>/dev/null); do "
            + "xenstore-ls -f /local/domain/0/backend/qdisk/$domain | sed -n 's/.*\\/params = \"[a-z0-9]*:\\(.*\\)\"/\\1/p'; done")
        return Set(all.split(separator: "\n").map(String.init))
    }

    /// The overlays that lie on the appliance's disk.
    func overlays() async throws -> Set<String> {
        Set(try await dom0("find /var/lib/punnet/desktops -type f").split(separator: "\n").map(String.init))
    }

    // MARK: What Punnet says

    struct Desktop: Decodable, Sendable {
        let name: String
        let state: String
        /// Where its making stands, while it is preparing.
        let step: String?
        let generation: Int
        let address: String
        /// Why it is not ready, in plain words.
        let explanation: String?

        var domainName: String { "\(name)-g\(generation)" }
        /// Whether it is of the lab that most tests are about.
        var isOfRoom: Bool { name.hasPrefix("room-") }
    }

    struct Session: Decodable, Sendable {
        let id: Int64
        let seat: String
        let desktop: String
        let reason: String?
        let connected: Bool
    }

    /// Asks the control API on the appliance's socket: what `punnet` asks, but without starting it each time on an emulated processor.
    private func asked<Answer: Decodable>(_ path: String, as type: Answer.Type = Answer.self) async throws -> Answer {
        let answer = try await dom0(
            "printf 'GET /api/v1/\(path) HTTP/1.1\\r\\nHost: punnet\\r\\nConnection: close\\r\\n\\r\\n' | "
                + "socat -t 20 - UNIX-CONNECT:/run/punnet/control.sock")
        guard answer.hasPrefix("HTTP/1.1 200 "), let body = answer.range(of: "\r\n\r\n") else {
            throw Program.Failure(description: "punnetd answers \(path) with: \(answer)")
        }
        return try JSONDecoder().decode(Answer.self, from: Data(answer[body.upperBound...].utf8))
    }

    func desktopList() async throws -> [Desktop] { try await asked("desktops") }

    func desktop(_ name: String) async throws -> Desktop {
        guard let desktop = try await desktopList().first(where: { $0.name == name }) else {
            throw Program.Failure(description: "there is no desktop \(name)")
        }
        return desktop
    }

    func openSessions() async throws -> [Session] { try await asked("sessions") }

    func session(_ id: Int64) async throws -> Session {
        let all: [Session] = try await asked("sessions?all=true&limit=200")
        guard let session = all.first(where: { $0.id == id }) else { throw Program.Failure(description: "there is no session \(id)") }
        return session
    }

    /// The open session of a seat, if it has one.
    func session(ofSeat seat: String) async throws -> Session? { try await openSessions().first { $0.seat == seat } }

    /// The seats that Punnet knows.
    func seatNames() async throws -> [String] {
        struct Named: Decodable { let name: String }
        return try await asked("seats", as: [Named].self).map(\.name)
    }

    /// The line to type on a new seat of a lab. What had its name before is a seat no more.
    func enrolmentLine(forSeat seat: String, of room: String = "room") async throws -> String {
        if try await seatNames().contains(seat) { try await dom0("punnet seat remove \(seat) --yes") }
        struct Answer: Decodable { let command: String }
        let answer = try await dom0("punnet seat add \(seat) --lab \(room) --json")
        return try JSONDecoder().decode(Answer.self, from: Data(answer.utf8)).command
    }

    // MARK: The room

    /// Takes the image in and makes a lab of two desktops, once, and waits until both are ready.
    func fillRoom() async throws {
        struct Named: Decodable { let name: String }
        let labs: [Named] = try await asked("labs")
        if labs.isEmpty {
            say("taking the image in")
            let took = try await time { try await dom0("punnet image add /usr/share/punnet/images/debian-desktop", within: .seconds(600)) }
            figure("image taken in", seconds(took))
            say("making the lab")
            try await dom0("punnet lab create room --image debian-desktop --size 2 --memory 512MiB --vcpus 1 --grace 60s")
            filling = try await time { try await bothThere(within: .seconds(600)) }
            figure("two desktops, from nothing to ready", seconds(filling ?? .zero))
        } else if filling == nil {
            try await bothThere(within: .seconds(600))
        }
    }

    private func bothThere(within limit: Duration) async throws {
        try await eventually("both desktops are ready", within: limit, every: .seconds(1), holds: {
            let desktops = try await self.desktopList().filter(\.isOfRoom)
            return desktops.count == 2 && desktops.allSatisfy { $0.state == "ready" || $0.state == "leased" }
        })
    }

    /// Waits until a desktop is ready in a generation after the one given.
    func remade(_ desktop: String, after generation: Int, within limit: Duration = .seconds(400)) async throws -> Desktop {
        try await eventually("\(desktop) is ready in a generation after \(generation)", within: limit, every: .milliseconds(500)) {
            let now = try await self.desktop(desktop)
            return now.generation > generation && (now.state == "ready" || now.state == "leased") ? now : nil
        }
    }

    /// A machine on the LAN with that name, for a lab's desktops: the same one each time.
    func seat(_ name: String, of room: String = "room") async throws -> Seat {
        if let seat = seats[name] { return seat }
        let seat = try await Seat(name: name, of: room, in: self)
        seats[name] = seat
        return seat
    }

    func seatLeaves(_ name: String) async {
        await seats.removeValue(forKey: name)?.leave()
    }

    func seatsLeave() async {
        for name in seats.keys { await seatLeaves(name) }
    }

    /// Keeps what tells why a test failed, and says where.
    func keepEvidence(of test: String) async {
        let folder = ProcessInfo.processInfo.environment["PUNNET_LAB_EVIDENCE"] ?? "/tmp/punnet-lab-evidence"
        let name = folder + "/" + test.filter { $0.isLetter || $0.isNumber }
        try? FileManager.default.createDirectory(atPath: name, withIntermediateDirectories: true)
        let questions = [
            "xl list", "punnet status", "punnet desktop list", "punnet session list --all", "ls -l /var/lib/punnet/desktops",
            "systemctl --no-pager status punnetd punnet-relay", "nft list ruleset", "journalctl --no-pager -o short-precise -n 1500",
        ]
        for (number, question) in questions.enumerated() {
            let answer = (try? await dom0(question + " 2>&1 || true", within: .seconds(30))) ?? "no answer"
            let file = "\(name)/\(number + 1)-\(question.prefix(24).filter { $0.isLetter || $0 == " " }).txt"
            try? ("# \(question)\n" + answer).write(toFile: file, atomically: false, encoding: .utf8)
        }
        for seat in seats.values { await seat.keepEvidence(in: name) }
        say("what was seen is kept in \(name)")
    }
}
