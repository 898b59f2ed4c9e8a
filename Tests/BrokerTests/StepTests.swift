import DesktopModel
import Foundation
import Hypervisor
import Identity
import Logging
import Synchronization
import Testing

@testable import Broker

/// The steps as they are carried out on the simulated server: what is reported of them, and why they failed.
struct StepTests {
    private let clock = SimulatedClock()
    private let server: SimulatedServer
    private let connection: SimulatedConnection
    private let reported = Reported()
    private let id = DesktopID(rawValue: 1)
    private let generation = Generation(rawValue: 1)
    private let uuid = DomainUUID(installation: 7, desktop: DesktopID(rawValue: 1), generation: Generation(rawValue: 1))
    private let address = IPv4Address("10.88.0.11")!

    init() {
        server = SimulatedServer(seed: 1, clock: clock, plan: AddressPlan(subnet: IPv4Subnet("10.88.0.0/24")!))
        connection = SimulatedConnection(to: server)
    }

    private final class Reported: Sendable {
        private let kept = Mutex<[RoomEvent]>([])
        var events: [RoomEvent] { kept.withLock { $0 } }
        func add(_ event: RoomEvent) { kept.withLock { $0.append(event) } }
    }

    /// Lets the server's time go on, by a minute at most, until it is so; false where it is not within half a minute of ours.
    private func eventually(_ holds: () -> Bool) async -> Bool {
        let limit = clock.now.advanced(by: .seconds(60))
        return await standing {
            if holds() { return true }
            if let next = clock.nextDeadline, next <= limit { clock.advance() }
            return false
        }
    }

    /// Waits, while the server's time stands, until it is so; false where it is not within half a minute.
    private func standing(_ holds: () -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            if holds() { return true }
            try? await Task.sleep(for: .milliseconds(1))
        }
        return holds()
    }

    /// Waits, while the server's time stands, until it was asked for something that it will have done within a second.
    private func isAsked() async -> Bool {
        await standing { clock.nextDeadline.map { clock.now.duration(to: $0) <= .seconds(1) } ?? false }
    }

    private func plan() -> DomainPlan {
        DomainPlan(
            uuid: uuid, name: "room1-1-g1", boot: .pv, kernel: "/kernel", ramdisk: "/ramdisk", commandLine: "",
            profile: Profile(vcpus: 1, memory: .mebibytes(512)), overlay: "1-1.qcow2", mac: MACAddress(bytes: [0, 1, 2, 3, 4, 5]), address: address)
    }

    @Test func aWaitThatIsBrokenOffIsNoFailure() async throws {
        let reported = reported
        let keeper = PoolKeeper(
            host: connection, disks: connection, identities: .random,
            readiness: Readiness { _ in throw ProbeError.refused(host: "10.88.0.11", port: 3389) }, clock: BrokerClock(clock)
        ) { reported.add($0) }
        await keeper.begin(.layOverlay(blank: "/blank", OverlayName(desktop: id, generation: generation)), of: id, generation)
        await keeper.begin(.build(plan()), of: id, generation)
        await keeper.begin(.awaitReadiness(uuid, address), of: id, generation)
        #expect(await eventually { reported.events.contains { if case .notReady = $0 { true } else { false } } })
        await keeper.begin(.remove(uuid, OverlayName(desktop: id, generation: generation)), of: id, generation)
        #expect(await eventually { reported.events.contains { if case .stepDone(_, _, .removed) = $0 { true } else { false } } })
        #expect(!reported.events.contains { if case .stepFailed = $0 { true } else { false } })
        // What was found is told once, not at every try.
        let findings = reported.events.compactMap { if case .notReady(_, _, let finding) = $0 { finding } else { nil } }
        #expect(findings == ["it is up at 10.88.0.11, but nothing listens on port 3389: its RDP server does not start"])
    }

    @Test func aConsoleThatDoesNotAnswerIsForgottenAllTheSame() async throws {
        _ = try await onTheServer { try await connection.layOverlay(of: "/blank", for: OverlayName(desktop: id, generation: generation)) }
        _ = try await onTheServer { try await connection.create(plan()) }
        #expect(server.consoles.keys.sorted() == ["room1-1-g1"])
        let reported = reported
        let keeper = ConsoleKeeper(
            host: connection, deadline: .seconds(5), clock: BrokerClock(clock), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { reported.add($0) }
        let asked = clock.now
        var silent = SimulatedServer.Faults()
        silent.silences = 1
        server.setFaults(silent)
        await keeper.read("room1-1-g1", of: id, generation)
        #expect(await eventually { asked.duration(to: clock.now) >= .seconds(5) })
        server.setFaults(SimulatedServer.Faults())
        await keeper.drop("room1-1-g1")
        #expect(await eventually { server.consoles.isEmpty })
        #expect(reported.events.isEmpty)
    }

    @Test func whatAGuestWroteIsReadBeforeItIsForgotten() async throws {
        _ = try await onTheServer { try await connection.layOverlay(of: "/blank", for: OverlayName(desktop: id, generation: generation)) }
        _ = try await onTheServer { try await connection.create(plan()) }
        server.guestWrites(uuid, "Linux boots\n\u{1b}[31mKernel panic\n")
        let reported = reported
        let keeper = ConsoleKeeper(
            host: connection, deadline: .seconds(5), clock: BrokerClock(clock), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        ) { reported.add($0) }
        await keeper.read("room1-1-g1", of: id, generation)
        await keeper.drop("room1-1-g1")
        // The time goes on to the server's answers alone: else it could come to the deadline of what is not begun, or not taken in yet.
        #expect(await isAsked())
        clock.advance()
        #expect(await standing { !reported.events.isEmpty })
        #expect(await isAsked())
        clock.advance()
        #expect(await standing { server.consoles.isEmpty })
        let lines = reported.events.compactMap { if case .consoleRead(_, _, let lines) = $0 { lines } else { nil } }
        #expect(lines == [["Linux boots", "Kernel panic"]])
    }

    /// What is done to the server while its time goes on.
    private func onTheServer<Answer: Sendable>(_ deed: @escaping @Sendable () async throws -> Answer) async throws -> Answer {
        async let answer = deed()
        let clock = clock
        let driver = Task {
            while !Task.isCancelled {
                clock.advance()
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
        defer { driver.cancel() }
        return try await answer
    }

    @Test func everyCauseSaysWhatFailedAndWhatToDo() {
        let overlay = OverlayName(desktop: id, generation: generation)
        let steps: [Step] = [
            .layOverlay(blank: "/images/b.qcow2", overlay), .build(plan()), .awaitReadiness(uuid, address), .pause(uuid), .remove(uuid, overlay),
        ]
        func cause(_ step: Int, _ error: HypervisorError) -> Sentence { steps[step].cause(of: error) }
        #expect(cause(0, .missingFile(path: "/images/b.qcow2")).hasPrefix("the image's blank overlay '/images/b.qcow2' is missing: put it back, or"))
        #expect(cause(0, .missingFile(path: "/images/b.golden")).hasPrefix("the image's disk '/images/b.golden' is missing: put it back, or"))
        #expect(cause(1, .missingFile(path: "/kernel")).contains("the image's kernel '/kernel' is missing: put it back, or take the image in anew"))
        #expect(cause(1, .missingFile(path: "/ramdisk")).contains("ramdisk"))
        #expect(cause(1, .missingFile(path: "/usr/lib/punnet/vif-punnet")).contains("install the package punnet anew"))
        #expect(cause(0, .outOfDisk(path: "/d")) == "the disk that holds '/d' is full: free space on it, or make labs smaller with 'punnet lab set'")
        #expect(cause(1, .outOfMemory(needed: .mebibytes(519))).hasPrefix("Xen has no 519 MiB of memory left for it: 'xl list' tells"))
        #expect(cause(1, .unavailable("no xenstore")) == "building its domain failed, since Xen cannot be reached: no xenstore")
        #expect(cause(3, .noSuchDomain(uuid)).hasPrefix("its domain ended by itself"))
        let refused = HypervisorError.failed(call: "libxl_domain_destroy", code: -3, detail: "busy")
        #expect(cause(4, refused).contains("removing it failed: libxl_domain_destroy failed with -3: busy"))
    }

    @Test func whatIsThereInPlaceOfRDPIsToldInPlainWords() {
        func finding(_ error: any Error) -> Sentence { Readiness.finding(of: error, at: address) }
        for silent in [ProbeError.unreachable(host: "10.88.0.11", reason: "No route to host"), .timedOut(.connecting, after: .seconds(20))] {
            #expect(finding(silent).hasPrefix("nothing answers at 10.88.0.11: it does not boot, or has no address (DHCP)"))
        }
        #expect(finding(ProbeError.refused(host: "10.88.0.11", port: 3389)).contains("nothing listens on port 3389"))
        for wrong in [ProbeError.timedOut(.negotiating, after: .seconds(20)), .closed(.handshaking), .notRDP("SSH-2.0"), .noTLS(chosen: 0)] {
            #expect(finding(wrong).hasPrefix("something answers at 10.88.0.11 port 3389, but not as RDP over TLS: "))
        }
        #expect(finding(ProbeError.timedOut(.negotiating, after: .seconds(20))).contains("TLS: it said nothing more within 20 s"))
        #expect(finding(ProbeError.negotiationRefused(code: 2)).contains("TLS: it refused TLS with failure code 2; set its security layer to TLS"))
        #expect(finding(HypervisorError.unavailable("nothing")).contains("nothing"))
    }

    /// A keeper of the simulated server, with a desktop whose domain is built.
    private func built() async throws -> PoolKeeper {
        let reported = reported
        let keeper = PoolKeeper(
            host: connection, disks: connection, identities: .random, readiness: Readiness { _ in [] }, clock: BrokerClock(clock)
        ) { reported.add($0) }
        await keeper.begin(.layOverlay(blank: "/blank", OverlayName(desktop: id, generation: generation)), of: id, generation)
        await keeper.begin(.build(plan()), of: id, generation)
        try #require(await eventually { reported.events.contains { if case .stepDone(_, _, .domainBuilt) = $0 { true } else { false } } })
        return keeper
    }

    @Test func aGuestIsToldWhoItIsBeforeItRuns() async throws {
        let keeper = try await built()
        await keeper.begin(.settle(uuid, hostname: "room1-1", user: "student"), of: id, generation)
        let settled = await eventually { reported.events.contains { if case .stepDone(_, _, .settled) = $0 { true } else { false } } }
        #expect(settled, "\(reported.events)")
        let passwords = reported.events.compactMap { if case .stepDone(_, _, .settled(let password)) = $0 { password } else { nil } }
        let domain = try #require(server.domains[uuid])
        let identity = try #require(domain.identity)
        #expect(domain.isSettled && domain.activity == .running)
        #expect(identity.hostname == "room1-1" && identity.user == "student")
        #expect(passwords.count == 1 && passwords[0].utf8.count == 20)
        #expect(identity.passwordHash.hasPrefix("$6$") && !identity.passwordHash.contains(passwords[0]))
    }

    @Test func aGuestThatCannotSaysWhy() async throws {
        var faults = SimulatedServer.Faults()
        faults.stubbornness = 1
        server.setFaults(faults)
        let keeper = try await built()
        await keeper.begin(.settle(uuid, hostname: "room1-1", user: "student"), of: id, generation)
        let causes = { reported.events.compactMap { if case .stepFailed(_, _, .making(.identity), let cause, _) = $0 { cause } else { nil } } }
        #expect(await eventually { !causes().isEmpty })
        #expect(causes().first?.hasPrefix("its guest could not take its identity over: it was to fail.") == true)
    }

    @Test func aGuestThatHangsIsWaitedForUntilItsDesktopIsRemoved() async throws {
        var faults = SimulatedServer.Faults()
        faults.hangs = 1
        server.setFaults(faults)
        let keeper = try await built()
        await keeper.begin(.settle(uuid, hostname: "room1-1", user: "student"), of: id, generation)
        #expect(await eventually { server.domains[uuid]?.activity == .running })
        await keeper.begin(.remove(uuid, OverlayName(desktop: id, generation: generation)), of: id, generation)
        #expect(await eventually { reported.events.contains { if case .stepDone(_, _, .removed) = $0 { true } else { false } } })
        #expect(!reported.events.contains { if case .stepFailed = $0 { true } else { false } })
    }
}
