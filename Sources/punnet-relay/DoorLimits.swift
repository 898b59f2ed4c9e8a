import NIOCore

/// How long the door waits, and how many it lets in.
struct DoorLimits: Sendable {
    /// From the connection to the end of its first packet.
    var requestTime: TimeAmount = .seconds(5)
    /// From the first packet to punnetd's answer, the wait for an absent punnetd included.
    var answerTime: TimeAmount = .seconds(5)
    /// For the connection to the desktop.
    var desktopTime: TimeAmount = .seconds(5)
    /// From the end of one direction to the end of the other, when the link is cut.
    var halfClosedTime: TimeAmount = .seconds(10)
    /// How long the other side of a link may be silent before the kernel takes it for lost: a seat without power, a frozen desktop. Data
    /// that the other side does not take for so long ends the link as well.
    var silence: TimeAmount = .seconds(20)

    /// Connections that were admitted and are not over.
    var links = 1024
    /// Connections that wait for admission, in all. One that is silent takes little memory; before there are so many, those that have been
    /// silent the longest make room.
    var waiting = 6144
    /// Connections that wait for admission, from one address: a room of seats behind one address comes all at once when its power does.
    var waitingPerSource = 64
    /// Refused attempts that an address may make at once before it is shut out for a while; for the same reason.
    var refusals = 64
    /// The time after which one more refused attempt is forgiven.
    var forgiveness: TimeAmount = .milliseconds(500)
    /// A session that is admitted again sooner than this is held against its address like a refused attempt.
    var hastyTime: TimeAmount = .seconds(1)
    /// Addresses that are remembered.
    var sources = 4096

    /// How much may wait to be sent to one side of a link before no more is read from the other, in bytes.
    var bufferedBytes = 128 * 1024
    /// How much the kernel may hold of what one side of a link has sent and the relay has not read, in bytes. Set, it grows no further than
    /// this (twice of it, and no more than the system's own limit), and a room's network needs no more.
    var receivedBytes = 256 * 1024
    /// How long the listener rests when the system has no room for another connection.
    var exhaustionPause: TimeAmount = .milliseconds(100)
    /// Incidents are logged one by one as long as there is at most one in this time, else as their number.
    var logInterval: TimeAmount = .seconds(10)
}
