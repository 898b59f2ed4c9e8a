import NIOCore
import Testing

@testable import punnet_relay

@Suite struct DoorGateTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    private let here: DoorGate.Source = [192, 0, 2, 1]
    private let there: DoorGate.Source = [192, 0, 2, 2]

    private func limits() -> DoorLimits {
        var limits = DoorLimits()
        limits.links = 9
        limits.waiting = 6
        limits.waitingPerSource = 3
        limits.refusals = 4
        limits.forgiveness = .seconds(3)
        limits.sources = 5
        return limits
    }

    @Test func anAddressHasOnlySoManyConnectionsWaitingAndOthersAreNotDisturbed() {
        var gate = DoorGate(limits: limits())
        for _ in 0..<3 { #expect(gate.arrive(from: here, at: start) == .enter) }
        for _ in 0..<1000 { #expect(gate.arrive(from: here, at: start) == .flood) }
        #expect(gate.arrive(from: there, at: start) == .enter)
        gate.leave(from: here, waiting: true)
        #expect(gate.arrive(from: here, at: start) == .enter)
    }

    @Test func admittedConnectionsDoNotCountAsWaitingAndThereAreOnlySoMany() {
        var gate = DoorGate(limits: limits())
        for _ in 0..<9 {
            #expect(gate.arrive(from: here, at: start) == .enter)
            #expect(gate.admit(from: here) == true)
        }
        #expect(gate.waiting == 0)
        #expect(gate.connections == 9)
        #expect(gate.arrive(from: here, at: start) == .enter)
        #expect(gate.admit(from: here) == false, "it goes on waiting")
        #expect(gate.waiting == 1)
        gate.leave(from: there, waiting: false)
        #expect(gate.admit(from: here) == true)
        #expect(gate.connections == 9 && gate.waiting == 0)
    }

    @Test func onlySoManyConnectionsWaitInAll() {
        var gate = DoorGate(limits: limits())
        for host in 1...6 { #expect(gate.arrive(from: [10, 0, 0, UInt8(host)], at: start) == .enter) }
        #expect(gate.arrive(from: here, at: start) == .full)
    }

    @Test func refusedAttemptsShutAnAddressOutAndAreForgivenOneByOne() {
        var gate = DoorGate(limits: limits())
        for _ in 0..<4 {
            #expect(gate.arrive(from: here, at: start) == .enter)
            gate.refuse(here, at: start)
            gate.leave(from: here, waiting: true)
        }
        #expect(gate.arrive(from: here, at: start + .milliseconds(2999)) == .flood)
        #expect(gate.arrive(from: there, at: start) == .enter)
        let later = start + .seconds(3)
        #expect(gate.arrive(from: here, at: later) == .enter)
        gate.refuse(here, at: later)
        gate.leave(from: here, waiting: true)
        #expect(gate.arrive(from: here, at: later) == .flood)
    }

    @Test func nothingIsRememberedOfAnAddressThatNothingIsHeldAgainst() {
        var gate = DoorGate(limits: limits())
        #expect(gate.arrive(from: here, at: start) == .enter)
        gate.leave(from: here, waiting: true)
        #expect(gate.remembered == 0)
        #expect(gate.arrive(from: there, at: start) == .enter)
        gate.refuse(there, at: start)
        gate.leave(from: there, waiting: true)
        #expect(gate.remembered == 1)
        #expect(gate.arrive(from: there, at: start + .seconds(3)) == .enter)
        #expect(gate.admit(from: there) == true)
        #expect(gate.remembered == 0)
    }

    @Test func onlySoManyAddressesAreRemembered() {
        var gate = DoorGate(limits: limits())
        for host in UInt8.min...UInt8.max {
            #expect(gate.arrive(from: [10, 0, 0, host], at: start) == .enter)
            gate.refuse([10, 0, 0, host], at: start)
            gate.leave(from: [10, 0, 0, host], waiting: true)
            #expect(gate.remembered <= 5)
        }
        #expect(gate.connections == 0)
        #expect(gate.waiting == 0)
    }

    @Test func aCrowdOfAddressesDoesNotHaveThemAllLookedThroughForEach() {
        var gate = DoorGate(limits: limits())
        for number in 0..<1000 {
            let source: DoorGate.Source = [10, 1, UInt8(number >> 8), UInt8(number & 0xff)]
            let now = start + .milliseconds(Int64(number))
            if gate.arrive(from: source, at: now) == .enter {
                gate.refuse(source, at: now)
                gate.leave(from: source, waiting: true)
            }
        }
        #expect(gate.looks == 1, "a second of it, where something is forgiven every three")
    }

    @Test func theDoorIsCrowdedBeforeItIsFull() {
        var limits = limits()
        limits.waiting = 32
        var gate = DoorGate(limits: limits)
        for host in 1...30 { #expect(gate.arrive(from: [10, 0, 0, UInt8(host)], at: start) == .enter) }
        #expect(!gate.isCrowded)
        for host in 31...32 { #expect(gate.arrive(from: [10, 0, 0, UInt8(host)], at: start) == .enter) }
        #expect(gate.isCrowded)
        #expect(gate.arrive(from: here, at: start) == .full)
    }

    @Test func theBooksAreEmptyWhenEverybodyHasLeft() {
        var random = SeededRandom(seed: 3)
        var gate = DoorGate(limits: limits())
        var inside: [(source: DoorGate.Source, waiting: Bool)] = []
        var now = start
        for _ in 0..<20_000 {
            now = now + .milliseconds(Int64.random(in: 0...500, using: &random))
            let source: DoorGate.Source = [10, 0, 0, UInt8.random(in: 0...20, using: &random)]
            switch Int.random(in: 0...3, using: &random) {
            case 0: if gate.arrive(from: source, at: now) == .enter { inside.append((source, true)) }
            case 1:
                if let index = inside.indices.randomElement(using: &random), inside[index].waiting {
                    let links = inside.count { !$0.waiting }
                    let isAdmitted = gate.admit(from: inside[index].source)
                    #expect(isAdmitted == (links < 9))
                    inside[index].waiting = !isAdmitted
                }
            case 2: if let some = inside.randomElement(using: &random) { gate.refuse(some.source, at: now) }
            default:
                if let index = inside.indices.randomElement(using: &random) {
                    let gone = inside.remove(at: index)
                    gate.leave(from: gone.source, waiting: gone.waiting)
                }
            }
            #expect(gate.connections == inside.count && gate.connections <= 9 + 6)
            #expect(gate.waiting == inside.count(where: \.waiting) && gate.waiting <= 6)
        }
        for gone in inside { gate.leave(from: gone.source, waiting: gone.waiting) }
        #expect(gate.connections == 0 && gate.waiting == 0)
    }
}
