import Foundation
import Hypervisor

/// A seat without a screen, for quick claims and ends: it says to the appliance what a seat's program says, by curl from a machine on the LAN.
actor LightSeat {
    nonisolated let name: String
    private let pin: String
    private let token: String
    private(set) var bootID = UUID().uuidString.lowercased()

    /// What the appliance gave.
    struct Lease: Decodable, Sendable {
        let session: Int64
        let desktop: String
        let resumed: Bool
    }

    enum Answer: Sendable {
        case leased(Lease)
        case waiting
        /// It answered, and gave nothing now.
        case refused(status: Int, String)
        /// Nobody answered.
        case silent
    }

    /// Plugs a new machine in and enrols it, by the line that the appliance prints.
    init(name: String, lab: Lab) async throws {
        self.name = name
        _ = try? await Lab.run(["seat", "remove", name])
        try await Lab.run(["seat", "add", name])
        // punnet-seat enrol ADDRESS WORD --pin PIN
        let words = try await lab.enrolmentLine(forSeat: name).split(separator: " ").map(String.init)
        guard words.count >= 6, words[4] == "--pin" else { throw Program.Failure(description: "this is no line for a seat: \(words)") }
        pin = words[5]
        struct Enrolled: Decodable { let token: String }
        let (status, body) = try await Self.ask(name, pin, nil, "POST", "seats/enrol", ["word": words[3]])
        guard status == 200 else { throw Program.Failure(description: "\(name) could not enrol: \(status) \(body)") }
        token = try JSONDecoder().decode(Enrolled.self, from: Data(body.utf8)).token
    }

    /// Is another start of the machine from now on: its next claim ends the session before.
    func restart() { bootID = UUID().uuidString.lowercased() }

    func claim() async throws -> Answer {
        let (status, body) = try await Self.ask(name, pin, token, "POST", "seat/claim", ["bootID": bootID])
        switch status {
        case 200: return .leased(try JSONDecoder().decode(Lease.self, from: Data(body.utf8)))
        case 202: return .waiting
        case 0: return .silent
        default: return .refused(status: status, body)
        }
    }

    /// Claims until it is given a desktop.
    func desktop(within limit: Duration = .seconds(60)) async throws -> Lease {
        try await eventually("\(name) is given a desktop", within: limit) {
            if case .leased(let lease) = try await self.claim() { return lease }
            return nil
        }
    }

    /// Ends a session as a log-off does. False where nobody answered.
    func end(_ session: Int64) async throws -> Bool {
        let (status, body) = try await Self.ask(name, pin, token, "POST", "seat/sessions/\(session)/end", ["reason": "log-off"])
        // One that is over already is nobody's any more.
        guard [0, 204, 403, 404, 503].contains(status) else {
            throw Program.Failure(description: "\(name)'s end was answered with \(status) \(body)")
        }
        return status != 0 && status != 503
    }

    /// Takes the machine away. The appliance goes on knowing it.
    func leave() async { _ = try? await Lab.run(["seat", "remove", name]) }

    /// Status and body; 0 where nobody answered.
    private static func ask(
        _ name: String, _ pin: String, _ token: String?, _ method: String, _ path: String, _ body: [String: String]
    ) async throws -> (Int, String) {
        var line = [
            Lab.repository + "/Scripts/xen-lab", "seat", "exec", name, "--", "curl", "-sk", "--noproxy", "*", "--pinnedpubkey", pin, "-m",
            "40", "-X",
            method, "-H", "Content-Type: application/json", "-d", String(decoding: try JSONEncoder().encode(body), as: UTF8.self), "-w",
            "\n%{http_code}",
        ]
        if let token { line += ["-H", "Authorization: Bearer \(token)"] }
        let outcome = try await Program.run(line + ["https://\(Lab.address)/api/v1/\(path)"], environment: ["PUNNET_LAB": Lab.folder])
        guard outcome.status == 0, let status = outcome.output.split(separator: "\n").last.flatMap({ Int($0) }) else { return (0, "") }
        return (status, String(outcome.output.dropLast(4)))
    }
}

/// Seats that claim and end, each at its own pace.
actor Traffic {
    private let lab: Lab
    private let seats: [LightSeat]
    private var isStopped = false
    /// How often a desktop was handed out, a place in the line told, a claim refused, and nobody there.
    private(set) var given = 0, waited = 0, refused = 0, silent = 0
    /// Which session each domain was seen to run for, by its UUID.
    private var domains: [String: Int64] = [:]

    init(_ lab: Lab, seats: [LightSeat]) {
        self.lab = lab
        self.seats = seats
    }

    /// Lets all of them claim and end while the work is done; then each ends what it has, and that is waited for.
    func flows<Outcome: Sendable>(seed: UInt64, while work: @Sendable () async throws -> Outcome) async throws -> Outcome {
        isStopped = false
        let tasks = seats.enumerated().map { index, seat in
            Task { try await self.drive(seat, SplitMix(seed: seed &+ UInt64(index))) }
        }
        let outcome: Result<Outcome, any Error>
        do {
            outcome = .success(try await work())
        } catch {
            outcome = .failure(error)
        }
        isStopped = true
        var ends: [Result<Void, any Error>] = []
        for task in tasks { ends.append(await task.result) }
        let value = try outcome.get()
        for end in ends { try end.get() }
        return value
    }

    private func drive(_ seat: LightSeat, _ random: SplitMix) async throws {
        var random = random
        while !isStopped {
            switch try await seat.claim() {
            case .leased(let lease):
                given += 1
                try await seen(lease)
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...4000, using: &random)))
                // Half of them switch themselves off and on again instead of logging off.
                if Bool.random(using: &random), !isStopped { await seat.restart() } else { try await end(lease, of: seat) }
            case .waiting:
                waited += 1
                try await Task.sleep(for: .milliseconds(Int.random(in: 500...2000, using: &random)))
            case .refused:
                refused += 1
                try await Task.sleep(for: .milliseconds(500))
            case .silent:
                silent += 1
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func end(_ lease: LightSeat.Lease, of seat: LightSeat) async throws {
        try await eventually("\(seat.name) has told the end of its session", within: .seconds(180)) {
            try await seat.end(lease.session) ? true : nil
        }
    }

    /// Notes the domain that a session has got. It may be gone by the time that Xen is asked.
    private func seen(_ lease: LightSeat.Lease) async throws {
        guard let domain = try? await lab.domainIdentities()[lease.desktop] else { return }
        guard let open = try? await lab.openSessions().first(where: { $0.id == lease.session }), open.desktop == lease.desktop else {
            return
        }
        if let other = domains[domain], other != lease.session {
            throw Program.Failure(description: "domain \(domain) was handed out to session \(other) and then to session \(lease.session)")
        }
        domains[domain] = lease.session
    }

    var domainsSeen: Int { domains.count }
    var tally: String { "\(given) hand-outs, \(waited) times in the line, \(refused) refusals, \(silent) times nobody there" }
}

extension Lab {
    /// The UUID of each desktop's domain, by the desktop's name, as Xen has it.
    func domainIdentities() async throws -> [String: String] {
        try await dom0("xl list -v | awk 'NR > 2 {for (i = 1; i <= NF; i++) if (length($i) == 36) print $1, $i}'").split(separator: "\n")
            .reduce(into: [:]) { known, line in
                let words = line.split(separator: " ").map(String.init)
                guard words.count == 2, let end = words[0].range(of: "-g", options: .backwards) else { return }
                known[String(words[0][..<end.lowerBound])] = words[1]
            }
    }
}
