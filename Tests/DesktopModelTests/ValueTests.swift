import DesktopModel
import Testing

@Suite struct ValueTests {
    @Test(arguments: [
        (UInt64.min, UInt32.min, UInt32.min), (.max, .max, .max), (0x0123_4567_89ab_cdef, 0x1234_5678, 0x9abc_def0), (1, 2, 3),
    ])
    func aDomainsUUIDSaysWhoseItIs(installation: UInt64, desktop: UInt32, generation: UInt32) {
        let uuid = DomainUUID(
            installation: installation, desktop: DesktopID(rawValue: desktop), generation: Generation(rawValue: generation))
        #expect(uuid.bytes.count == 16)
        #expect(DomainUUID(bytes: uuid.bytes) == uuid)
    }

    @Test func aDomainsUUIDIsWrittenAsUUIDsAre() {
        let uuid = DomainUUID(
            installation: 0x0123_4567_89ab_cdef, desktop: DesktopID(rawValue: 7), generation: Generation(rawValue: 0x102))
        #expect(uuid.description == "01234567-89ab-cdef-0000-000700000102")
        #expect(uuid.bytes == [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0, 0, 0, 7, 0, 0, 1, 2])
    }

    private static let amounts: [(ByteCount, String)] = [
        (.zero, "0 B"), (ByteCount(rawValue: 1_023), "1023 B"), (.kibibytes(1), "1 KiB"), (.kibibytes(640), "640 KiB"),
        (.mebibytes(512), "512 MiB"), (.mebibytes(1_536), "1.5 GiB"), (.mebibytes(1_600), "1.6 GiB"), (.gibibytes(1_024), "1 TiB"),
        (ByteCount(rawValue: .max), "8388608 TiB"),
    ]

    @Test(arguments: amounts)
    func amountsAreWrittenAsPeopleWriteThem(amount: ByteCount, text: String) {
        #expect(amount.description == text)
    }

    @Test(arguments: [
        (ByteCount.zero, "0 B"), (.mebibytes(1_280), "1280 MiB"), (.mebibytes(1_520), "1520 MiB"), (.gibibytes(2), "2 GiB"), (.kibibytes(1_025), "1025 KiB"),
        (ByteCount(rawValue: .max), "9223372036854775807 B"),
    ]) func amountsAreWrittenExactly(amount: ByteCount, text: String) {
        #expect(amount.exact == text)
    }

    @Test func amountsAreCountedInPowersOfTwo() {
        #expect(ByteCount.mebibytes(512).rawValue == 536_870_912)
        #expect(ByteCount.gibibytes(1).mebibytes == 1_024)
        #expect(ByteCount(rawValue: 2_047).kibibytes == 1)
        #expect(ByteCount.kibibytes(1) + .kibibytes(2) == .kibibytes(3))
        #expect(ByteCount.gibibytes(2) - .gibibytes(3) == .gibibytes(-1))
        #expect(ByteCount.mebibytes(3) * 4 == .mebibytes(12))
        #expect(ByteCount.zero < .kibibytes(1))
        var sum = ByteCount.zero
        sum += .mebibytes(5)
        #expect(sum == .mebibytes(5))
    }

    @Test func theGenerationAfterNoneIsTheFirst() {
        #expect(Generation.none.next == Generation(rawValue: 1))
        #expect(Generation.none < .none.next)
    }

    @Test func theClockOfTheDaemonMeasuresDurations() {
        let start = Instant(sinceStart: .seconds(10))
        #expect(start + .milliseconds(1_500) - start == .milliseconds(1_500))
        #expect(start < start + .nanoseconds(1))
    }
}
