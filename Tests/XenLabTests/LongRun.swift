import Foundation

/// The report of a run: every sudden end and every bad day, with what came of it. Scripts/lib/long-run.sh keeps it.
actor LongRun {
    static let shared = LongRun()

    /// Whether the full number of everything is done: hours instead of minutes.
    static let isLong = ProcessInfo.processInfo.environment["PUNNET_LONG"] != nil
    /// The file that the report is written to; nil where nobody wants one.
    private static let path = ProcessInfo.processInfo.environment["PUNNET_LONG_REPORT"]
    /// What decides the random moments; named by `PUNNET_LONG_SEED`, or drawn.
    static let seed: UInt64 = {
        let seed = ProcessInfo.processInfo.environment["PUNNET_LONG_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
        XenLabTests.say("the seed of this run is \(seed): PUNNET_LONG_SEED=\(seed) has the same moments again")
        return seed
    }()

    private var events: [(what: String, detail: String, whole: String)] = []
    private var badDays: [(day: String, state: String, message: String, recovery: String)] = []
    private var remarks: [String] = []
    private let began = Date()

    /// A sudden end, and the time until the pool was whole again.
    func note(_ what: String, _ detail: String, _ whole: Duration?) {
        events.append((what, detail, whole.map(seconds) ?? "–"))
        XenLabTests.say("\(what): \(detail)\(whole.map { "; whole again after \(seconds($0))" } ?? "")")
        write()
    }

    func badDay(_ day: String, state: String, message: String, recovery: String) {
        badDays.append((day, state, message, recovery))
        XenLabTests.say("bad day, \(day): \(state); “\(message)”; \(recovery)")
        write()
    }

    func say(_ remark: String) {
        remarks.append(remark)
        XenLabTests.say(remark)
        write()
    }

    private func write() {
        guard let path = Self.path else { return }
        func cell(_ text: String) -> String { text.replacingOccurrences(of: "|", with: "\\|").replacingOccurrences(of: "\n", with: " ") }
        var text =
            "Began \(began.ISO8601Format()), this is of \(Date().ISO8601Format()). Seed \(Self.seed): `PUNNET_LONG_SEED=\(Self.seed) "
            + "Scripts/test --long` has the same moments again. The server booted \(String(format: "%.1f", Pace.factor)) times as long as on a "
            + "quiet machine: a pool must be whole within \(seconds(XenLab.Survival.refill * Pace.factor)) of a sudden end, and within "
            + "\(seconds(XenLab.Survival.refillAfterPowerCut * Pace.factor)) of a power cut.\n"
        if !events.isEmpty {
            text += "\n## Sudden ends\n\n| event | | pool whole again after |\n| --- | --- | --- |\n"
            for event in events { text += "| \(cell(event.what)) | \(cell(event.detail)) | \(event.whole) |\n" }
        }
        if !badDays.isEmpty {
            text += "\n## Bad days\n\n| fault | state | message | recovery |\n| --- | --- | --- | --- |\n"
            for day in badDays { text += "| \(cell(day.day)) | \(cell(day.state)) | \(cell(day.message)) | \(cell(day.recovery)) |\n" }
        }
        if !remarks.isEmpty { text += "\n## What was seen\n\n" + remarks.map { "- \($0)\n" }.joined() }
        try? text.write(toFile: path, atomically: true, encoding: .utf8)
    }
}
