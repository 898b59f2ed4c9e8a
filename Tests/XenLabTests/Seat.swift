import Foundation

/// A thin client: a machine of its own on the lab's LAN, a screen, and `punnet-seat` as it is on a Raspberry Pi.
actor Seat {
    nonisolated let name: String
    private let lab: Lab
    private let folder: String
    private let screen: Program
    private let display: String
    private var program: Program?
    private(set) var bootID = UUID().uuidString.lowercased()

    private static let programPath = Lab.repository + "/appliance/seat/usr/bin/punnet-seat"

    /// Plugs a new machine in, and enrols it for a lab's desktops by the line that the appliance prints.
    init(name: String, of room: String, in lab: Lab) async throws {
        self.name = name
        self.lab = lab
        folder = try Scratch.folder()
        _ = try? await Lab.run(["seat", "remove", name])
        try await Lab.run(["seat", "add", name])
        let number = folder + "/display"
        screen = try Program(
            ["Xvfb", "-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset"], log: number)
        do {
            display = ":" + (try await eventually("Xvfb has a display", within: .seconds(20)) {
                let text = try String(contentsOfFile: number, encoding: .utf8)
                return text.split(separator: "\n").last { Int($0) != nil }.map(String.init)
            })
            let words = try await lab.enrolmentLine(forSeat: name, of: room).split(separator: " ").map(String.init)
            guard words.first == "punnet-seat" else { throw Program.Failure(description: "this is no line for a seat: \(words)") }
            _ = try await Program.output(
                of: Self.onMachine(name) + [Self.programPath] + words.dropFirst(), environment: environment, within: .seconds(60))
        } catch {
            await screen.end()
            _ = try? await Lab.run(["seat", "remove", name])
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    private nonisolated static func onMachine(_ name: String) -> [String] {
        [Lab.repository + "/Scripts/xen-lab", "seat", "exec", name, "--"]
    }

    private nonisolated var environment: [String: String] {
        [
            "PUNNET_LAB": Lab.folder, "PUNNET_SEAT_STATE": folder + "/state",
            "PUNNET_SEAT_SHARE": Lab.repository + "/appliance/seat/usr/share/punnet-seat", "PUNNET_SEAT_NOTICE_SECONDS": "1",
            "XDG_RUNTIME_DIR": folder, "DISPLAY": display, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
        ]
    }

    // MARK: What a user does

    /// Switches it on.
    func start() throws {
        guard program?.isRunning != true else { return }
        var settings = environment
        settings["PUNNET_SEAT_BOOT_ID"] = bootID
        program = try Program(Self.onMachine(name) + [Self.programPath, "run"], environment: settings, log: folder + "/seat.log")
    }

    /// Takes the power away and gives it back: nothing of it says goodbye, and it is another start of the machine.
    func powerCycle() async throws {
        try await Lab.run(["seat", "down", name])
        await program?.end()
        program = nil
        try await Lab.run(["seat", "remove", name])
        try await Lab.run(["seat", "add", name])
        bootID = UUID().uuidString.lowercased()
        try start()
    }

    func pullCable() async throws { try await Lab.run(["seat", "down", name]) }
    func plugCableIn() async throws { try await Lab.run(["seat", "up", name]) }

    /// Switches it off and takes it away.
    func leave() async {
        await program?.end()
        program = nil
        _ = try? await Lab.run(["seat", "remove", name])
        await screen.end()
        try? FileManager.default.removeItem(atPath: folder)
    }

    func press(_ keys: String) async throws {
        _ = try await Program.output(of: ["xdotool", "key", keys], environment: ["DISPLAY": display])
    }

    /// Types a line into what has the keyboard.
    func type(_ line: String) async throws {
        _ = try await Program.output(of: ["xdotool", "type", "--delay", "25", line], environment: ["DISPLAY": display])
        try await press("Return")
    }

    // MARK: What a user sees

    func picture() async throws -> Picture {
        let file = folder + "/picture.ppm"
        defer { try? FileManager.default.removeItem(atPath: file) }
        _ = try await Program.output(
            of: ["import", "-silent", "-window", "root", "-depth", "8", "ppm:" + file], environment: ["DISPLAY": display])
        guard let picture = FileManager.default.contents(atPath: file).flatMap(Picture.init(ppm:)) else {
            throw Program.Failure(description: "no picture of \(name)'s screen could be taken")
        }
        return picture
    }

    /// Waits until the screen shows the colour on at least this part of it.
    func shows(_ colour: Picture.Colour, on share: Double, within limit: Duration = .seconds(60), _ what: String) async throws {
        try await eventually("\(name)'s screen shows \(what) (\(colour))", within: limit, holds: {
            try await self.picture().share(of: colour) >= share
        })
    }

    /// What the program said.
    nonisolated var log: String { (try? String(contentsOfFile: folder + "/seat.log", encoding: .utf8)) ?? "" }

    /// The desktop whose picture is on the screen: the seat has a session, and the desktop's own colour is there.
    func desktopShown(within limit: Duration = .seconds(120)) async throws -> Lab.Session {
        let lab = lab, name = name
        let session = try await eventually("\(name) has a session", within: limit) { try await lab.session(ofSeat: name) }
        let desktop = try await lab.desktop(session.desktop)
        try await shows(.ofDesktop(at: desktop.address), on: 0.1, within: .seconds(180), "\(desktop.name)'s own colour")
        return session
    }

    // MARK: A terminal on the desktop

    /// Opens a terminal on the desktop, in which `c` sets the background's colour.
    func openTerminal() async throws {
        try await eventually("a terminal is open on \(name)'s desktop", within: .seconds(150), every: .seconds(1), holds: {
            if try await self.picture().share(of: .white) > 0.1 { return true }
            try await self.press("ctrl+alt+t")
            try await eventually("the terminal is there", within: .seconds(60)) { try await self.picture().share(of: .white) > 0.1 }
            return true
        })
        try await type("cd; c(){ printf '\\e]11;#%s\\a' $1;}")
    }

    /// Whether the shell's condition holds on the desktop. It is typed into the terminal and answers with a colour.
    func holds(_ condition: String, within limit: Duration = .seconds(60)) async throws -> Bool {
        try await type("if \(condition); then c ff00ff; else c 00ffff; fi")
        let answer = try await eventually("the desktop of \(name) answers: \(condition)", within: limit) {
            let picture = try await self.picture()
            if picture.share(of: .yes) > 0.1 { return true }
            return picture.share(of: .no) > 0.1 ? false : nil
        }
        try await type("c ffffff; clear")
        try await eventually("the terminal of \(name) is empty again", within: limit, holds: {
            let picture = try await self.picture()
            return picture.share(of: answer ? .yes : .no) < 0.01 && picture.share(of: .white) > 0.1
        })
        return answer
    }

    /// The first three hexadecimal digits that the command prints on the desktop, by the colour that they are of.
    func digits(of command: String) async throws -> String {
        let desktop = try await lab.desktop(try await desktopShown().desktop)
        let others = [Picture.Colour.white, try .ofDesktop(at: desktop.address)]
        try await type("c $(\(command) | cut -c1-3 | sed 's/./&0/g'); clear")
        let answer = try await eventually("the desktop of \(name) tells: \(command)", within: .seconds(60)) {
            try await self.picture().digits(on: 0.1, except: others)
        }
        try await type("c ffffff; clear")
        try await eventually("the terminal of \(name) is empty again", within: .seconds(60)) { try await self.picture().share(of: .white) > 0.1 }
        return answer
    }

    /// By how many seconds the clock of the desktop on the screen is behind dom0's, and the way to dom0: it tells its time on its console, and
    /// the console's log has the time at which that came.
    func lateness() async throws -> Double {
        let console = try await lab.console(of: try await desktopShown().desktop)
        let word = String(UInt32.random(in: 1...UInt32.max), radix: 16)
        try await type("date +\(word)=%s.%N= >/dev/hvc0")
        return try await eventually("the desktop of \(name) tells the time", within: .seconds(30)) {
            let answer = try await self.lab.dom0("tail -n 1 \(console) | tr -d '\\r\\n'; stat -c =%.9Y \(console)")
            let fields = answer.split(separator: "=").map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
            guard fields.count == 3, fields[0] == word, let told = Double(fields[1]), let came = Double(fields[2]) else { return nil }
            return came - told
        }
    }

    /// The local TCP ports by which it is connected to the relay.
    func connections() async throws -> [String] {
        try await Program.output(
            of: Self.onMachine(name) + ["ss", "-Htn", "state", "established", "dport", "=", ":3389"], environment: environment
        ).split(separator: "\n").compactMap { $0.split(separator: " ").dropFirst(2).first.map(String.init) }
    }

    /// Runs a program on the machine.
    func run(_ arguments: [String], within limit: Duration = .seconds(60)) async throws -> String {
        try await Program.output(of: Self.onMachine(name) + arguments, environment: environment, within: limit)
    }

    func keepEvidence(in target: String) async {
        _ = try? await Program.run(
            ["import", "-silent", "-window", "root", "\(target)/\(name).png"], environment: ["DISPLAY": display], within: .seconds(10))
        for file in ["seat.log", "state/xfreerdp.log", "state/xfreerdp.log.1"] {
            let copy = "\(target)/\(name)-\(file.replacingOccurrences(of: "/", with: "-"))"
            try? FileManager.default.removeItem(atPath: copy)
            try? FileManager.default.copyItem(atPath: "\(folder)/\(file)", toPath: copy)
        }
    }
}
