/// `POST /api/v1/seats/enrol`: the one-time word of `punnet seat add`.
public struct EnrolRequest: Hashable, Sendable, Codable {
    public let word: String
    public init(word: String) { self.word = word }
}

/// `POST /api/v1/join`: a seat that nothing was typed on asks to be let in.
public struct JoinRequest: Hashable, Sendable, Codable {
    /// SHA-256 of what the seat drew, of its 64 lower-case hexadecimal digits, as such digits itself.
    public let commitment: String
    /// What kind of machine it is.
    public let model: String
    /// Of its program.
    public let version: String
    public init(commitment: String, model: String, version: String) {
        self.commitment = commitment
        self.model = model
        self.version = version
    }
}

/// The answer to it.
public struct JoinAnswer: Hashable, Sendable, Codable {
    /// Six digits, by which people know the request.
    public let pin: String
    /// What the appliance drew, 64 lower-case hexadecimal digits.
    public let drawn: String
    public let expiresInSeconds: Int
    public init(pin: String, drawn: String, expiresInSeconds: Int) {
        self.pin = pin
        self.drawn = drawn
        self.expiresInSeconds = expiresInSeconds
    }
}

/// `POST /api/v1/join/decision`: what the seat drew, 64 lower-case hexadecimal digits.
public struct JoinDecisionRequest: Hashable, Sendable, Codable {
    public let drawn: String
    public init(drawn: String) { self.drawn = drawn }
}

/// The answer to it.
public struct JoinDecisionAnswer: Hashable, Sendable, Codable {
    /// `waiting`, `accepted` or `refused`.
    public let state: String
    /// The word by which an accepted seat enrols.
    public let word: String?
    public init(state: String, word: String? = nil) {
        self.state = state
        self.word = word
    }
}

/// The answer to an enrolment. The token is given this once.
public struct EnrolAnswer: Hashable, Sendable, Codable {
    public let seat: Int64
    public let name: String
    public let token: String
    public init(seat: Int64, name: String, token: String) {
        self.seat = seat
        self.name = name
        self.token = token
    }
}

/// `POST /api/v1/seat/claim`: the kernel's boot_id, a UUID of 36 characters, by which a start of the seat is known.
public struct ClaimRequest: Hashable, Sendable, Codable {
    public let bootID: String
    public init(bootID: String) { self.bootID = bootID }
}

/// `PUT /api/v1/seat/health`: what the seat says of itself and how it is; what it does not know is absent.
public struct HealthReport: Hashable, Sendable, Codable {
    /// What kind of machine it is.
    public var model: String?
    /// Of its program.
    public var version: String?
    public var uptimeSeconds: Int?
    /// Thousandths of a degree Celsius.
    public var millidegrees: Int?
    /// Bytes.
    public var memoryTotal: Int64?
    public var memoryAvailable: Int64?
    /// What `vcgencmd get_throttled` of a Raspberry Pi says.
    public var throttledFlags: Int?
    /// Pixels.
    public var screenWidth: Int?
    public var screenHeight: Int?
    public init() {}
}

/// What a seat is given with its desktop.
public struct LeaseMessage: Hashable, Sendable, Codable {
    /// The account by which the desktop is entered over RDP.
    public struct Account: Hashable, Sendable, Codable {
        public let user: String
        public let password: String
        public init(user: String, password: String) {
            self.user = user
            self.password = password
        }
    }

    public let session: Int64
    /// The desktop's name, for people.
    public let desktop: String
    /// The secret that lets this session through the relay.
    public let ticket: String
    public let account: Account
    /// SHA-256 of the desktop's RDP certificate: 32 lower-case hexadecimal pairs with colons between.
    public let fingerprint: String
    /// The relay's TCP port at the address where this was answered.
    public let relayPort: Int
    /// Whether this is the session that the seat had before, since its start.
    public let resumed: Bool
    /// What the seat does after the session: `claim-again` or `shut-down`.
    public let afterSession: String
    /// How long the session is kept when the link is lost.
    public let graceSeconds: Int
    /// How long nobody may touch the seat before it ends the session; 0: for ever.
    public let idleSeconds: Int
    /// How long before that it says so.
    public let warningSeconds: Int

    public init(
        session: Int64, desktop: String, ticket: String, account: Account, fingerprint: String, relayPort: Int, resumed: Bool,
        afterSession: String, graceSeconds: Int, idleSeconds: Int, warningSeconds: Int
    ) {
        self.session = session
        self.desktop = desktop
        self.ticket = ticket
        self.account = account
        self.fingerprint = fingerprint
        self.relayPort = relayPort
        self.resumed = resumed
        self.afterSession = afterSession
        self.graceSeconds = graceSeconds
        self.idleSeconds = idleSeconds
        self.warningSeconds = warningSeconds
    }
}

/// The answer to a claim: `{"state":"leased",…}` with status 200, or `{"state":"waiting","place":2}` with 202.
public enum ClaimMessage: Hashable, Sendable, Codable {
    case leased(LeaseMessage)
    /// The seat's place in the line, from 1; an offer on its event stream tells when to claim again.
    case waiting(place: Int)

    private enum Key: String, CodingKey { case state, place }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        switch try container.decode(String.self, forKey: .state) {
        case "leased": self = .leased(try LeaseMessage(from: decoder))
        case "waiting": self = .waiting(place: try container.decode(Int.self, forKey: .place))
        case let other:
            throw DecodingError.dataCorruptedError(forKey: .state, in: container, debugDescription: "no state of a claim: '\(other)'")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        switch self {
        case .leased(let lease):
            try container.encode("leased", forKey: .state)
            try lease.encode(to: encoder)
        case .waiting(let place):
            try container.encode("waiting", forKey: .state)
            try container.encode(place, forKey: .place)
        }
    }
}

/// `POST /api/v1/seat/sessions/{id}/end`: `log-off` or `closed`.
public struct EndRequest: Hashable, Sendable, Codable {
    public let reason: String
    public init(reason: String) { self.reason = reason }
}

/// What a seat is told on its event stream: each is the `data` of a server-sent event.
public enum SeatMessage {
    /// `event: name`: what people call the seat, told as the stream begins and when it changes.
    public struct Name: Hashable, Sendable, Codable {
        public let name: String
        public init(name: String) { self.name = name }
    }

    /// `event: place`
    public struct Place: Hashable, Sendable, Codable {
        public let place: Int
        public init(place: Int) { self.place = place }
    }

    /// `event: offer`
    public struct Offer: Hashable, Sendable, Codable {
        public let withinSeconds: Int
        public init(withinSeconds: Int) { self.withinSeconds = withinSeconds }
    }

    /// `event: message`: shown over whatever is on the screen, for a while.
    public struct Message: Hashable, Sendable, Codable {
        /// One line of at most 200 characters.
        public let text: String
        public init(text: String) { self.text = text }
    }

    /// `event: identify`, `restart`, `shut-down`: done at once, with nothing to be known.
    public struct Order: Hashable, Sendable, Codable {
        public init() {}
    }

    /// `event: ending`: the session ends then, since it has lasted as long as its lab allows.
    public struct Ending: Hashable, Sendable, Codable {
        public let session: Int64
        public let withinSeconds: Int
        public init(session: Int64, withinSeconds: Int) {
            self.session = session
            self.withinSeconds = withinSeconds
        }
    }

    /// `event: ended`
    public struct Ended: Hashable, Sendable, Codable {
        public let session: Int64
        public let reason: String
        public init(session: Int64, reason: String) {
            self.session = session
            self.reason = reason
        }
    }
}

/// `GET /health`
public struct Health: Hashable, Sendable, Codable {
    public let status: String
    public init(status: String) { self.status = status }
}
