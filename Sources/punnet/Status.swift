import ArgumentParser
import ControlAPI

struct Status: ControlCommand {
    static let configuration = CommandConfiguration(abstract: "Show the room at a glance.")

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try show(try await client.get("room"), Self.text)
    }

    static func text(_ room: RoomMessage) -> String {
        var table = TextTable("LAB", "IMAGE", "SIZE", "READY", "LEASED", "PREPARING", "QUARANTINED", "WAITING")
        for lab in room.labs {
            let counts = lab.desktops
            let underWay = ["preparing", "retiring", "empty"].reduce(0) { $0 + counts[$1, default: 0] }
            table.add(
                lab.name, lab.image, "\(lab.size)", "\(counts["ready", default: 0])", "\(counts["leased", default: 0])", "\(underWay)",
                "\(counts["quarantined", default: 0])", "\(lab.waiting)")
        }
        var lines = [table.text(otherwise: "No lab yet: 'punnet lab create' makes one."), ""]
        if let memory = room.memory {
            lines.append(
                "Memory  \(Bytes.format(memory.promised)) of \(Bytes.format(memory.forDesktops)) promised to desktops"
                    + " (the server has \(Bytes.format(memory.total)))")
        }
        if let free = room.disk.free, let total = room.disk.total {
            lines.append("Disk    \(Bytes.format(free)) of \(Bytes.format(total)) free")
        }
        lines.append("Seats   \(room.seatsPresent) of \(room.seats) present")
        lines += room.troubles.map { "Trouble: \($0.printable)" }
        return lines.joined(separator: "\n")
    }
}
