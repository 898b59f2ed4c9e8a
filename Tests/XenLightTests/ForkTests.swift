import CXenLight
import Glibc
import Testing

struct ForkTests {
    /// A process of libxl's may outlive the daemon, and must not go on listening or talking for it.
    @Test func whatLibxlForksHasNoSocketOfOurs() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let first = ends[0], last = ends[1]
        defer {
            close(first)
            close(last)
        }
        let child = punnet_fork_clean(nil)
        if child == 0 { _exit(fcntl(first, F_GETFD) == -1 && fcntl(last, F_GETFD) == -1 ? 0 : 1) }
        try #require(child > 0)
        var status: Int32 = -1
        try #require(waitpid(child, &status, 0) == child)
        #expect(status == 0)
        #expect(fcntl(first, F_GETFD) != -1, "they are the parent's still")
    }
}
