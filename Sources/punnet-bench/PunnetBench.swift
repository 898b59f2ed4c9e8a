import ArgumentParser

/// The measuring program: it runs what the daemon runs in a real dom0, or plays seats at an appliance, and prints what came of it. Not part of
/// the product.
@main
struct PunnetBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "punnet-bench", abstract: "Proves and measures Punnet's parts: in the lab's dom0, and with simulated seats.",
        subcommands: [XenCommand.self, HandOutCommand.self, ClaimsCommand.self, RelayCommand.self, SeatsCommand.self])
}
