import Foundation

/// A screenshot.
struct Picture: Sendable, Equatable {
    /// Three bytes a pixel.
    struct Colour: Hashable, Sendable, CustomStringConvertible {
        let red: UInt8
        let green: UInt8
        let blue: UInt8

        /// Reads `#rrggbb`.
        init?(_ text: some StringProtocol) {
            guard text.hasPrefix("#"), text.count == 7, let value = UInt32(text.dropFirst(), radix: 16) else { return nil }
            self.init(red: UInt8(value >> 16 & 0xff), green: UInt8(value >> 8 & 0xff), blue: UInt8(value & 0xff))
        }

        init(red: UInt8, green: UInt8, blue: UInt8) {
            self.red = red
            self.green = green
            self.blue = blue
        }

        /// Whether it is the other colour, as 16 bits a pixel can tell colours.
        func looksLike(_ other: Colour) -> Bool {
            func near(_ first: UInt8, _ second: UInt8) -> Bool { abs(Int(first) - Int(second)) <= 8 }
            return near(red, other.red) && near(green, other.green) && near(blue, other.blue)
        }

        var description: String { String(format: "#%02x%02x%02x", red, green, blue) }
    }

    let width: Int
    let height: Int
    private let pixels: [UInt8]

    /// Reads a binary PPM of 8 bits a channel; nil for anything else.
    init?(ppm: Data) {
        var fields: [Int] = []
        var index = ppm.startIndex
        guard ppm.starts(with: Data("P6".utf8)) else { return nil }
        index += 2
        while fields.count < 3, index < ppm.endIndex {
            let end = ppm[index...].firstIndex { !(0x30...0x39).contains($0) } ?? ppm.endIndex
            if end > index, let number = Int(String(decoding: ppm[index..<end], as: UTF8.self)) { fields.append(number) }
            index = end + 1
        }
        guard fields.count == 3, fields[2] == 255, ppm.endIndex - index == fields[0] * fields[1] * 3 else { return nil }
        width = fields[0]
        height = fields[1]
        pixels = Array(ppm[index...])
    }

    /// The part of the picture that has the colour, 0 to 1.
    func share(of colour: Colour) -> Double {
        var count = 0
        for pixel in stride(from: 0, to: pixels.count, by: 3)
        where colour.looksLike(Colour(red: pixels[pixel], green: pixels[pixel + 1], blue: pixels[pixel + 2])) {
            count += 1
        }
        return Double(count) / Double(width * height)
    }

    /// The three hexadecimal digits by whose colour the most of the picture is covered, apart from what looks like one of the others, where
    /// that is at least this part of it.
    func digits(on share: Double, except others: [Colour]) -> String? {
        var counts = [Int](repeating: 0, count: 4096)
        for pixel in stride(from: 0, to: pixels.count, by: 3) {
            let colour = Colour(red: pixels[pixel], green: pixels[pixel + 1], blue: pixels[pixel + 2])
            guard !others.contains(where: colour.looksLike) else { continue }
            func digit(_ channel: UInt8) -> Int { min(15, (Int(channel) + 8) / 16) }
            counts[digit(colour.red) << 8 | digit(colour.green) << 4 | digit(colour.blue)] += 1
        }
        guard let most = counts.indices.max(by: { counts[$0] < counts[$1] }), Double(counts[most]) >= share * Double(width * height) else {
            return nil
        }
        return String(format: "%03x", most)
    }
}

extension Picture.Colour {
    /// What a command in a desktop's terminal answers with, as the terminal's background. No desktop has one of these.
    static let yes = Picture.Colour(red: 0xff, green: 0x00, blue: 0xff)
    static let no = Picture.Colour(red: 0x00, green: 0xff, blue: 0xff)
    static let white = Picture.Colour(red: 0xff, green: 0xff, blue: 0xff)
    /// The band on which a seat shows a message over its desktop.
    static let message = Picture.Colour(red: 0xa3, green: 0x15, blue: 0x4b)
    /// The background of what a seat says itself.
    static let seatScreen = Picture.Colour(red: 0x17, green: 0x31, blue: 0x3e)

    /// The colour of the desktop at an address, by the image's own table: of the last byte of its MAC, which is ten less than the address's.
    static func ofDesktop(at address: String) throws -> Picture.Colour {
        let path = Lab.repository + "/appliance/desktop/files/usr/bin/punnet-desktop-colour"
        let script = try String(contentsOfFile: path, encoding: .utf8)
        let colours = script.split { " '\n".contains($0) }.compactMap { Picture.Colour($0) }
        guard colours.count == 12, let number = address.split(separator: ".").last.flatMap({ Int($0) }) else {
            throw Program.Failure(description: "\(path) has \(colours.count) colours instead of 12, or '\(address)' is no address")
        }
        return colours[(number - 10) % 12]
    }
}
