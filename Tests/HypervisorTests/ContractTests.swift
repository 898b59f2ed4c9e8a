import DesktopModel
import Foundation
import Hypervisor
import HypervisorContract
import Testing

/// The twin keeps every promise that the lab asks real Xen for. Where they differ, the twin is wrong.
///
/// `PUNNET_CHECK` leaves only the checks whose fact contains it.
struct ContractTests {
    @Test(arguments: chosen(DomainContract.checks)) func theTwinRunsDomainsAsXenDoes(check: DomainContract.Check) async throws {
        let rig = TwinRig()
        defer { rig.stop() }
        try await DomainContract.keep(check, on: rig)
    }

    @Test(arguments: chosen(DiskContract.checks)) func theTwinKeepsDisksAsFilesAreKept(check: DiskContract.Check) async throws {
        let rig = TwinRig()
        defer { rig.stop() }
        try await DiskContract.keep(check, on: rig)
    }

    @Test(arguments: chosen(AddressContract.checks)) func theTwinsNetworkIsAsTheRealOne(check: AddressContract.Check) async throws {
        let rig = TwinRig()
        defer { rig.stop() }
        try await AddressContract.keep(check, on: rig)
    }

    @Test func everyFactIsAnother() {
        let facts = HypervisorContract.facts
        #expect(facts.count > 60)
        #expect(Set(facts).count == facts.count)
    }

    private static func chosen<Rig>(_ checks: [ContractCheck<Rig>]) -> [ContractCheck<Rig>] {
        guard let part = ProcessInfo.processInfo.environment["PUNNET_CHECK"] else { return checks }
        return checks.filter { $0.fact.contains(part) }
    }
}
