import CJobHook
import Glibc
import Synchronization

/// Runs every task of this process on one thread, in the order in which the jobs became due. So a seed decides the whole of a history.
///
/// It takes the place of Swift's own pool of threads, by the runtime's hook for that; for a process of its own, from its first line.
enum JobLoop {
    private typealias Original = @convention(thin) (UnownedJob) -> Void
    private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

    private struct Queue {
        var jobs: [UnownedJob] = []
        /// What other threads have handed over, such as the database's: it comes after what the job at hand hands over, however quick they are.
        var arrivals: [UnownedJob] = []
        var thread: pthread_t?

        mutating func add(_ job: UnownedJob) {
            if thread == pthread_self() { jobs.append(job) } else { arrivals.append(job) }
        }

        mutating func takeArrivals() {
            jobs += arrivals
            arrivals = []
        }
    }

    private static let queue = Mutex(Queue())

    /// What a job is told to run on: nothing can be enqueued here but by the hook.
    private final class Loop: TaskExecutor {
        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            JobLoop.queue.withLock { $0.add(job) }
        }
    }

    private static let loop = Loop()

    /// Takes the place of Swift's threads; the thread that calls this is the one. Before the first task.
    static func takeOver() {
        queue.withLock { $0.thread = pthread_self() }
        let hook: Hook = { job, _ in JobLoop.queue.withLock { $0.add(job) } }
        swift_task_enqueueGlobal_hook_address().pointee = unsafeBitCast(hook, to: UnsafeMutableRawPointer.self)
    }

    /// Runs what is due, until nothing is. `between` is called after each job, and returns when no other thread has anything to hand over.
    static func drain(_ between: () -> Void) {
        between()
        while true {
            let batch = queue.withLock { queue in
                queue.takeArrivals()
                defer { queue.jobs = [] }
                return queue.jobs
            }
            guard !batch.isEmpty else { return }
            for job in batch {
                job.runSynchronously(on: loop.asUnownedTaskExecutor())
                between()
                queue.withLock { $0.takeArrivals() }
            }
        }
    }
}
