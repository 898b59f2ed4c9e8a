# shellcheck shell=bash
# What of the bench needs real Xen: desktops of the lab, restored from a checkpoint and booted. Needs build.sh and progress.sh.
#
#   bench_lab PROGRAMS   boots a lab, measures in it, and writes $work/lab.json
#   bench_lab_end        ends the lab

bench_lab_folder=
# Room for six desktops of 512 MiB beside dom0, and a guest of the bench's own.
bench_lab_memory=7168

bench_lab_end() { [ -z "$bench_lab_folder" ] || "$scripts/xen-lab" stop --run "$bench_lab_folder" --purge >/dev/null 2>&1 || true; }

dom0() { "$scripts/xen-lab" exec --run "$bench_lab_folder" -- "$@"; }

bench_lab() {
    local programs=$1 images=/usr/share/punnet/images/debian-desktop
    step "Booting the lab"
    "$scripts/xen-lab" images >/dev/null
    lab_packages "$work/packages"
    bench_lab_folder=$work/lab
    "$scripts/xen-lab" start --run "$bench_lab_folder" --memory "$bench_lab_memory" --packages "$work/packages/packages.img"
    until dom0 punnet status >/dev/null 2>&1; do sleep 0.5; done
    strip -o "$work/punnet-bench" "$programs/punnet-bench"
    "$scripts/xen-lab" put --run "$bench_lab_folder" "$work/punnet-bench" /usr/local/bin/punnet-bench
    dom0 "chmod 755 /usr/local/bin/punnet-bench; mkdir /var/tmp/cold; cp $images/* /var/tmp/cold/"
    dom0 cat "$images/image.json" | jq 'del(.guest) | .name = "booted"' >"$work/booted.json"
    "$scripts/xen-lab" put --run "$bench_lab_folder" "$work/booted.json" /var/tmp/cold/image.json

    step "Six desktops, restored"
    dom0 punnet image add "$images" >/dev/null
    # It has the checkpoint made and proven, and keeps it without a desktop.
    dom0 punnet lab create keep --image debian-desktop --size 1 --memory 512MiB --vcpus 1 >/dev/null
    until_ready keep 1
    dom0 punnet lab set keep --size 0 >/dev/null
    until [ "$(dom0 punnet desktop list --json | jq length)" -eq 0 ]; do sleep 0.5; done
    local began restored booted again=() cold=() count
    began=$EPOCHREALTIME
    dom0 punnet lab create room --image debian-desktop --size 6 --memory 512MiB --vcpus 1 >/dev/null
    until_ready room 6
    restored=$(milliseconds_since "$began")
    for ((count = 0; count < 5; count++)); do again+=("$(remade room)"); done
    local memory
    memory=$(dom0 "stat -c %s /var/lib/punnet/checkpoints/*/memory*" | head -n 1)

    step "A thousand hand-outs, alone and beside two restores"
    local alone beside
    alone=$(dom0 "punnet-bench handout --count 1000")
    cat >"$work/remakes" <<'REMAKES'
while true; do
    for desktop in room-1 room-2; do
        punnet desktop list --lab room | grep -qE "^$desktop +room +ready " && punnet desktop remake "$desktop" --yes
    done
    sleep 0.2
done
REMAKES
    "$scripts/xen-lab" put --run "$bench_lab_folder" "$work/remakes" /var/tmp/remakes
    dom0 systemd-run --quiet --unit bench-remakes bash /var/tmp/remakes
    until [ "$(dom0 punnet desktop list --lab room --json | jq '[.[] | select(.state != "ready")] | length')" -eq 2 ]; do sleep 0.2; done
    beside=$(dom0 "punnet-bench handout --count 1000")
    dom0 systemctl stop bench-remakes
    until_ready room 6

    step "Six desktops, booted"
    dom0 punnet lab delete room --yes
    dom0 punnet lab delete keep --yes
    dom0 punnet image add /var/tmp/cold >/dev/null
    began=$EPOCHREALTIME
    dom0 punnet lab create cold --image booted --size 6 --memory 512MiB --vcpus 1 >/dev/null
    until_ready cold 6
    booted=$(milliseconds_since "$began")
    for ((count = 0; count < 3; count++)); do cold+=("$(remade cold)"); done
    jq -n --argjson restored "$restored" --argjson booted "$booted" --argjson alone "$alone" --argjson beside "$beside" --argjson memory "$memory" \
        --argjson again "[$(IFS=,; echo "${again[*]}")]" --argjson cold "[$(IFS=,; echo "${cold[*]}")]" '
        {fill: {restoredMilliseconds: $restored, bootedMilliseconds: $booted, ratio: ($restored / $booted)},
         remake: {restored: $again, booted: $cold,
            ratio: (([$again[].milliseconds] | sort | .[length / 2 | floor]) / ([$cold[].milliseconds] | sort | .[length / 2 | floor]))},
         pages: {saved: ($memory / 4096 | floor), profile: 131072, ratio: ($memory / 4096 / 131072)},
         handout: {alone: $alone.handout, beside: $beside.handout, ratio: ($beside.handout.p99 / $alone.handout.p99)}}' >"$work/lab.json"
    bench_lab_end
}

# Waits until a lab has so many ready desktops.
until_ready() {
    until [ "$(dom0 punnet desktop list --lab "$1" --json | jq '[.[] | select(.state == "ready")] | length')" -eq "$2" ]; do sleep 0.5; done
}

milliseconds_since() {
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
    echo $(((now - then) / 1000))
}

# Has a lab's first desktop made anew while its other five stand, and tells how long that took, and its steps as the journal has them.
remade() {
    local began took
    began=$EPOCHREALTIME
    dom0 punnet desktop remake "$1-1" --yes >/dev/null
    until_ready "$1" 6
    took=$(milliseconds_since "$began")
    jq -n --argjson milliseconds "$took" --arg steps "$(dom0 "journalctl -u punnetd -o cat | grep 'desktop ready' | tail -n 1" | sed -nE 's/.*took="?(.*[0-9] s).*/\1/p')" \
        '{milliseconds: $milliseconds, steps: $steps}'
}
