# shellcheck shell=bash disable=SC2154 # what is not set here, Scripts/test and its other parts set
# The long run: three labs beside each other, since most of it is waiting. Each boots once the room of the one before it is filled, so that
# none takes the other's work for its own slowness.
#
#   long_run     runs them, counts their tests and writes Docs/Proof/LongRun.md
#   long_run_end ends what an interrupted one left

declare -A long_run_skips=(
    [sudden-ends]='/(Setbacks|Standing)/'
    [bad-days]='/(Filling|Product|Sessions|Standing|Strangers|Survival|Work)/'
    [standing]='/(Filling|Product|Sessions|Setbacks|Strangers|Survival|Work)/'
)
declare -A long_run_names=(
    [sudden-ends]='The room, its sudden ends and the contract'
    [bad-days]='Bad days'
    [standing]='Two hours without a pupil'
)
long_run_parts=(standing sudden-ends bad-days)
long_run_pids=

long_run() {
    local part pid status
    local -A pids=()
    export PUNNET_LONG=yes
    for part in "${long_run_parts[@]}"; do
        (
            export PUNNET_LAB=$work/lab-$part PUNNET_LONG_REPORT=$work/$part.md
            exec "$programs/punnetPackageTests.xctest" --testing-library swift-testing --filter '^XenLabTests\.' --skip "${long_run_skips[$part]}"
        ) >"$work/$part.log" 2>&1 &
        pid=$!
        pids[$part]=$pid
        long_run_pids+=" $pid"
        (tail -n +1 -F --pid "$pid" "$work/$part.log" 2>/dev/null | sed -u "s/^/$part: /") &
        until grep -q 'figure: two desktops, from nothing to ready' "$work/$part.log" || ! kill -0 "$pid" 2>/dev/null; do sleep 1; done
    done
    for part in "${long_run_parts[@]}"; do
        status=0
        wait "${pids[$part]}" || status=$?
        tally "$work/$part.log" "$status"
    done
    long_run_pids=
    long_run_report >"$root/Docs/Proof/LongRun.md"
}

long_run_end() {
    local pid part
    for pid in $long_run_pids; do kill "$pid" 2>/dev/null || true; done
    for part in "${long_run_parts[@]}"; do
        [ -z "$long_run_pids" ] || "$scripts/xen-lab" stop --run "$work/lab-$part" --purge >/dev/null 2>&1 || true
    done
}

long_run_report() {
    local part emulated='everything emulated (TCG)'
    if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then emulated=KVM; fi
    cat <<REPORT
# The long run

What \`Scripts/test --long\` did and saw.

| | |
| --- | --- |
| commit | $(git describe --always --dirty --abbrev=40) |
| machine | $(nproc) processors ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r) |
| three labs in it, at the same time | each 2 processors, 6 GiB, 2 of them dom0's; $emulated |
| it took | $((SECONDS / 60)) minutes |
REPORT
    for part in sudden-ends bad-days standing; do
        printf '\n## %s\n\n' "${long_run_names[$part]}"
        [ ! -e "$work/$part.md" ] || cat "$work/$part.md"
        printf '\n%s\n' "$(grep -E 'Test run with [0-9]+ test' "$work/$part.log" | tail -n 1 | sed -E 's/^[^T]*//' || echo 'It did not end.')"
        sed -nE 's/^.*✘.* Test ([A-Za-z]+\(.*\)) failed after.*/- \1 failed./p' "$work/$part.log"
    done
}
