import ArgumentParser
import ControlAPI
import Glibc

struct Events: ControlCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what changes, a line for each change, until it is interrupted.",
        discussion: """
            A line is a JSON object with two members: 'event' says what it is (image, lab, desktop, seat, session, operation or removed), 'data' is \
            that as its list shows it, or the kind and name of what is gone. It begins with what changes next, not with what there is.
            """)

    @OptionGroup var connection: ConnectionOptions

    func perform(_ client: ControlClient) async throws {
        try await client.events("events") { event, data in
            print("{\"event\":\"\(event)\",\"data\":\(data)}")
            // Whoever reads them through a pipe is told at once.
            fflush(nil)
        }
    }
}
