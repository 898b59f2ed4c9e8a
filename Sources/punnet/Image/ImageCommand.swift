import ArgumentParser
import ControlAPI

struct ImageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image", abstract: "The images that desktops are made from.",
        subcommands: [ImageAdd.self, ImageSet.self, ImageList.self, ImageDelete.self])

    static func table(_ images: [ImageMessage]) -> String {
        var table = TextTable("IMAGE", "BOOT", "USER", "DISK", "MEMORY", "DESKTOPS", "LABS", "NOTES")
        for image in images {
            table.add(
                image.name, image.boot, image.user, Bytes.format(image.diskSize), "≥ " + Bytes.format(image.minimumMemory),
                image.hasGuest ? "restored" : image.sharesIdentity ? "restored, one identity" : "booted", image.labs.joined(separator: ", "),
                String(image.notes.prefix { !$0.isNewline }.prefix(40)))
        }
        return table.text(otherwise: "No image yet: 'punnet image add FOLDER' takes one in.")
    }
}
