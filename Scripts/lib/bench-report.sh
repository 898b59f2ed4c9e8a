# shellcheck shell=bash
# The bench's report. $work holds what was measured.
#
#   bench_json             prints all figures with the machine's description, as JSON
#   bench_markdown FILE    prints the report that the JSON file holds, as Markdown

bench_json() {
    local lab=null
    [ ! -f "$work/lab.json" ] || lab=$(cat "$work/lab.json")
    jq -n --arg commit "$(git describe --always --dirty --abbrev=40)" --arg date "$(date -u +%FT%TZ)" \
        --arg processors "$(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
        --arg memory "$(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" --arg kernel "Linux $(uname -r)" \
        --arg lab "$(if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then echo KVM; else echo 'everything emulated (TCG)'; fi)" \
        --argjson labMiB "$bench_lab_memory" \
        --slurpfile claims "$work/claims.json" --slurpfile cost "$work/cost.json" --slurpfile rest "$work/rest.json" --slurpfile relay "$work/relay.json" \
        --argjson measured "$lab" '
        {commit: $commit, date: $date, machine: {processors: $processors, memory: $memory, kernel: $kernel, lab: $lab, labMiB: $labMiB},
         claims: $claims[0], cost: $cost[0], rest: $rest[0], relay: $relay[0], lab: $measured}'
}

bench_markdown() {
    jq -r '
        def two: . * 100 | round / 100;
        def verdict($mark; $aim): if . == null then "not measured" elif . <= $aim then "aim reached" elif . <= $mark then "mark reached" else "missed" end;
        def row($what; $mark; $aim; $value; $shown): "| \($what) | \($mark) | \($aim) | \($shown) | \($value | verdict($mark; $aim)) |";
        def carrier($name): .relay.carriers[] | select(.name == $name);
        def added($name): (carrier($name).echo.p99 - carrier("direct").echo.p99);
        "# Figures\n",
        "Written by `Scripts/bench`; [Bench.json](Bench.json) has the same with all that it was reckoned from.\n",
        "| | |\n| --- | --- |",
        "| commit | \(.commit) |",
        "| when | \(.date) |",
        "| machine | \(.machine.processors), \(.machine.memory), \(.machine.kernel) |",
        "| the lab in it | 2 processors, \(.machine.labMiB / 1024) GiB, 2 of them of dom0; \(.machine.lab) |",
        "\n| | must reach | aim | measured | |\n| --- | --- | --- | --- | --- |",
        (if .lab then .lab |
            row("leave → ready again, restore ÷ cold boot"; 0.30; 0.10; .remake.ratio; "\(.remake.ratio | two)"),
            row("filling 6 desktops, restores ÷ cold boots"; 0.30; 0.10; .fill.ratio; "\(.fill.ratio | two): \(.fill.restoredMilliseconds / 1000 | two) s ÷ \(.fill.bootedMilliseconds / 1000 | two) s"),
            row("pages moved by a restore ÷ pages of the profile"; 0.5; 0.35; .pages.ratio; "\(.pages.ratio | two): \(.pages.saved) ÷ \(.pages.profile)"),
            row("claim → answer in dom0 with two restores running ÷ without, p99 of 1,000"; 2; 1.2; .handout.ratio; "\(.handout.ratio | two): \(.handout.beside.p99) ms ÷ \(.handout.alone.p99) ms")
         else empty end),
        row("200 claims at once, lease on the disk, p99 in ms"; 50; 10; .claims.claim.p99; "\(.claims.claim.p99)"),
        row("instructions of a claim with all that follows it, at 1,000 desktops ÷ at 10"; 1.5; 1.1; .cost.ratio; "\(.cost.ratio | two): \(.cost.instructions.desktops1000) ÷ \(.cost.instructions.desktops10)"),
        row("punnetd with \(.rest.desktops) parked desktops: resident MB (the simulated server and its ports are in it)"; 64; 40; .rest.residentMB; "\(.rest.residentMB | two)"),
        row("the same at rest: % of a core"; 0.5; 0.1; .rest.processorPercent; "\(.rest.processorPercent | two)"),
        row("the same at rest: wake-ups a second"; 1; 0.2; .rest.wakeUpsPerSecond; "\(.rest.wakeUpsPerSecond | two)"),
        (carrier("relay").processorSecondsPerGigabyte / carrier("haproxy").processorSecondsPerGigabyte) as $cost |
        row("relay, 60 × 20 Mbit/s: processor time for a GB ÷ HAProxy"; 1.5; 1; $cost; "\($cost | two): \(carrier("relay").processorSecondsPerGigabyte) s ÷ \(carrier("haproxy").processorSecondsPerGigabyte) s (with splice-auto \(carrier("haproxy-splice").processorSecondsPerGigabyte) s)"),
        (if added("haproxy") > 0 then added("relay") / added("haproxy") else null end) as $late |
        row("the same: added p99 latency ÷ HAProxy"; 2; 1; $late; "\($late | if . then two else "–" end): \(added("relay") | two) ms ÷ \(added("haproxy") | two) ms"),
        (if .lab then "\n## From leaving to ready, step by step\n", "| | took | steps |\n| --- | --- | --- |",
            (.lab.remake.restored[] | "| restored | \(.milliseconds / 1000 | two) s | \(.steps) |"), (.lab.remake.booted[] | "| booted | \(.milliseconds / 1000 | two) s | \(.steps) |")
         else empty end)' "$1"
}
