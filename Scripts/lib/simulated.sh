# shellcheck shell=bash
# A room on a simulated server: punnetd, its relay and simulated seats as processes of this user, on loopback.
#
#   simulated_start FOLDER DESKTOPS SEATS SPEED SEED   builds what is needed and starts it; SEED may be empty
#   simulated_stop FOLDER                              ends it, by process id, and removes the folder
#
# It needs lib/progress.sh, lib/packages.sh and lib/build.sh.

simulated_https=18443
simulated_relay=13389

simulated_start() {
    local run=$1 desktops=$2 seats=$3 speed=$4 seed=$5 programs since now=-1 before
    since=$EPOCHREALTIME
    steps 5
    step "Looking at the machine"
    require_toolchain
    require_build_packages
    require_packages jq

    step "Building punnetd, punnet-relay, punnet and punnet-bench (the first time: some minutes)"
    local program
    for program in punnetd punnet-relay punnet punnet-bench; do build_with --product "$program"; done
    programs=$(swift build --show-bin-path)

    step "Starting the appliance"
    mkdir -p "$run"
    chmod 700 "$run"
    mkdir "$run/data" "$run/run" "$run/image"
    simulated_settings "$run" "$speed" >"$run/punnet.yaml"
    simulated_image "$run/image"
    simulated_begin "$run" punnetd "$programs/punnetd" --config "$run/punnet.yaml"
    simulated_begin "$run" punnet-relay "$programs/punnet-relay" --listen "127.0.0.1:$simulated_relay" --desk "$run/run/relay.sock"
    punnet() { "$programs/punnet" "$@" --socket "$run/run/control.sock"; }
    until punnet status >/dev/null 2>&1; do
        simulated_lives "$run" punnetd || { tail -n 5 "$run/punnetd.log" >&2; fail "punnetd has ended: see $run/punnetd.log"; }
        sleep 0.1
    done
    simulated_lives "$run" punnet-relay || { tail -n 5 "$run/punnet-relay.log" >&2; fail "punnet-relay has ended: see $run/punnet-relay.log"; }

    step "Filling the room: $desktops desktops"
    punnet image add "$run/image" >&2
    punnet lab create room --image simulated-desktop --size "$desktops" --memory 1GiB --vcpus 2 --grace 15s >&2
    while [ "$now" -lt "$desktops" ]; do
        simulated_lives "$run" punnetd || fail "punnetd has ended: see $run/punnetd.log"
        before=$now
        now=$(punnet desktop list --json | jq '[.[] | select(.state == "ready")] | length')
        [ "$((now / 10))" -le "$((before / 10))" ] ||
            printf '  %d of %d desktops are ready, %s after the start\n' "$now" "$desktops" "$(seconds_since "$since")" >&2
        sleep 0.5
    done

    step "Switching on $seats seats"
    simulated_begin "$run" seats "$programs/punnet-bench" seats --socket "$run/run/control.sock" --https "127.0.0.1:$simulated_https" \
        --seats "$seats" ${seed:+--seed "$seed"}
    until [ "$(punnet status --json 2>/dev/null | jq .seats)" = "$seats" ]; do
        simulated_lives "$run" seats || { tail -n 5 "$run/seats.log" >&2; fail "the seats have ended: see $run/seats.log"; }
        sleep 0.2
    done
    steps_done
    simulated_tell "$run" "$programs" "$desktops" "$seats" "$speed"
}

simulated_settings() {
    cat <<SETTINGS
# A simulated server: no desktop is real. See Docs/Architecture.md.
hypervisor: simulated
simulated:
  memory: 64GiB
  processors: 16
  disk: 500GiB
  # So many times as fast as a real server builds, boots and ends desktops.
  speed: $2
data: $1/data
runtime: $1/run
panel: $PWD/Sources/ControlPanel/Files
image: $1/image
https:
  address: 127.0.0.1
  port: $simulated_https
relay:
  port: $simulated_relay
admin:
  group: $(id -gn)
pool:
  atOnce: 4
SETTINGS
}

# What the simulated server boots: nothing is in it, and nothing is read but its checksum.
simulated_image() {
    cat >"$1/image.json" <<'IMAGE'
{"name": "simulated-desktop", "boot": "pv", "disk": "disk", "kernel": "vmlinuz", "ramdisk": "initrd.img", "commandLine": "quiet",
 "account": {"user": "student", "password": "student"}, "minimumMemory": "256MiB"}
IMAGE
    truncate -s 256M "$1/disk"
    echo simulated | tee "$1/vmlinuz" >"$1/initrd.img"
}

simulated_tell() {
    cat <<TELL

A simulated room runs: $3 desktops, $4 seats that come and go; a server $5 times as fast as a real one. Only the hypervisor is played.

  the panel          https://127.0.0.1:$simulated_https/ (its certificate is its own), with the code in $1/run/console
  the room           $2/punnet status --socket $1/run/control.sock
  its desktops       $2/punnet desktop list --socket $1/run/control.sock
  who sits where     $2/punnet session list --socket $1/run/control.sock
  what the seats see tail -f $1/seats.log
  what punnetd says  tail -f $1/punnetd.log
  a seat's HTTPS     curl -k https://127.0.0.1:$simulated_https/health
  the end            Scripts/run stop
TELL
}

# Starts a program in the background; its process id and what it says are kept in the folder.
simulated_begin() {
    local run=$1 name=$2
    shift 2
    setsid "$@" >>"$run/$name.log" 2>&1 </dev/null &
    echo $! >"$run/$name.pid"
    # Until then the process is this script's own copy.
    until simulated_lives "$run" "$name" || ! kill -0 $! 2>/dev/null; do sleep 0.01; done
}

# Whether the program that was started under this name still runs; a process that took over its id does not name the folder.
simulated_lives() {
    local pid
    pid=$(cat "$1/$2.pid" 2>/dev/null) && [ -n "$pid" ] && cat "/proc/$pid/cmdline" 2>/dev/null | tr '\0' ' ' | grep -qF "$1/"
}

simulated_stop() {
    local run=$1 name try
    for name in seats punnet-relay punnetd; do
        simulated_lives "$run" "$name" || continue
        kill "$(cat "$run/$name.pid")"
        for ((try = 0; try < 300; try++)); do
            simulated_lives "$run" "$name" || break
            sleep 0.1
        done
        if simulated_lives "$run" "$name"; then
            kill -KILL "$(cat "$run/$name.pid")"
            printf '%s did not end by itself within 30 s and was killed.\n' "$name" >&2
        fi
        [ "$name" != seats ] || { echo "What the seats saw:" && sed -n '/^claims:/,$p' "$run/seats.log"; }
    done
    rm -rf "$run"
}
