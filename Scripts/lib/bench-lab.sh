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

    # What becomes of each desktop, and when: so nothing that asks takes time from what is measured.
    cat >"$work/changes" <<'CHANGES'
punnet events | while IFS= read -r change; do printf '%s %s\n' "$EPOCHREALTIME" "$change"; done >/var/tmp/changes.log
CHANGES
    # until-ready NAMES COUNT LINE: ends once so many desktops whose names match were made ready after that line of the log.
    cat >"$work/until-ready" <<'READY'
exec 3< <(exec tail -n +"$3" -f /var/tmp/changes.log)
follower=$!
declare -A made
while [ "${#made[@]}" -lt "$2" ] && IFS= read -r change <&3; do
    [[ $change == *'"event":"desktop"'*'"state":"ready"'* && $change =~ \"name\":\"($1)\" ]] && made[${BASH_REMATCH[1]}]=yes
done
kill "$follower"
READY
    "$scripts/xen-lab" put --run "$bench_lab_folder" "$work/changes" /var/tmp/changes
    "$scripts/xen-lab" put --run "$bench_lab_folder" "$work/until-ready" /var/tmp/until-ready
    dom0 systemd-run --quiet --unit bench-changes bash /var/tmp/changes

    step "Six desktops, restored"
    dom0 punnet image add "$images" >/dev/null
    # It has the checkpoint made and proven, and keeps it without a desktop.
    dom0 punnet lab create keep --image debian-desktop --size 1 --memory 512MiB --vcpus 1 >/dev/null
    until_ready 'keep-[0-9]+' 1 1
    dom0 punnet lab set keep --size 0 >/dev/null
    until [ "$(dom0 punnet desktop list --json | jq length)" -eq 0 ]; do sleep 0.5; done
    local restored booted again=() cold=() count
    restored=$(filled room debian-desktop)
    for ((count = 0; count < 5; count++)); do again+=("$(remade room)"); done
    local memory
    memory=$(dom0 "stat -c %s /var/lib/punnet/checkpoints/*/memory*" | head -n 1)

    step "A thousand hand-outs, alone and beside two restores"
    local alone beside
    alone=$(dom0 "punnet-bench handout --count 1000")
    cat >"$work/remakes" <<'REMAKES'
for desktop in room-1 room-2; do
    while true; do
        line=$(($(wc -l </var/tmp/changes.log) + 1))
        punnet desktop remake "$desktop" --yes && bash /var/tmp/until-ready "$desktop" 1 "$line"
    done &
done
wait
REMAKES
    "$scripts/xen-lab" put --run "$bench_lab_folder" "$work/remakes" /var/tmp/remakes
    dom0 systemd-run --quiet --unit bench-remakes bash /var/tmp/remakes
    until [ "$(dom0 punnet desktop list --lab room --json | jq '[.[] | select(.state != "ready")] | length')" -eq 2 ]; do sleep 0.2; done
    beside=$(dom0 "punnet-bench handout --count 1000")
    dom0 systemctl stop bench-remakes
    until [ "$(dom0 punnet desktop list --lab room --json | jq '[.[] | select(.state == "ready")] | length')" -eq 6 ]; do sleep 0.5; done

    step "Six desktops, booted"
    dom0 punnet lab delete room --yes
    dom0 punnet lab delete keep --yes
    dom0 punnet image add /var/tmp/cold >/dev/null
    booted=$(filled cold booted)
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

# Waits until so many desktops whose names match were made ready after that line of what has changed.
until_ready() { dom0 "bash /var/tmp/until-ready '$1' $2 $3"; }

# The line of what has changed that comes next.
next_line() { dom0 "wc -l </var/tmp/changes.log" | awk '{ print $1 + 1 }'; }

# Milliseconds from the first change of such desktops after that line to the last one.
took_since() {
    dom0 "tail -n +$2 /var/tmp/changes.log" | awk -v names="\"name\":\"$1\"" '
        /"event":"desktop"/ && match($0, names) { if (!first) first = $1; last = $1 } END { printf "%d\n", (last - first) * 1000 }'
}

# Makes a lab of six desktops of an image, and tells in how many milliseconds they were ready.
filled() {
    local line
    line=$(next_line)
    dom0 punnet lab create "$1" --image "$2" --size 6 --memory 512MiB --vcpus 1 >/dev/null
    until_ready "$1-[0-9]+" 6 "$line"
    took_since "$1-[0-9]+" "$line"
}

# Has a lab's first desktop made anew while its other five stand, and tells how long that took, and its steps as the journal has them.
remade() {
    local line took
    line=$(next_line)
    dom0 punnet desktop remake "$1-1" --yes >/dev/null
    until_ready "$1-1" 1 "$line"
    took=$(took_since "$1-1" "$line")
    jq -n --argjson milliseconds "$took" --arg steps "$(dom0 "journalctl -u punnetd -o cat | grep 'desktop ready' | tail -n 1" | sed -nE 's/.*took="?(.*[0-9] s).*/\1/p')" \
        '{milliseconds: $milliseconds, steps: $steps}'
}
