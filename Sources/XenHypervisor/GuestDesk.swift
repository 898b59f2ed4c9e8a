import DesktopModel
import Glibc
import Hypervisor
import Identity
import XenLight

/// Where dom0 and the package punnet-guest in a desktop meet: a folder of the guest's own in xenstore (Docs/Guest.md).
///
/// Dom0 writes `identity`, which the guest may only read; the guest writes `answer`, which is its own. So it is with `memory/call` and
/// `memory/answer`.
struct GuestDesk: Sendable {
    private let store: XenStore
    private let lane = BlockingLane("xen.guests")

    /// Where xenstored does not answer: `unavailable`.
    init() throws(XenError) { store = try XenStore() }

    private static func folder(of domain: DomainID) -> String { XenStore.folder(of: domain) + "/punnet" }

    /// See `DomainHost.announce`.
    func announce(_ identity: DesktopIdentity, to domain: DomainID) async throws(XenError) {
        let folder = Self.folder(of: domain)
        let values = [
            ("hostname", identity.hostname), ("account", identity.user), ("password", identity.passwordHash),
            ("entropy", Hex.text(of: identity.entropy)), ("call", identity.call),
        ]
        try await lane.run { () throws(XenError) in
            try store.transaction { (transaction) throws(XenError) in
                try transaction.remove(folder)
                let forGuest = XenStore.Permissions(owner: .control, reader: domain)
                try transaction.write(folder, "")
                try transaction.allow(folder, forGuest)
                try transaction.write(folder + "/answer", "")
                try transaction.allow(folder + "/answer", XenStore.Permissions(owner: domain, reader: .control))
                try transaction.write(folder + "/identity", "")
                try transaction.allow(folder + "/identity", forGuest)
                for (name, value) in values {
                    try transaction.write("\(folder)/identity/\(name)", value)
                    try transaction.allow("\(folder)/identity/\(name)", forGuest)
                }
            }
        }
    }

    /// See `DomainHost.settled`. False where the domain goes before its guest has answered.
    func settled(_ domain: DomainID, call: String) async throws -> Bool {
        let folder = Self.folder(of: domain)
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = try await lane.run { () throws(XenError) in try store.watch(folder + "/answer") { continuation.yield() } }
        // xenstored may not answer now: nobody waits for it.
        defer { Task { await lane.run { watch.end() } } }
        for await _ in changes {
            guard let text = try await lane.run({ () throws(XenError) in try store.read(folder + "/answer") }) else { return false }
            guard let answer = GuestAnswer(untrusted: text), answer.call == call else { continue }
            switch answer {
            case .asksForTime:
                try await lane.run { () throws(XenError) in try tellTime(in: folder, to: domain, call) }
            case .done:
                try await lane.run { () throws(XenError) in
                    try store.transaction { (transaction) throws(XenError) in
                        for name in ["password", "entropy"] { try transaction.remove("\(folder)/identity/\(name)") }
                    }
                }
                return true
            case .failed(_, let reason): throw HypervisorError.guestFailed(reason: reason)
            case .spares: continue
            }
        }
        throw CancellationError()
    }

    /// What memory the domain's guest says that it could do without; nil where it does not say so within the limit.
    func spareMemory(of domain: DomainID, within limit: Duration = .seconds(10)) async throws(XenError) -> ByteCount? {
        let folder = Self.folder(of: domain)
        let call = Hex.text(of: (0..<16).map { _ in UInt8.random(in: 0...UInt8.max) })
        try await lane.run { () throws(XenError) in
            try store.transaction { (transaction) throws(XenError) in
                let forGuest = XenStore.Permissions(owner: .control, reader: domain)
                for (path, permissions) in [
                    (folder, forGuest), (folder + "/memory", forGuest),
                    (folder + "/memory/answer", XenStore.Permissions(owner: domain, reader: .control)),
                ] {
                    try transaction.write(path, "")
                    try transaction.allow(path, permissions)
                }
                try transaction.write(folder + "/memory/call", call)
                try transaction.allow(folder + "/memory/call", forGuest)
            }
        }
        let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let timer = Task {
            try? await Task.sleep(for: limit)
            continuation.finish()
        }
        defer { timer.cancel() }
        let watch = try await lane.run { () throws(XenError) in try store.watch(folder + "/memory/answer") { continuation.yield() } }
        defer { Task { await lane.run { watch.end() } } }
        for await _ in changes {
            guard let text = try await lane.run({ () throws(XenError) in try store.read(folder + "/memory/answer") }) else { return nil }
            if case .spares(call, let memory)? = GuestAnswer(untrusted: text) { return memory }
        }
        return nil
    }

    private func tellTime(in folder: String, to domain: DomainID, _ call: String) throws(XenError) {
        try store.transaction { (transaction) throws(XenError) in
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            let nanoseconds = String(now.tv_nsec)
            let fraction = String(repeating: "0", count: 9 - nanoseconds.count) + nanoseconds
            try transaction.write(folder + "/identity/time", "\(call) \(now.tv_sec).\(fraction)")
            try transaction.allow(folder + "/identity/time", XenStore.Permissions(owner: .control, reader: domain))
        }
    }
}
