# shellcheck shell=bash disable=SC2154 # what is not set here, Scripts/test and its other parts set
# The long run. A lab in which nothing happens for two hours stands beside the others, of which there is one at a time: two that work are too much
# for two processors.
#
#   long_run [PART…]   runs them, counts their tests and writes Docs/Proof/LongRun-<part>.md for each
#   long_run_end       ends what they left, however they ended

declare -A long_run_skips=(
    [room]='/(Setbacks|Standing|Survival)/'
    [sudden-ends]='/(Filling|Product|Sessions|Setbacks|Standing|Strangers|Teacher|Work)/'
    [bad-days]='/(Filling|Product|Sessions|Standing|Strangers|Survival|Teacher|Work)/'
    [standing]='/(Filling|Product|Sessions|Setbacks|Strangers|Survival|Teacher|Work)/'
)
declare -A long_run_names=(
    [room]='The room, and the contract asked of real Xen'
    [sudden-ends]='Sudden ends'
    [bad-days]='Bad days'
    [standing]='Two hours without a pupil'
)
long_run_parts=(standing sudden-ends bad-days room)
# The processes of the parts that were begun, by their names, and when.
declare -A long_run_pids=() long_run_began=()

long_run() {
    local part
    [ $# -gt 0 ] || set -- "${long_run_parts[@]}"
    export PUNNET_LONG=yes
    for part; do
        (
            export PUNNET_LAB=$work/lab-$part PUNNET_LONG_REPORT=$work/$part.md
            exec "$programs/punnetPackageTests.xctest" --testing-library swift-testing --filter '^XenLabTests\.' --skip "${long_run_skips[$part]}"
        ) >"$work/$part.log" 2>&1 &
        long_run_pids[$part]=$!
        long_run_began[$part]=$SECONDS
        (tail -n +1 -F --pid "$!" "$work/$part.log" 2>/dev/null | sed -u "s/^/$part: /") &
        if [ "$part" = standing ] && [ $# -gt 1 ]; then
            until grep -q 'figure: two desktops, from nothing to ready' "$work/$part.log" || ! kill -0 "${long_run_pids[$part]}" 2>/dev/null; do sleep 1; done
        else
            long_run_part_ended "$part"
        fi
    done
    for part in "${!long_run_pids[@]}"; do long_run_part_ended "$part"; done
}

# Waits for the part, counts it, keeps its report and ends its lab.
long_run_part_ended() {
    local part=$1 status=0
    wait "${long_run_pids[$part]}" || status=$?
    tally "$work/$part.log" "$status"
    long_run_report "$part" >"$root/Docs/Proof/LongRun-$part.md"
    long_run_stop "$part"
}

long_run_stop() {
    kill "${long_run_pids[$1]}" 2>/dev/null || true
    "$scripts/xen-lab" stop --run "$work/lab-$1" --purge >/dev/null 2>&1 || true
    unset "long_run_pids[$1]"
}

long_run_end() {
    local part
    for part in "${!long_run_pids[@]}"; do long_run_stop "$part"; done
}

long_run_report() {
    local part=$1 began=${long_run_began[$1]} emulated='everything emulated (TCG)'
    if grep -qwE 'vmx|svm' /proc/cpuinfo && [ -w /dev/kvm ]; then emulated=KVM; fi
    cat <<REPORT
# The long run: ${long_run_names[$part]}

What \`Scripts/test --long $part\` did and saw.

| | |
| --- | --- |
| commit | $(git describe --always --dirty --abbrev=40) |
| machine | $(nproc) processors ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)), $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r) |
| the lab in it | 2 processors, 6 GiB, 2 of them dom0's; $emulated |
| it took | $(((SECONDS - began) / 60)) minutes |
REPORT
    echo
    [ ! -e "$work/$part.md" ] || cat "$work/$part.md"
    printf '\n%s\n' "$(grep -E 'Test run with [0-9]+ test' "$work/$part.log" | tail -n 1 | sed -E 's/^[^T]*//' || echo 'It did not end.')"
    sed -nE 's/^.*✘.* Test ([A-Za-z]+\(.*\)) failed after.*/- \1 failed./p' "$work/$part.log"
}
