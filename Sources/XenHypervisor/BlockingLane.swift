import Dispatch
import Synchronization
import XenLight

/// A thread of its own for calls that block, so that none of them holds a thread of Swift's pool.
///
/// One call at a time, in the order in which they came. The thread is idle between calls and ends with the process.
final class BlockingLane: Sendable {
    private let queue: DispatchQueue

    init(_ name: String) { queue = DispatchQueue(label: "punnet.\(name)") }

    /// Runs the body on the lane's thread. It is not cancelled with the caller.
    func run<Answer: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Answer
    ) async throws(Failure) -> Answer {
        let result: Result<Answer, Failure> = await withCheckedContinuation { continuation in
            queue.async {
                do throws(Failure) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }
}

/// A libxl context with a thread of its own.
struct XenLane: Sendable {
    let xen: XenContext
    private let lane: BlockingLane

    init(_ name: String) throws(XenError) {
        xen = try XenContext()
        lane = BlockingLane(name)
    }

    func run<Answer: Sendable, Failure: Error>(
        _ body: @escaping @Sendable (XenContext) throws(Failure) -> Answer
    ) async throws(Failure) -> Answer {
        try await lane.run { () throws(Failure) in try body(xen) }
    }
}

/// A few contexts for slow operations: as many run at once, the others wait in the order in which they came.
final class XenLanePool: Sendable {
    private struct State {
        var idle: [XenLane]
        var waiting: [CheckedContinuation<XenLane, Never>] = []
    }

    private let state: Mutex<State>

    init(_ name: String, lanes count: Int) throws(XenError) {
        var lanes: [XenLane] = []
        for number in 1...max(1, count) { lanes.append(try XenLane("\(name).\(number)")) }
        state = Mutex(State(idle: lanes))
    }

    func run<Answer: Sendable, Failure: Error>(
        _ body: @escaping @Sendable (XenContext) throws(Failure) -> Answer
    ) async throws(Failure) -> Answer {
        let lane = await take()
        defer { giveBack(lane) }
        return try await lane.run(body)
    }

    private func take() async -> XenLane {
        await withCheckedContinuation { continuation in
            let lane: XenLane? = state.withLock { state in
                if let lane = state.idle.popLast() { return lane }
                state.waiting.append(continuation)
                return nil
            }
            if let lane { continuation.resume(returning: lane) }
        }
    }

    private func giveBack(_ lane: XenLane) {
        let next: CheckedContinuation<XenLane, Never>? = state.withLock { state in
            if state.waiting.isEmpty {
                state.idle.append(lane)
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume(returning: lane)
    }
}
