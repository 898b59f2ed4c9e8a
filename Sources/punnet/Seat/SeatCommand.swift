import ArgumentParser
import ControlAPI

struct SeatCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seat", abstract: "The Raspberry Pis at the tables.",
        subcommands: [
            SeatAdd.self, SeatRequests.self, SeatAccept.self, SeatRefuse.self, SeatList.self, SeatShow.self, SeatSet.self, SeatMessageCommand.self,
            SeatIdentify.self, SeatRestart.self, SeatShutDown.self, SeatRemove.self,
        ])

    static func table(_ seats: [SeatListMessage]) -> String {
        var table = TextTable("SEAT", "LAB", "ENROLLED", "PRESENT", "DESKTOP", "NOTE")
        for seat in seats {
            table.add(
                seat.name, seat.lab, seat.enrolled ? "yes" : "no", seat.present ? "yes" : "no", seat.desktop ?? "", seat.blocked ? "blocked" : "")
        }
        return table.text(otherwise: "No seat yet: 'punnet seat add NAME --lab LAB' adds one, 'punnet-seat join ADDRESS' on it asks for it.")
    }
}
