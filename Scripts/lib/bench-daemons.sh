# shellcheck shell=bash
# What of the bench needs no Xen. Needs simulated.sh and progress.sh; $work is a folder for its files.
#
#   bench_claim_cost PROGRAMS                  instructions of a claim, its session's end and the making anew, with 10 desktops and with 1,000
#   bench_rest PROGRAMS DESKTOPS SECONDS       punnetd with so many parked desktops on the simulated server, which nobody uses for so long
#   bench_relay PROGRAMS                       what carries 60 links: punnet-relay, and HAProxy in TCP mode
#   bench_daemons_end                          ends what they have started
#
# Each prints one JSON object.

bench_processes=()

bench_daemons_end() {
    [ ${#bench_processes[@]} -eq 0 ] || kill "${bench_processes[@]}" 2>/dev/null || true
    bench_processes=()
}

# Instructions are counted by cachegrind, of a run with many claims and of one with few: the difference is what claims cost, and no start.
bench_claim_cost() {
    local desktops few=100 many=2100 counts=()
    # Valgrind does not understand what the compiler writes for debuggers.
    strip -o "$work/punnet-bench" "$1/punnet-bench"
    for desktops in 10 1000; do
        counts+=($((($(instructions "$desktops" "$many") - $(instructions "$desktops" "$few")) / (many - few))))
    done
    jq -n --argjson few "${counts[0]}" --argjson many "${counts[1]}" '{instructions: {desktops10: $few, desktops1000: $many}, ratio: ($many / $few)}'
}

instructions() {
    valgrind --tool=cachegrind --cache-sim=no --cachegrind-out-file=/dev/null \
        "$work/punnet-bench" claims --desktops "$1" --seats 1 --rounds "$2" --work "$work/cost" 2>&1 >/dev/null |
        sed -nE 's/.*I +refs: +([0-9,]+).*/\1/p' | tr -d ,
}

bench_rest() {
    local programs=$1 desktops=$2 seconds=$3 room=$work/room process ready=0 before after
    mkdir -p "$room/data" "$room/run" "$room/image"
    chmod 700 "$room"
    simulated_settings "$room" 100 >"$room/punnet.yaml"
    simulated_image "$room/image"
    "$programs/punnetd" --config "$room/punnet.yaml" --set pool.atOnce=16 >"$room/punnetd.log" 2>&1 &
    process=$!
    bench_processes+=("$process")
    room_command() { "$programs/punnet" "$@" --socket "$room/run/control.sock"; }
    until room_command status >/dev/null 2>&1; do
        kill -0 "$process" 2>/dev/null || { tail -n 5 "$room/punnetd.log" >&2; fail "punnetd has ended"; }
        sleep 0.2
    done
    room_command image add "$room/image" >/dev/null 2>&1
    room_command lab create room --image simulated-desktop --size "$desktops" --memory 256MiB --vcpus 1 >/dev/null
    while [ "$ready" -lt "$desktops" ]; do
        kill -0 "$process" 2>/dev/null || fail "punnetd has ended"
        sleep 1
        ready=$(room_command desktop list --json | jq '[.[] | select(.state == "ready")] | length')
    done
    # What follows a filling is over by then.
    sleep 75
    before=$(resting "$process")
    sleep "$seconds"
    after=$(resting "$process")
    kill "$process"
    wait "$process" || true
    bench_processes=()
    jq -n --argjson before "$before" --argjson after "$after" --argjson desktops "$desktops" --argjson seconds "$seconds" '
        {desktops: $desktops, seconds: $seconds, residentMB: ($after.resident / 1000), processorPercent: (($after.worked - $before.worked) / $seconds / 1e7),
         wakeUpsPerSecond: (($after.switches - $before.switches) / $seconds)}'
}

# Of a process: its resident memory in KiB, what its threads have worked in nanoseconds, and how often they were woken.
resting() {
    awk -v pid="$1" '
        FILENAME ~ /schedstat$/ { worked += $1 }
        FILENAME ~ /task.*status$/ && /^voluntary_ctxt_switches/ { switches += $2 }
        FILENAME == "/proc/" pid "/status" && /^VmRSS/ { resident = $2 }
        END { printf "{\"resident\": %d, \"worked\": %d, \"switches\": %d}\n", resident, worked, switches }' \
        "/proc/$1/status" "/proc/$1"/task/*/schedstat "/proc/$1"/task/*/status
}

bench_relay() {
    local programs=$1 folder=$work/relay desktops=13390 ours=13391 theirs=13392 spliced=13393
    mkdir -p "$folder"
    haproxy_settings "$theirs" "$desktops" "" >"$folder/haproxy.cfg"
    haproxy_settings "$spliced" "$desktops" "option splice-auto" >"$folder/haproxy-splice.cfg"
    "$programs/punnet-relay" --listen "127.0.0.1:$ours" --desk "$folder/desk.sock" --log-level error >"$folder/relay.log" 2>&1 &
    bench_processes+=($!)
    haproxy -db -f "$folder/haproxy.cfg" >"$folder/haproxy.log" 2>&1 &
    bench_processes+=($!)
    haproxy -db -f "$folder/haproxy-splice.cfg" >"$folder/haproxy-splice.log" 2>&1 &
    bench_processes+=($!)
    local port try
    for port in "$ours" "$theirs" "$spliced"; do
        for ((try = 0; try < 100; try++)); do
            ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
            sleep 0.1
        done
    done
    "$programs/punnet-bench" relay --desk "$folder/desk.sock" --port "$desktops" --through "relay:$ours:${bench_processes[0]}" \
        --through "haproxy:$theirs:${bench_processes[1]}" --through "haproxy-splice:$spliced:${bench_processes[2]}"
    bench_daemons_end
}

haproxy_settings() {
    cat <<SETTINGS
global
    nbthread 1
    maxconn 2000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    $3
listen desktops
    bind 127.0.0.1:$1
    server desktop 127.0.0.1:$2
SETTINGS
}
