import Glibc
import Testing

@testable import XenLight

struct XenErrorTests {
    /// Whether this is dom0 of a running Xen: then the context opens, and the lab's contract is the test.
    private static let isControlDomain = access("/proc/xen/capabilities", F_OK) == 0

    @Test(.disabled(if: isControlDomain)) func whereThereIsNoXenTheErrorCarriesLibxlsOwnWords() throws {
        let error = try #require(throws: XenError.self) { try XenContext() }
        #expect(error.call == "libxl_ctx_alloc")
        #expect(error.code == -3)
        #expect(error.name == "ERROR_FAIL")
        #expect(error.log.contains { $0.contains("privileged command interface") })
        #expect(error.description.contains("libxl_ctx_alloc failed with ERROR_FAIL (-3): "))
    }

    @Test(.disabled(if: isControlDomain)) func eventsAreRefusedWhereThereIsNoXen() {
        #expect(throws: XenError.self) { try XenEvents { _ in } ended: { _ in } }
    }

    @Test(arguments: [-21, -24] as [Int32]) func aDomainThatIsGoneIsKnownByItsCode(code: Int32) {
        #expect(XenError(call: "libxl_domain_info", code: code).domainIsGone)
    }

    @Test func otherFailuresAreNotTakenForAGoneDomain() {
        let error = XenError(call: "libxl_domain_pause", code: -5)
        #expect(!error.domainIsGone)
        #expect(error.name == "ERROR_NOMEM")
        #expect(error.description == "libxl_domain_pause failed with ERROR_NOMEM (-5)")
    }
}
