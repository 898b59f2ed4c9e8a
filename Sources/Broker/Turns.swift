/// Lets one after the other in, in the order in which they come.
actor Turns {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Waits for its turn; `end()` must follow.
    func begin() async {
        guard isTaken else { return isTaken = true }
        await withCheckedContinuation { waiting.append($0) }
    }

    func end() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }

    /// Does something in its turn.
    nonisolated func take<Value: Sendable>(_ body: () async throws(BrokerError) -> Value) async throws(BrokerError) -> Value {
        await begin()
        let result = await Result(body)
        await end()
        return try result.get()
    }
}

extension Result where Failure == BrokerError, Success: Sendable {
    init(_ body: () async throws(BrokerError) -> Success) async {
        do throws(BrokerError) {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
