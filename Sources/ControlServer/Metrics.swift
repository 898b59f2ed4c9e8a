import Broker

/// The room in numbers, in Prometheus' text format.
/// - SeeAlso: prometheus.io, "Exposition formats"
struct Metrics {
    private(set) var text = ""

    init(_ room: RoomReport, seats: [SeatReport], _ figures: Figures, relay: RelayFigures, work: ServerWork?) {
        family("punnet_desktops", "gauge", "Desktops by their lab and state.")
        for lab in room.labs {
            for state in ["empty", "preparing", "ready", "leased", "retiring", "quarantined"] {
                sample("punnet_desktops", ["lab": lab.lab.name, "state": state], Double(lab.desktops[state, default: 0]))
            }
        }
        family("punnet_desktops_wanted", "gauge", "The most desktops that a lab is to have.")
        for lab in room.labs { sample("punnet_desktops_wanted", ["lab": lab.lab.name], Double(lab.lab.size)) }
        family("punnet_waiting_seats", "gauge", "Seats that wait for a desktop.")
        for lab in room.labs { sample("punnet_waiting_seats", ["lab": lab.lab.name], Double(lab.waiting)) }
        family("punnet_seats", "gauge", "Seats that were added, and of these those whose event stream is open.")
        sample("punnet_seats", ["state": "known"], Double(room.seats))
        sample("punnet_seats", ["state": "present"], Double(room.seatsPresent))
        family("punnet_links", "gauge", "Sessions with a connection through the relay.")
        sample("punnet_links", [:], Double(seats.count { $0.connected }))
        counter("punnet_relay_connections", "Connections through the relay that reached a desktop.", relay.opened)
        counter("punnet_relay_refusals", "Connections at the relay whose ticket was not good.", relay.refused)
        family("punnet_relay_bytes_total", "counter", "What the connections that are over have carried, from seats and to them.")
        sample("punnet_relay_bytes_total", ["direction": "from_seats"], Double(relay.bytesFromSeats))
        sample("punnet_relay_bytes_total", ["direction": "to_seats"], Double(relay.bytesToSeats))
        if let work {
            family("punnet_processors", "gauge", "The server's processors.")
            sample("punnet_processors", [:], Double(work.processors))
            family(
                "punnet_processor_seconds_total", "counter", "How long processors have worked: for the server itself, for desktops, for other domains.")
            for (kind, worked) in [("control", work.control), ("desktops", work.desktops), ("others", work.others)] {
                sample("punnet_processor_seconds_total", ["kind": kind], Self.seconds(worked))
            }
        }
        if let memory = room.memory {
            family("punnet_memory_bytes", "gauge", "The server's memory: all of it, what desktops may have, and what is promised to them.")
            sample("punnet_memory_bytes", ["kind": "total"], Double(memory.total.rawValue))
            sample("punnet_memory_bytes", ["kind": "for_desktops"], Double(memory.forDesktops.rawValue))
            sample("punnet_memory_bytes", ["kind": "promised"], Double(memory.promised.rawValue))
        }
        if let total = room.diskTotal, let free = room.diskFree {
            family("punnet_disk_bytes", "gauge", "The disk of the desktops: all of it, and what is free.")
            sample("punnet_disk_bytes", ["kind": "total"], Double(total.rawValue))
            sample("punnet_disk_bytes", ["kind": "free"], Double(free.rawValue))
        }
        family("punnet_troubles", "gauge", "How much is wrong with the whole server now.")
        sample("punnet_troubles", [:], Double(room.troubles.count))
        family("punnet_making_step_seconds", "summary", "How long the steps of making desktops took.")
        for (word, total) in figures.steps.sorted(by: { $0.key < $1.key }) { summary("punnet_making_step_seconds", ["step": word], total) }
        counter("punnet_generations", "Desktops that became ready.", figures.made)
        counter("punnet_quarantines", "Times that a desktop went into quarantine.", figures.quarantines)
        counter("punnet_hand_outs", "Desktops that were leased.", figures.handOuts)
        counter("punnet_empty_claims", "Claims for which no desktop was ready.", figures.emptyClaims)
        family("punnet_wait_seconds", "summary", "How long seats waited that were given a desktop later.")
        summary("punnet_wait_seconds", [:], figures.waits)
        family("punnet_sessions_ended_total", "counter", "Sessions that ended, by the reason.")
        for (reason, count) in figures.ended.sorted(by: { $0.key < $1.key }) {
            sample("punnet_sessions_ended_total", ["reason": reason], Double(count))
        }
    }

    private mutating func family(_ name: String, _ kind: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
    }

    private mutating func counter(_ name: String, _ help: String, _ count: Int) {
        family(name + "_total", "counter", help)
        sample(name + "_total", [:], Double(count))
    }

    private mutating func summary(_ name: String, _ labels: KeyValuePairs<String, String>, _ total: Figures.Total) {
        sample(name + "_sum", labels, Self.seconds(total.sum))
        sample(name + "_count", labels, Double(total.count))
    }

    private mutating func sample(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: Double) {
        let written = labels.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
        let number = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
        text += name + (written.isEmpty ? "" : "{\(written)}") + " " + number + "\n"
    }

    private static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
