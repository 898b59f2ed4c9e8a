import ControlAPI
import FoundationEssentials
import Hypervisor
import NIOHTTP1
import Synchronization

/// One seat, with the pupils who come to it: switched on, given a desktop, left again, as its random numbers have it.
///
/// It speaks with the appliance as `punnet-seat` does, and puts down in the book what it sees.
struct SimulatedSeat: Sendable {
    struct Habits: Sendable {
        /// How long a pupil stays, and how long the seat is off between two, in seconds.
        var stay: ClosedRange<Double>
        var rest: ClosedRange<Double>
    }

    let name: String
    /// Where it connects from.
    let address: String
    let host: String
    let line: HTTPLine
    let habits: Habits
    let book: SeatBook
    /// Whether a further session may begin.
    let mayBegin: @Sendable () -> Bool

    /// How often a link is tried before it is a failure.
    private static let mostTries = 5

    private enum Leaving { case logOff, close, loseLink, losePower }

    /// Lives until it is cancelled, or no further session may begin.
    func live(seed: UInt64) async {
        var random = SplitMix(seed: seed)
        await rest(.random(in: 0...habits.rest.upperBound, using: &random))
        while !Task.isCancelled, mayBegin() {
            let powerLost = await powered(&random)
            if !powerLost { await rest(.random(in: habits.rest, using: &random)) }
        }
    }

    private func rest(_ seconds: Double) async { try? await Task.sleep(for: .seconds(seconds)) }

    /// From switching on to switching off; tells whether the power was lost.
    private func powered(_ random: inout SplitMix) async -> Bool {
        let news = Mailbox()
        let stream = Task { await listen(news) }
        defer {
            stream.cancel()
            book.waitsNoMore(name)
        }
        let bootID = UUID().uuidString.lowercased()
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            guard !Task.isCancelled, mayBegin() else { return false }
            if await session(bootID, news, &random) { return true }
        }
        return false
    }

    /// Keeps the stream of events open, by which the seat is present.
    private func listen(_ news: Mailbox) async {
        while !Task.isCancelled {
            try? await line.listen("/api/v1/seat/events") {
                await news.post(.present)
            } _: { event, data in
                let decoder = JSONDecoder()
                switch event {
                case "offer": await news.post(.offer)
                case "ended":
                    if let ended = try? decoder.decode(SeatMessage.Ended.self, from: data) {
                        await news.post(.ended(session: ended.session))
                    }
                default: break
                }
            }
            await rest(0.5)
        }
    }

    // MARK: A session

    /// From a claim to the session's end; tells whether the power was lost.
    private func session(_ bootID: String, _ news: Mailbox, _ random: inout SplitMix) async -> Bool {
        guard let first = await claim(bootID, news, resuming: nil) else { return false }
        var (lease, claimed) = (first.lease, first.claimed)
        var mayLoseLink = true
        var tries = 0
        while true {
            let link: DesktopLink
            do throws(DesktopLink.Failure) {
                link = try await open(lease)
            } catch {
                tries += 1
                note(error, of: lease, try: tries)
                guard tries < Self.mostTries else {
                    await end(lease, "closed")
                    return false
                }
                await rest(Double(tries))
                guard let again = await claim(bootID, news, resuming: lease) else { return false }
                if !again.lease.resumed { book.note(.endedByServer) }
                (lease, claimed) = (again.lease, again.claimed)
                continue
            }
            tries = 0
            book.linked(name, to: lease.desktop, after: lease.resumed ? nil : claimed.duration(to: .now))
            let number = await news.nextLink()
            link.onEnd { Task { await news.post(.linkOver(link: number)) } }
            let leaves = ContinuousClock.now + .seconds(.random(in: habits.stay, using: &random))
            switch await stay(lease.session, number, until: leaves, news) {
            case .left: break
            case .ended:
                book.note(.endedByServer)
                await leave(link, lease)
                return false
            case .linkOver:
                // The appliance or the relay is gone, or the session: the claim tells.
                book.note(.linkBroke)
                book.unlinked(name, from: lease.desktop)
                guard let again = await claim(bootID, news, resuming: lease) else { return false }
                if !again.lease.resumed { book.note(.endedByServer) }
                (lease, claimed) = (again.lease, again.claimed)
                continue
            }
            if Task.isCancelled {
                await leave(link, lease)
                await end(lease, "closed")
                return false
            }
            switch leaving(mayLoseLink, &random) {
            case .logOff:
                await leave(link, lease)
                if await end(lease, "log-off") { book.note(.loggedOff) }
                return false
            case .close:
                await leave(link, lease)
                if await end(lease, "closed") { book.note(.closed) }
                return false
            case .loseLink:
                mayLoseLink = false
                await cut(link, lease)
                book.note(.linkLost)
                await rest(.random(in: 0.2...1.5, using: &random))
                guard let again = await claim(bootID, news, resuming: lease) else { return false }
                if !again.lease.resumed {
                    if again.hadTrouble {
                        book.note(.endedByServer)
                    } else {
                        book.fail("\(name) lost its link to \(lease.desktop) and was not given its session back")
                    }
                }
                (lease, claimed) = (again.lease, again.claimed)
            case .losePower:
                await cut(link, lease)
                book.note(.powerCycled)
                return true
            }
        }
    }

    private func leaving(_ mayLoseLink: Bool, _ random: inout SplitMix) -> Leaving {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<20 where mayLoseLink: .loseLink
        case 20..<32: .losePower
        case 32..<50: .close
        default: .logOff
        }
    }

    private enum Stay { case left, ended, linkOver }

    private func stay(_ session: Int64, _ link: Int, until leaves: ContinuousClock.Instant, _ news: Mailbox) async -> Stay {
        while let item = await news.next(until: leaves) {
            switch item {
            case .ended(session): return .ended
            case .linkOver(link):
                // The word that the session has ended may be on its way.
                while let more = await news.next(until: .now + .milliseconds(300)) { if case .ended(session) = more { return .ended } }
                return .linkOver
            case .ended, .linkOver, .present, .offer: continue
            }
        }
        return .left
    }

    // MARK: What is said

    private struct Claimed {
        let lease: LeaseMessage
        let claimed: ContinuousClock.Instant
        /// Whether the appliance did not answer meanwhile, or said that the former session has ended.
        let hadTrouble: Bool
    }

    /// Asks for a desktop until there is one, waiting in the line where it must; nil where the seat is switched off before.
    private func claim(_ bootID: String, _ news: Mailbox, resuming before: LeaseMessage?) async -> Claimed? {
        var pause = 0.2
        var hadTrouble = false
        var waitsSince: ContinuousClock.Instant?
        while !Task.isCancelled {
            let claimed = ContinuousClock.now
            switch await answer(toClaimOf: bootID) {
            case .leased(let lease)?:
                if let waitsSince { book.waited(name, waitsSince.duration(to: .now)) }
                if lease.resumed {
                    check(lease, resumes: before)
                } else {
                    book.handedOut(lease, to: name, after: claimed.duration(to: .now), waited: waitsSince != nil)
                }
                if !lease.resumed, let before, await news.holds(.ended(session: before.session)) { hadTrouble = true }
                return Claimed(lease: lease, claimed: claimed, hadTrouble: hadTrouble)
            case .waiting?:
                if waitsSince == nil {
                    waitsSince = claimed
                    book.waits(name)
                }
                // Where the stream broke, the offer may have been missed.
                offer: while let item = await news.next(until: .now + .seconds(60)) {
                    switch item {
                    case .offer, .present: break offer
                    case .ended, .linkOver: continue
                    }
                }
            case nil:
                guard !Task.isCancelled else { break }
                book.note(.notAnswered)
                hadTrouble = true
                await rest(pause)
                pause = min(pause * 2, 5)
            }
        }
        book.waitsNoMore(name)
        return nil
    }

    private func answer(toClaimOf bootID: String) async -> ClaimMessage? {
        book.note(.claimed)
        guard let answer = try? await line.ask(.POST, "/api/v1/seat/claim", ClaimRequest(bootID: bootID)) else { return nil }
        guard answer.status == 200 || answer.status == 202 else { return nil }
        return try? JSONDecoder().decode(ClaimMessage.self, from: answer.body)
    }

    private func check(_ lease: LeaseMessage, resumes before: LeaseMessage?) {
        book.note(.resumed)
        guard let before else {
            // An answer to an earlier claim of this start was lost on its way; nobody can say more of it.
            return
        }
        guard lease.session == before.session, lease.desktop == before.desktop, lease.fingerprint == before.fingerprint else {
            return book.fail(
                "\(name) claimed session \(before.session) on \(before.desktop) back and was given \(lease.session) on \(lease.desktop)")
        }
        if lease.ticket == before.ticket { book.fail("\(name) was given its old ticket again") }
    }

    private func open(_ lease: LeaseMessage) async throws(DesktopLink.Failure) -> DesktopLink {
        try await DesktopLink.open(
            host: host, port: lease.relayPort, from: address, ticket: lease.ticket, fingerprint: lease.fingerprint.filter { $0 != ":" })
    }

    /// There is no link. A machine that has stalled loses one at the door and gets the next; a certificate is wrong once and for all.
    private func note(_ failure: DesktopLink.Failure, of lease: LeaseMessage, try number: Int) {
        book.note(.linkFailed)
        if case .wrongCertificate = failure {
            book.fail("\(name) was given \(lease.desktop): \(failure)")
        } else if number == Self.mostTries {
            book.fail("\(name) has no link to \(lease.desktop) in session \(lease.session), tried \(number) times: \(failure)")
        }
    }

    private func leave(_ link: DesktopLink, _ lease: LeaseMessage) async {
        await link.close()
        book.unlinked(name, from: lease.desktop)
    }

    private func cut(_ link: DesktopLink, _ lease: LeaseMessage) async {
        await link.cut()
        book.unlinked(name, from: lease.desktop)
    }

    /// Reports the end; tells whether the appliance took it.
    @discardableResult
    private func end(_ lease: LeaseMessage, _ reason: String) async -> Bool {
        // It is said also where the seat is being switched off.
        let asking = Task { try? await line.ask(.POST, "/api/v1/seat/sessions/\(lease.session)/end", EndRequest(reason: reason)) }
        switch await asking.value?.status {
        case 204: return true
        // It was ended before, by an administrator say.
        case 404: book.note(.endedByServer)
        default: book.note(.notAnswered)
        }
        return false
    }
}

/// What a seat hears while its pupil works or waits, in order. One reader.
actor Mailbox {
    enum News: Hashable, Sendable {
        /// The stream of events stands.
        case present
        case offer
        case ended(session: Int64)
        case linkOver(link: Int)
    }

    private var items: [News] = []
    private var reader: CheckedContinuation<Void, Never>?
    private var links = 0

    /// A number for a link, which no other of this seat's has had since it was switched on.
    func nextLink() -> Int {
        links += 1
        return links
    }

    func post(_ item: News) {
        items.append(item)
        wake()
    }

    /// Whether this has been heard and not been read yet.
    func holds(_ item: News) -> Bool { items.contains(item) }

    /// The next one; nil where there is none by then, or the task is cancelled.
    func next(until deadline: ContinuousClock.Instant) async -> News? {
        while items.isEmpty, !Task.isCancelled, ContinuousClock.now < deadline {
            let timer = Task {
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
                self.wake()
            }
            await withTaskCancellationHandler {
                await withCheckedContinuation { reader = $0 }
            } onCancel: {
                Task { await self.wake() }
            }
            timer.cancel()
        }
        return items.isEmpty ? nil : items.removeFirst()
    }

    private func wake() {
        reader?.resume()
        reader = nil
    }
}
