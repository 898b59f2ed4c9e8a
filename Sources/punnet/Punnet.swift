import ArgumentParser

/// The administrator's command line on the appliance.
@main
struct Punnet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "punnet",
        abstract: "See and set what this Punnet appliance does.",
        discussion: """
            It speaks to punnetd over a Unix socket, as root or as a member of the group punnet-admin. \
            Every command prints JSON with --json, as the interface says it (Docs/API.md).

            Exit status:
              0   done
              1   punnetd refused: the message says why and what to do
              64  the command was not written correctly
              69  punnetd could not be reached
              70  punnetd or its answer failed
              75  not now: try again later
              77  not permitted
              130 interrupted, and what was begun is undone
            """,
        subcommands: [
            FirstStart.self, Status.self, ImageCommand.self, LabCommand.self, DesktopCommand.self, SeatCommand.self, SessionCommand.self,
            CertificateCommand.self,
            OperationCommand.self, Journal.self, Events.self, Completions.self,
        ])
}
