import ControlAPI
import Testing

@Suite struct QuantitiesTests {
    @Test(arguments: [
        ("512MiB", 512 << 20), ("1.5GiB", 3 << 29), ("512M", 512 << 20), ("2 G", 2 << 30), ("640kib", 640 << 10), ("1073741824", 1 << 30),
        ("0", 0), ("7B", 7), ("1TiB", 1 << 40), ("0.5KiB", 512), ("8388607TiB", 8_388_607 << 40),
    ] as [(String, Int64)])
    func anAmountReadsAsItsBytes(_ text: String, _ bytes: Int64) throws {
        #expect(try Bytes.parse(text) == bytes)
    }

    @Test(arguments: [
        "", " ", "MiB", "-1MiB", "1,5GiB", "1.5.5G", "0.3B", "1.2345678G", "8388608TiB", "99999999999999999999", "5x", "512MiBs", "٣G",
        "1e3",
    ])
    func whatIsNoAmountIsRefusedWithItsValue(_ text: String) throws {
        let error = try #require(throws: QuantityError.self) { try Bytes.parse(text) }
        #expect(error.description.contains("'\(text)'"))
        #expect(error.description.contains("512MiB"))
    }

    @Test(arguments: [
        ("60s", 60), ("60", 60), ("5min", 300), ("5m", 300), ("1h", 3600), ("1.5h", 5400), ("2d", 172_800), ("0s", 0), ("2 min", 120),
    ])
    func aLengthOfTimeReadsAsItsSeconds(_ text: String, _ seconds: Int) throws {
        #expect(try Seconds.parse(text) == seconds)
    }

    @Test(arguments: ["", "s", "-5s", "1.5s", "5 weeks", "1h30min", "9999999999999999h"])
    func whatIsNoLengthOfTimeIsRefused(_ text: String) throws {
        let error = try #require(throws: QuantityError.self) { try Seconds.parse(text) }
        #expect(error.description.contains("'\(text)'"))
    }

    @Test func amountsAreWrittenInTheLargestUnitTheyFill() {
        #expect(Bytes.format(0) == "0 B")
        #expect(Bytes.format(1023) == "1023 B")
        #expect(Bytes.format(512 << 20) == "512 MiB")
        #expect(Bytes.format(3 << 29) == "1.5 GiB")
        #expect(Bytes.format(Int64.max) == "8388608 TiB")
    }

    @Test func lengthsOfTimeAreWrittenInTheirTwoLargestUnits() {
        #expect(Seconds.format(0) == "0s")
        #expect(Seconds.format(60) == "60s")
        #expect(Seconds.format(300) == "5min")
        #expect(Seconds.format(3600) == "1h")
        #expect(Seconds.format(5400 + 7) == "1h 30min")
        #expect(Seconds.format(2 * 86_400 + 3600 + 60) == "2d 1h")
    }
}
