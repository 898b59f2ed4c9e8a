/// A seat as a list shows it.
public struct SeatListMessage: Hashable, Sendable, Codable {
    public let id: Int64
    public let name: String
    public let lab: String
    public let enrolled: Bool
    /// Whether its event stream is open now.
    public let present: Bool
    /// The desktop it has, if any.
    public let desktop: String?
    /// Whether it is given none.
    public let blocked: Bool
    /// Where its table stands in the room's plan; absent where nobody has said.
    public let place: TablePlaceMessage?
    /// What it said of itself last; absent where it has said nothing since punnetd began.
    public let health: SeatHealthMessage?

    public init(
        id: Int64, name: String, lab: String, enrolled: Bool, present: Bool, desktop: String?, blocked: Bool, place: TablePlaceMessage?,
        health: SeatHealthMessage?
    ) {
        self.id = id
        self.name = name
        self.lab = lab
        self.enrolled = enrolled
        self.present = present
        self.desktop = desktop
        self.blocked = blocked
        self.place = place
        self.health = health
    }
}

/// A place in the room's plan: column and row, from 1.
public struct TablePlaceMessage: Hashable, Sendable, Codable {
    public let column: Int
    public let row: Int
    public init(column: Int, row: Int) {
        self.column = column
        self.row = row
    }
}

/// What a seat said of itself and how it was; what it did not know is absent.
public struct SeatHealthMessage: Hashable, Sendable, Codable {
    public let reported: Moment
    public let model: String?
    /// Of its program.
    public let version: String?
    public let uptimeSeconds: Int?
    /// Thousandths of a degree Celsius.
    public let millidegrees: Int?
    /// Bytes.
    public let memoryTotal: Int64?
    public let memoryAvailable: Int64?
    /// Pixels.
    public let screenWidth: Int?
    public let screenHeight: Int?
    /// `under-voltage`, `throttled`, `under-voltage-before`, `throttled-before`.
    public let warnings: [String]

    public init(
        reported: Moment, model: String?, version: String?, uptimeSeconds: Int?, millidegrees: Int?, memoryTotal: Int64?, memoryAvailable: Int64?,
        screenWidth: Int?, screenHeight: Int?, warnings: [String]
    ) {
        self.reported = reported
        self.model = model
        self.version = version
        self.uptimeSeconds = uptimeSeconds
        self.millidegrees = millidegrees
        self.memoryTotal = memoryTotal
        self.memoryAvailable = memoryAvailable
        self.screenWidth = screenWidth
        self.screenHeight = screenHeight
        self.warnings = warnings
    }
}

/// `PATCH /api/v1/seats/{name}`: what is absent stays as it is.
public struct SeatChangeMessage: Hashable, Sendable, Codable {
    public let name: String?
    public let lab: String?
    public let blocked: Bool?
    public let place: TablePlaceMessage?
    public init(name: String? = nil, lab: String? = nil, blocked: Bool? = nil, place: TablePlaceMessage? = nil) {
        self.name = name
        self.lab = lab
        self.blocked = blocked
        self.place = place
    }
}

/// `POST /api/v1/seats/{name}/order`
public struct SeatOrderRequest: Hashable, Sendable, Codable {
    /// `message`, `identify`, `restart` or `shut-down`.
    public let order: String
    /// The message, one line of at most 200 characters; absent for the others.
    public let text: String?
    public init(order: String, text: String? = nil) {
        self.order = order
        self.text = text
    }
}

/// `POST /api/v1/seats`
public struct SeatAddRequest: Hashable, Sendable, Codable {
    public let name: String
    public let lab: String
    public init(name: String, lab: String) {
        self.name = name
        self.lab = lab
    }
}

/// The answer to a new seat.
public struct SeatAddAnswer: Hashable, Sendable, Codable {
    /// The one-time word.
    public let word: String
    /// The complete line to type on the seat.
    public let command: String
    public let expiresInSeconds: Int
    public init(word: String, command: String, expiresInSeconds: Int) {
        self.word = word
        self.command = command
        self.expiresInSeconds = expiresInSeconds
    }
}

/// `GET /api/v1/joins`: a seat that asks to join.
public struct SeatJoinMessage: Hashable, Sendable, Codable {
    /// Six digits, which stand on its screen.
    public let pin: String
    /// The four words that stand there too, where nobody is in between.
    public let words: [String]
    /// What it says that it is.
    public let model: String
    public let version: String
    public let address: String
    public let since: Moment

    public init(pin: String, words: [String], model: String, version: String, address: String, since: Moment) {
        self.pin = pin
        self.words = words
        self.model = model
        self.version = version
        self.address = address
        self.since = since
    }
}
