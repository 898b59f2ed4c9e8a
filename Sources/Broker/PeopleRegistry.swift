import DesktopModel
import DesktopStore
import Dispatch
import Foundation
import Identity
import Synchronization

/// Who signs in to the panel: passwords, sign-ins, and the first of all. Any task.
public final class PeopleRegistry: Sendable {
    /// How long a sign-in lasts at most, and how long while it is not used.
    public static let longestSignIn = Duration.seconds(12 * 3600)
    public static let idleSignIn = Duration.seconds(2 * 3600)
    /// How long a code for the first start is good.
    public static let codeLifetime = Duration.seconds(24 * 3600)
    /// The fewest characters of a password.
    public static let shortestPassword = 10

    private let broker: Broker
    private let store: DesktopStore
    /// Hashing a password takes a tenth of a second and 32 MiB: two at a time.
    private let lanes = [DispatchQueue(label: "punnet.passwords.1"), DispatchQueue(label: "punnet.passwords.2")]
    private let nextLane = Atomic<Int>(0)
    /// Told each code that is drawn, and nil once one is used.
    private let showCode: @Sendable (String?) -> Void
    private let code = Mutex<(hash: [UInt8], until: ContinuousClock.Instant)?>(nil)
    /// Once somebody is known, somebody always is.
    private let isKnownToHavePeople = Atomic<Bool>(false)
    /// What a password is compared with where there is no such person, so that nobody learns from the time who there is.
    private let decoy = Mutex<PasswordHash?>(nil)

    /// - Parameter showCode: Shows the code for the first start on the server's console; nil once it is used.
    public init(_ broker: Broker, store: DesktopStore, showCode: @escaping @Sendable (String?) -> Void) {
        self.broker = broker
        self.store = store
        self.showCode = showCode
    }

    // MARK: The first start

    /// Whether somebody administers this appliance by the panel.
    public func hasPeople() async throws(BrokerError) -> Bool {
        if isKnownToHavePeople.load(ordering: .relaxed) { return true }
        let has = try await stored { () async throws(StoreError) in try await store.hasPeople() }
        if has { isKnownToHavePeople.store(true, ordering: .relaxed) }
        return has
    }

    /// Draws the code by which the first administrator is made, in the place of any before; nil where there is one already, and then the console
    /// shows none either: an older one may still stand there.
    public func drawCode() async throws(BrokerError) -> String? {
        guard try await !hasPeople() else {
            showCode(nil)
            return nil
        }
        let word = Word()
        code.withLock { $0 = (word.hash, .now + Self.codeLifetime) }
        showCode(word.text)
        return word.text
    }

    /// Whether a code that was drawn is still good.
    public var hasGoodCode: Bool { code.withLock { $0.map { $0.until > .now } ?? false } }

    /// Makes the first administrator, and uses the code up.
    /// - Throws: `wordRefused` where the code is not the one that was drawn last, or expired.
    public func begin(code untrustedCode: String, name: String, password: String) async throws(BrokerError) -> Person {
        let name = try Self.checkedName(name)
        try Self.check(password, of: name)
        guard let word = Word(untrusted: untrustedCode),
            code.withLock({ drawn in drawn.map { $0.until > .now && Digest.areEqual($0.hash, word.hash) } ?? false })
        else { throw .wordRefused }
        let kept = try await hashed(password)
        let person: Person
        do {
            person = try await store.addPerson(name: name, role: .administrator, labs: [], password: kept, first: true)
        } catch {
            if case .conflict = error { throw .wordRefused }
            throw .storage(error.sentence)
        }
        code.withLock { $0 = nil }
        showCode(nil)
        isKnownToHavePeople.store(true, ordering: .relaxed)
        return person
    }

    // MARK: Signing in

    /// The person with this name and password; nil where there is none. It takes the same time either way.
    public func person(named untrustedName: String, password: String) async throws(BrokerError) -> Person? {
        guard untrustedName.utf8.count <= 200, password.utf8.count <= 1024 else { return nil }
        let found = try await stored { () async throws(StoreError) in try await store.person(named: untrustedName) }
        guard let found, let kept = PasswordHash(encoded: found.password) else {
            _ = try await isRight(password, try await decoyHash())
            return nil
        }
        return try await isRight(password, kept) ? found.person : nil
    }

    /// Signs a person in; the token is told once.
    public func signIn(_ person: Person) async throws(BrokerError) -> Token {
        let token = Token()
        let end = CalendarSeconds(Date().timeIntervalSince1970) + Self.longestSignIn.components.seconds
        try await stored { () async throws(StoreError) in try await store.addSignIn(tokenHash: token.hash, person: person.id, end: end) }
        return token
    }

    /// Who signed in with this token. What is no use of theirs does not keep the sign-in from ending while they are away.
    public func person(signedInWith token: Token, isUse: Bool) async throws(BrokerError) -> Person? {
        try await stored { () async throws(StoreError) in
            try await store.person(signedInWith: token.hash, idle: Self.idleSignIn.components.seconds, isUse: isUse)
        }
    }

    public func signOut(_ token: Token) async throws(BrokerError) {
        try await stored { () async throws(StoreError) in try await store.endSignIn(tokenHash: token.hash) }
    }

    public func signOutEverywhere(_ person: Person) async throws(BrokerError) {
        try await stored { () async throws(StoreError) in try await store.endSignIns(of: person.id) }
    }

    // MARK: People

    public func people() async throws(BrokerError) -> [Person] {
        try await stored { () async throws(StoreError) in try await store.people() }
    }

    /// Adds a person; a teacher's labs by their names.
    public func add(_ untrustedName: String, role: Role, labs names: [String], password: String) async throws(BrokerError) -> Person {
        let name = try Self.checkedName(untrustedName)
        try Self.check(password, of: name)
        let room = await broker.room
        var labs: Set<LabID> = []
        if role == .teacher {
            for name in names { labs.insert(try room.lab(named: name).id) }
        }
        let kept = try await hashed(password)
        do {
            return try await store.addPerson(name: name, role: role, labs: labs, password: kept)
        } catch {
            if case .taken = error { throw .nameTaken(kind: "person", name: name) }
            throw .storage(error.sentence)
        }
    }

    /// Removes a person, who is signed out at once; refused for the only administrator.
    public func remove(_ name: String) async throws(BrokerError) {
        let all = try await people()
        guard let person = all.first(where: { $0.name == name }) else { throw .unknownPerson(name) }
        do {
            try await store.removePerson(person.id)
        } catch {
            if case .inUse = error { throw .inUse(kind: "person", name: name, by: Refused.byAppliance()) }
            throw .storage(error.sentence)
        }
    }

    /// Gives a person another password, and signs them out everywhere else.
    public func changePassword(of person: Person, from old: String, to new: String, keeping token: Token) async throws(BrokerError) {
        try Self.check(new, of: person.name)
        guard try await self.person(named: person.name, password: old) != nil else { throw .wordRefused }
        let kept = try await hashed(new)
        try await stored { () async throws(StoreError) in try await store.setPassword(of: person.id, to: kept, keeping: token.hash) }
    }

    // MARK: Tokens of programs

    /// How long a token may be good at most.
    public static let longestToken = Duration.seconds(366 * 86_400)

    /// Makes a token by which programs use the interface in a person's name. It is told once.
    public func addToken(_ untrustedName: String, for person: Person, mayChange: Bool, lifetime: Duration) async throws(BrokerError) -> Token {
        let name = try Self.checkedName(untrustedName)
        guard lifetime >= .seconds(60), lifetime <= Self.longestToken else {
            throw .invalid(field: "days", value: "\(lifetime)", remedy: Refused.useDays(1, 366))
        }
        let token = Token()
        let ends = CalendarSeconds(Date().timeIntervalSince1970) + lifetime.components.seconds
        try await stored { () async throws(StoreError) in
            try await store.addAPIToken(name: name, person: person.id, tokenHash: token.hash, mayChange: mayChange, ends: ends)
        }
        return token
    }

    public func tokens(of person: Person) async throws(BrokerError) -> [APITokenRecord] {
        try await stored { () async throws(StoreError) in try await store.apiTokens(of: person.id) }
    }

    public func removeToken(_ id: Int64, of person: Person) async throws(BrokerError) {
        try await stored { () async throws(StoreError) in try await store.removeAPIToken(id, of: person.id) }
    }

    /// Whose a program's token is, and whether it may change things; nil for a token that is nobody's, or over.
    public func bearer(of untrusted: String) async throws(BrokerError) -> (person: Person, token: APITokenRecord)? {
        guard let token = Token(untrusted: untrusted) else { return nil }
        return try await stored { () async throws(StoreError) in try await store.apiToken(hash: token.hash) }
    }

    // MARK: The journal

    /// Writes down what somebody did.
    public func note(_ action: String, _ subject: String, _ detail: String = "", by who: String, from origin: String) async throws(BrokerError) {
        try await stored { () async throws(StoreError) in
            try await store.addJournalEntry(who: who, origin: origin, action: action, subject: subject, detail: detail)
        }
    }

    /// The newest lines first; those before one, of somebody, of one action or about one thing, where these are named.
    public func journal(
        before: Int64?, who: String? = nil, action: String? = nil, subject: String? = nil, limit: Int
    ) async throws(BrokerError) -> [JournalEntry] {
        try await stored { () async throws(StoreError) in
            try await store.journal(before: before, who: who, action: action, subject: subject, limit: limit)
        }
    }

    // MARK: Pieces

    private static func checkedName(_ untrusted: String) throws(BrokerError) -> String {
        let name = untrusted.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard (1...40).contains(name.count), name.utf8.count <= 160, name.unicodeScalars.allSatisfy(\.isShown) else {
            throw .invalid(field: "name", value: String(name.prefix(40)), remedy: Refused.usePersonName())
        }
        return name
    }

    private static func check(_ password: String, of name: String) throws(BrokerError) {
        guard password.count >= shortestPassword, password.utf8.count <= 1024 else {
            throw .invalid(field: "password", value: "…", remedy: Refused.useCharacters(shortestPassword, 200))
        }
        guard password.lowercased() != name.lowercased() else {
            throw .invalid(field: "password", value: "…", remedy: Refused.useOtherThanName())
        }
    }

    private func hashed(_ password: String) async throws(BrokerError) -> String {
        try await onLane { try PasswordHash(password: password).encoded }
    }

    private func isRight(_ password: String, _ kept: PasswordHash) async throws(BrokerError) -> Bool {
        try await onLane { try kept.verify(password) }
    }

    private func decoyHash() async throws(BrokerError) -> PasswordHash {
        if let hash = decoy.withLock(\.self) { return hash }
        let hash = try await onLane { try PasswordHash(password: Token().text) }
        decoy.withLock { $0 = hash }
        return hash
    }

    private func onLane<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws(BrokerError) -> Value {
        let lane = lanes[nextLane.wrappingAdd(1, ordering: .relaxed).oldValue % lanes.count]
        let result: Result<Value, any Error> = await withCheckedContinuation { continuation in
            lane.async { continuation.resume(returning: Result { try body() }) }
        }
        do {
            return try result.get()
        } catch {
            throw .hypervisor(Refused.notHashed(Sentence(error)))
        }
    }
}
