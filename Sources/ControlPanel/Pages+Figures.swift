import Broker
import DesktopModel
import Foundation

/// What happened in a room on one day.
public struct DayOfUse: Sendable {
    /// `2026-03-02`, by the server's clock.
    public let day: String
    public internal(set) var sessions = 0
    /// How long desktops were somebody's, all together.
    public internal(set) var seconds: CalendarSeconds = 0

    /// The last days until today, the oldest first, each with the sessions that began on it.
    public static func last(_ count: Int, of sessions: [SessionReport], now: CalendarSeconds = CalendarSeconds(Date().timeIntervalSince1970)) -> [Self] {
        var days = (0..<count).reversed().map { DayOfUse(day: LocalTime.day(now - CalendarSeconds($0) * 86_400)) }
        let places = Dictionary(days.enumerated().map { ($0.element.day, $0.offset) }, uniquingKeysWith: { first, _ in first })
        for session in sessions {
            guard let place = places[LocalTime.day(session.began)] else { continue }
            days[place].sessions += 1
            days[place].seconds += max(0, (session.ended ?? now) - session.began)
        }
        return days
    }
}

extension Pages {
    /// How the room was used, and how quick the server was, as charts with their numbers behind them.
    /// - Parameter figures: What was counted since punnetd began; nil for who may not know.
    public func figures(_ days: [DayOfUse], _ figures: Figures?, for viewer: Viewer) -> String {
        let texts = viewer.texts
        let most = max(1, days.map(\.sessions).max() ?? 1)
        let steps = (figures?.steps ?? [:]).sorted { $0.key < $1.key }.filter { $0.value.count > 0 }
        let slowest = max(0.001, steps.map { Self.mean($0.value) }.max() ?? 0.001)
        return html(
            "figures", "figures", under: "sessions", for: viewer,
            [
                "isEmpty": days.allSatisfy { $0.sessions == 0 }, "chartWidth": days.count * 60,
                "days": days.enumerated().map { place, day -> Fields in
                    let height = day.sessions * 120 / most
                    return [
                        "day": day.day, "label": String(day.day.suffix(5)), "sessions": day.sessions, "hasSessions": day.sessions > 0, "length": Self.length(day.seconds),
                        "x": place * 60 + 10, "middle": place * 60 + 30, "y": 140 - height, "height": height, "above": 134 - height,
                    ]
                },
                "hasCounts": figures != nil,
                "counts": figures.map { figures -> [Fields] in
                    [
                        ("handOuts", "\(figures.handOuts)"), ("emptyClaims", "\(figures.emptyClaims)"),
                        ("wait", figures.waits.count > 0 ? Self.seconds(Self.mean(figures.waits)) : "–"), ("made", "\(figures.made)"),
                        ("quarantines", "\(figures.quarantines)"),
                    ].map { ["label": texts("figures.\($0.0)"), "value": $0.1] }
                } ?? [],
                "hasSteps": !steps.isEmpty,
                "steps": steps.map { word, total -> Fields in
                    [
                        "label": texts("step.\(word)"), "count": total.count, "mean": Self.seconds(Self.mean(total)),
                        "width": Int(Self.mean(total) / slowest * 1000),
                    ]
                },
            ])
    }

    private static func mean(_ total: Figures.Total) -> Double {
        let (seconds, attoseconds) = total.sum.components
        return total.count > 0 ? (Double(seconds) + Double(attoseconds) / 1e18) / Double(total.count) : 0
    }

    private static func seconds(_ number: Double) -> String { String(format: "%.1f s", number) }
}
