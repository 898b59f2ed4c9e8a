import ArgumentParser

struct Completions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what lets a shell complete the words of this command.",
        discussion: """
            The Debian package installs it for all three shells. Elsewhere, for bash:
              punnet completions bash >~/.local/share/bash-completion/completions/punnet
            """)

    enum Shell: String, ExpressibleByArgument, CaseIterable { case bash, zsh, fish }

    @Argument(help: "The shell.")
    var shell: Shell

    func run() {
        let known: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        print(Punnet.completionScript(for: known))
    }
}
