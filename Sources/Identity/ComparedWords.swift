/// The four words by which people see that a seat and the appliance speak with each other, and with nobody in between.
///
/// Each side makes them of the appliance's key as it sees it, of the number by which people know the request, and of what either side drew: the seat
/// before it knew what the appliance would draw, held to it by a commitment; the appliance after that. So neither these two nor somebody in between
/// chooses the words. They have 32 bits.
/// - SeeAlso: Docs/Seat.md, "Joining"; S. Vaudenay, "Secure Communications over Insecure Channels Based on Short Authenticated Strings"
public enum ComparedWords {
    /// The list, in the order in which a byte chooses from it; seats have the same in their file `words`.
    public static let list = """
        acorn anchor angle ankle apple apron arrow atlas autumn badge baker balloon bamboo banana barrel basket beach bean bear beaver bell bench
        berry bicycle bird blanket boat bonfire book bottle bowl branch bread brick bridge broom brush bucket butter button cabin cactus cake
        camel camera candle canoe canyon carpet carrot castle cedar chalk cherry chess chimney circle cliff clock cloud clover coast cobra coffee
        coin comet copper coral cotton cradle crane crayon cricket crown crystal cup curtain daisy dance desert diamond dolphin donkey door
        dragon dream drum eagle earth easel egg elbow elephant engine falcon farmer feather fence fern ferry fiddle field finger fire flag flower
        flute forest fork fossil fountain fox frog garden garlic gate giant ginger giraffe glass glove goat gold grape grass guitar hammer harbor
        harp hat hawk hazel hill honey horse hotel house ice igloo iron island ivory jacket jaguar jelly jewel jungle kettle key king kite koala
        ladder lake lamp lantern leaf lemon letter library lighthouse lily lion lizard llama lobster magnet mango maple marble market meadow
        melon metal milk mirror monkey moon mountain mouse museum mushroom nail napkin needle nest night north nut oasis ocean olive onion orange
        orbit otter oven owl paint palace panda paper parrot peach pearl pencil penguin pepper piano picnic pigeon pillow pilot planet plate
        pocket pond potato prince pumpkin puzzle queen rabbit radio rain ribbon river robot rocket roof rope rose ruby sailor salad salt school
        seal shell shirt silver spider spoon squirrel star stone summer sun table thunder tiger tomato tower train turtle violin
        """.split { $0 == " " || $0 == "\n" }.map(String.init)

    /// What either side draws: 256 random bits, as 64 lower-case hexadecimal digits.
    public static func drawn() -> String { Hex.text(of: Randomness.bytes(32)) }

    /// Whether it is written as what a side draws, or a commitment to it, is.
    public static func isDrawn(_ untrustedText: String) -> Bool {
        let digits = Set("0123456789abcdef".utf8)
        return untrustedText.utf8.count == 64 && untrustedText.utf8.allSatisfy(digits.contains)
    }

    /// What a seat tells of what it drew before the appliance draws: it cannot draw again, and says nothing by it.
    public static func commitment(to drawn: String) -> String { Hex.text(of: Digest.sha256(drawn)) }

    /// The words.
    /// - Parameters:
    ///   - key: SHA-256 of the appliance's public key, as curl writes it: `sha256//` and base64.
    ///   - pin: The number by which people know the request.
    public static func words(key: String, pin: String, seat: String, appliance: String) -> [String] {
        Digest.sha256("punnet join\n\(key)\n\(pin)\n\(seat)\n\(appliance)\n").prefix(4).map { list[Int($0)] }
    }
}
