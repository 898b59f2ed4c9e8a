import Dispatch
import Glibc
import Synchronization

/// The first Ctrl-C, for a command that has something to undo; the second ends the process at once.
final class Interrupts {
    let stream: AsyncStream<Void>
    private let source: any DispatchSourceSignal

    init() {
        let (stream, feed) = AsyncStream.makeStream(of: Void.self)
        self.stream = stream
        let isInterrupted = Atomic(false)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler {
            if isInterrupted.exchange(true, ordering: .relaxed) { _exit(128 + SIGINT) }
            feed.yield()
        }
        source.resume()
    }

    /// From now on Ctrl-C ends the process as it always does.
    func end() { source.cancel() }
}
