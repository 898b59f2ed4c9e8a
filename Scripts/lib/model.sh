# shellcheck shell=bash
# The model test: the broker lives through random histories on a simulated server (Tests/BrokerModel).
#
# Needs build.sh. The program is built as what is shipped is: without the compiler's optimisation it takes three times as long.
#
#   model_histories N   lets it live through N histories in two processes; prints the count of what passed and failed
#   model_mutants       breaks each guard in a copy of the sources, one at a time; every one must be caught

model_build=(-c release --static-swift-stdlib --product punnet-model)

model_histories() {
    local program half=$(($1 / 2)) work failed=0 pid pids=() first
    build_with "${model_build[@]}"
    program=$(release_folder)/punnet-model
    work=$(mktemp -d)
    for first in 1 1000001; do
        nice -n 5 "$program" --histories "$half" --seed "$first" >"$work/$first" 2>&1 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || failed=$((failed + 1)); done
    cat "$work"/*
    rm -rf "$work"
    printf '%d passed, %d failed\n' $((2 - failed)) "$failed"
    [ "$failed" -eq 0 ]
}

# The copy is kept in the cache with its build, so that only what a mutant changes is compiled.
model_mutants() {
    local tree patch name passed=0 failed=0 log
    tree=$(cache_root)/mutants
    mkdir -p "$tree"
    find "$tree" -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} +
    git ls-files -co --exclude-standard -z | tar --null -T - -cf - | tar -xf - -C "$tree"
    log=$tree/log
    for patch in /dev/null "$tree"/Tests/BrokerModel/Mutants/*.patch; do
        name=$(basename "$patch" .patch)
        [ "$patch" = /dev/null ] || patch -s -p1 -d "$tree" <"$patch" || fail "the mutant '$name' does not fit the sources any more: make it anew"
        (cd "$tree" && swift build "${model_build[@]}") >"$log" 2>&1 || { tail -n 20 "$log"; fail "the mutant '$name' does not compile"; }
        local caught=
        (cd "$tree" && .build/release/punnet-model --histories 5000) >"$log" 2>&1 || caught=yes
        if [ "$patch" = /dev/null ]; then
            [ -z "$caught" ] || { cat "$log"; fail "the histories fail without any mutant"; }
            continue
        fi
        patch -s -R -p1 -d "$tree" <"$patch"
        if [ -n "$caught" ]; then
            passed=$((passed + 1))
            printf 'caught: %s\n  %s\n' "$name" "$(grep -m1 FAILED "$log")"
        else
            failed=$((failed + 1))
            printf 'FAILED: the mutant %s lives\n' "$name"
        fi
    done
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}
