import Broker
import ControlAPI
import DesktopModel
import Logging
import Testing

@testable import ControlServer

@Suite struct OperationsTests {
    private let operations = Operations(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    private let image = ImageMessage(
        name: "debian-desktop-1", image: "debian-desktop", version: 1, boot: "pv", user: "student", checksum: "00", diskSize: 1,
        minimumMemory: 1, hasGuest: true, sharesIdentity: false, notes: "", added: nil, labs: [], desktops: 0,
        checkpoints: [])

    @Test func workIsAnsweredAtOnceAndSeenToItsEnd() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let begun = try operations.begin("image-add") { progress in
            progress(ByteCount(rawValue: 5), ByteCount(rawValue: 10))
            for await _ in gate { break }
            return image
        }
        #expect(begun.state == .running)
        let half = try #require(await operations.operation(begun.id, after: begun.revision, wait: .seconds(30)))
        #expect(half.state == .running)
        #expect(half.progress == .init(done: 5, total: 10))
        opener.finish()
        let done = try #require(await operations.operation(begun.id, after: half.revision, wait: .seconds(30)))
        #expect(done.state == .done)
        #expect(done.result == image)
        #expect(done.progress == half.progress)
    }

    @Test func aFailureIsKeptAsItsProblem() async throws {
        let begun = try operations.begin("image-add") { _ in throw BrokerError.unknownImage("x") }
        let failed = try #require(await operations.operation(begun.id, after: begun.revision, wait: .seconds(30)))
        #expect(failed.state == .failed)
        #expect(failed.problem?.status == 404)
        #expect(failed.result == nil)
    }

    @Test func aWatcherWhoIsBehindIsAnsweredAtOnce() async throws {
        let begun = try operations.begin("image-add") { _ in image }
        await operations.ended()
        let answer = try #require(await operations.operation(begun.id, after: 0, wait: .seconds(3600)))
        #expect(answer.state == .done)
        // Nothing follows the end, so nobody waits for it.
        #expect(await operations.operation(begun.id, after: answer.revision, wait: .seconds(3600)) == answer)
    }

    @Test func aWatcherIsAnsweredWhenItsTimeIsOver() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let begun = try operations.begin("image-add") { _ in
            for await _ in gate { break }
            return image
        }
        #expect(await operations.operation(begun.id, after: begun.revision, wait: .milliseconds(20)) == begun)
        opener.finish()
        await operations.ended()
    }

    @Test func cancelledWorkEndsAndIsCancelledAndNothingElseIs() async throws {
        let begun = try operations.begin("image-add", of: "/images/x") { _ in
            try await Task.sleep(for: .seconds(3600))
            return image
        }
        #expect(operations.cancel(begun.id)?.state == .running)
        let over = try #require(await operations.operation(begun.id, after: begun.revision, wait: .seconds(3600)))
        #expect(over.state == .cancelled && over.problem == nil && over.subject == "/images/x")
        #expect(operations.cancel(begun.id) == over)
        #expect(operations.cancel("none") == nil)
        #expect(operations.unfinished(kind: "image-add").isEmpty)
        let done = try operations.begin("image-add") { _ in image }
        await operations.ended()
        #expect(operations.cancel(done.id)?.state == .done)
        #expect(operations.all().map(\.id) == [done.id, begun.id])
    }

    @Test func workThatCameToItsEndBeforeItCouldBeCancelledIsDone() async throws {
        let (gate, opener) = AsyncStream<Void>.makeStream()
        let begun = try operations.begin("image-add") { _ in
            // What cannot be undone any more goes on to its end.
            await Task { for await _ in gate { break } }.value
            return image
        }
        _ = operations.cancel(begun.id)
        opener.finish()
        await operations.ended()
        #expect(await operations.operation(begun.id)?.state == .done)
    }

    @Test func stoppingCancelsTheWorkAndAnswersThoseWhoWait() async throws {
        let begun = try operations.begin("image-add") { _ in
            try await Task.sleep(for: .seconds(3600))
            return image
        }
        async let watched = operations.operation(begun.id, after: begun.revision, wait: .seconds(3600))
        operations.stop()
        #expect(await watched?.id == begun.id)
        await operations.ended()
        #expect(await operations.operation(begun.id)?.state == .failed)
        #expect(throws: BrokerError.unavailable) { try operations.begin("image-add") { _ in image } }
    }

    @Test func progressIsNewsAHundredthAtATime() async throws {
        let begun = try operations.begin("image-add") { progress in
            for done in 0...100_000 { progress(ByteCount(rawValue: Int64(done)), ByteCount(rawValue: 100_000)) }
            return image
        }
        await operations.ended()
        let revision = try #require(await operations.operation(begun.id)?.revision)
        #expect((100...105).contains(revision))
    }

    @Test func theOldestThatAreOverAreForgotten() async throws {
        let first = try operations.begin("image-add") { _ in image }
        await operations.ended()
        for _ in 0..<100 {
            _ = try operations.begin("image-add") { _ in image }
            await operations.ended()
        }
        #expect(await operations.operation(first.id) == nil)
    }
}
