# shellcheck shell=bash
# The fuzzer: libFuzzer makes bytes up where strangers' arrive (Tests/FuzzTests). Needs cache.sh, progress.sh and a debug build.
#
#   fuzzer_program                    prints the fuzzer's path; builds it where its inputs have changed
#   fuzz SECONDS FOUND [TARGET…]      tries all targets (or these) for so long in all, on all processors, and prints what was tried, what
#                                     was reached, and the count; what reaches more than the corpus lands in FOUND/<target>, what breaks
#                                     something in Tests/FuzzTests/Crashes/<target>
#   fuzz_keep FOUND [TARGET…]         makes the corpus anew of what it has and what was found: the fewest inputs that reach the same

fuzz_tests=Tests/FuzzTests

fuzzer_program() {
    local hash folder
    hash=$({
        hash_of Sources/Identity Sources/Relay Sources/ControlServer Sources/COpenSSL Sources/punnet-relay/RequestReader.swift \
            "$fuzz_tests/Targets" "$fuzz_tests/Driver" Package.swift Package.resolved Scripts/lib/fuzz-build
        swift --version 2>/dev/null
    } | sha256sum | cut -c1-16)
    folder=$(cached fuzzer "$hash" Scripts/lib/fuzz-build) || return 1
    printf '%s/fuzzer\n' "$folder"
}

fuzz() {
    local total=$1 found=$2 program lanes running=0 seconds target length passed=0 failed=0 targets=() list
    shift 2
    program=$(fuzzer_program) || fail "the fuzzer could not be built"
    list=$(PUNNET_FUZZ_LIST=1 "$program")
    mapfile -t targets < <(if [ $# -gt 0 ]; then printf '%s\n' "$@"; else cut -d' ' -f1 <<<"$list"; fi)
    lanes=$(nproc)
    [ "$lanes" -le "${#targets[@]}" ] || lanes=${#targets[@]}
    seconds=$((total * lanes / ${#targets[@]}))
    [ "$seconds" -ge 1 ] || seconds=1
    for target in "${targets[@]}"; do
        length=$(awk -v name="$target" '$1 == name { print $2 }' <<<"$list")
        [ -n "$length" ] || fail "there is no target '$target'. There are: $(cut -d' ' -f1 <<<"$list" | tr '\n' ' ')"
        if [ "$running" -ge "$lanes" ]; then
            wait -n || true
            running=$((running - 1))
        fi
        fuzz_one "$program" "$target" "$length" "$seconds" "$found" &
        running=$((running + 1))
    done
    wait
    for target in "${targets[@]}"; do
        if fuzz_report "$target" "$found/$target.log" "$(awk -v name="$target" '$1 == name { for (i = 3; i <= NF; i++) print $i }' <<<"$list")"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    done
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

fuzz_one() {
    local program=$1 target=$2 length=$3 seconds=$4 found=$5
    mkdir -p "$found/$target" "$fuzz_tests/Crashes/$target"
    # Swift's own report of a crash would come instead of the fuzzer's, which keeps the input.
    SWIFT_BACKTRACE=enable=no PUNNET_FUZZ_TARGET=$target nice -n 5 "$program" -max_total_time="$seconds" -max_len="$length" -timeout=10 \
        -rss_limit_mb=1024 -print_final_stats=1 -print_coverage=1 -artifact_prefix="$fuzz_tests/Crashes/$target/" \
        "$found/$target" "$fuzz_tests/Corpus/$target" >"$found/$target.log" 2>&1 || echo "the fuzzer ended with $?" >>"$found/$target.log"
    rmdir "$fuzz_tests/Crashes/$target" 2>/dev/null || true
}

# One line of what a target's run came to; all of the run where something broke.
fuzz_report() {
    local target=$1 log=$2 files=$3 tried edges
    tried=$(sed -nE 's/^stat::number_of_executed_units: +([0-9]+)$/\1/p' "$log")
    edges=$(awk -v files="$files" '
        BEGIN { count = split(files, file, "\n") }
        /COVERED_FUNC/ { for (i = 1; i <= count; i++) if (index($NF, "/" file[i] ":")) for (j = 1; j < NF; j++) if ($j == "edges:") { split($(j + 1), n, "/"); a += n[1]; b += n[2] } }
        END { printf "%d of %d", a, b }' "$log")
    if grep -q '^the fuzzer ended with' "$log" || [ "${tried:-0}" -eq 0 ]; then
        printf 'FAILED: fuzzing %s; what broke it is in %s/Crashes/%s\n' "$target" "$fuzz_tests" "$target"
        grep -vE 'COVERED_FUNC|UNCOVERED_PC' "$log" | tail -n 40
        return 1
    fi
    printf 'fuzzed %-12s %9d inputs, %s edges of %s reached\n' "$target" "$tried" "$edges" "$(tr '\n' ' ' <<<"$files")"
}

fuzz_keep() {
    local found=$1 program target kept
    shift
    program=$(fuzzer_program) || return 1
    for target in "$@"; do
        kept=$(mktemp -d)
        SWIFT_BACKTRACE=enable=no PUNNET_FUZZ_TARGET=$target "$program" -set_cover_merge=1 "$kept" "$fuzz_tests/Corpus/$target" "$found/$target" \
            >"$found/$target.merge.log" 2>&1 || { tail -n 20 "$found/$target.merge.log" >&2; return 1; }
        rm -rf "$fuzz_tests/Corpus/$target"
        mkdir -p "$fuzz_tests/Corpus/$target"
        cp "$kept"/* "$fuzz_tests/Corpus/$target/"
        rm -rf "$kept"
        printf 'kept %-12s %d inputs\n' "$target" "$(find "$fuzz_tests/Corpus/$target" -type f | wc -l)"
    done
}
