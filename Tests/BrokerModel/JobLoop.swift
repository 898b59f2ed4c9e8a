import CJobHook
import Synchronization

/// Runs every task of this process on one thread, in the order in which the jobs became due. So a seed decides the whole of a history.
///
/// It takes the place of Swift's own pool of threads, by the runtime's hook for that; for a process of its own, from its first line.
enum JobLoop {
    private typealias Original = @convention(thin) (UnownedJob) -> Void
    private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void

    private static let jobs = Mutex<[UnownedJob]>([])

    /// What a job is told to run on: nothing can be enqueued here but by the hook.
    private final class Loop: TaskExecutor {
        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            JobLoop.jobs.withLock { $0.append(job) }
        }
    }

    private static let loop = Loop()

    /// Takes the place of Swift's threads. Before the first task.
    static func takeOver() {
        let hook: Hook = { job, _ in JobLoop.jobs.withLock { $0.append(job) } }
        swift_task_enqueueGlobal_hook_address().pointee = unsafeBitCast(hook, to: UnsafeMutableRawPointer.self)
    }

    /// Runs what is due, until nothing is. `between` is called after each job.
    static func drain(_ between: () -> Void) {
        while true {
            let batch = jobs.withLock { jobs in
                defer { jobs = [] }
                return jobs
            }
            guard !batch.isEmpty else { return }
            for job in batch {
                job.runSynchronously(on: loop.asUnownedTaskExecutor())
                between()
            }
        }
    }
}
