# shellcheck shell=bash
# Progress on standard error: which step of how many, and how long each took.
#
#   steps 3                  announces how many steps follow
#   step "Building the tree" starts the next one (and ends the one before, printing its time)
#   steps_done               ends the last one
#   fail MESSAGE             prints the message and ends the script with 1

progress_total=0
progress_number=0
progress_name=
progress_since=0

steps() {
    progress_total=$1
    progress_number=0
    progress_name=
}

step() {
    steps_done
    progress_number=$((progress_number + 1))
    progress_name=$1
    progress_since=$EPOCHREALTIME
    printf '[%d/%d] %s …\n' "$progress_number" "$progress_total" "$progress_name" >&2
}

steps_done() {
    [ -n "$progress_name" ] || return 0
    printf '[%d/%d] %s: %s\n' "$progress_number" "$progress_total" "$progress_name" "$(seconds_since "$progress_since")" >&2
    progress_name=
}

# Seconds since a reading of $EPOCHREALTIME, as "12.3 s".
seconds_since() {
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
    local tenths=$(((now - then) / 100000))
    printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}
