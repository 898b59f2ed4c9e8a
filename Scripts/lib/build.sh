# shellcheck shell=bash
# What building Punnet takes.
#
#   require_toolchain        refuses, with the remedy, where there is no Swift 6.3 or later
#   require_build_packages   installs the Debian packages that building needs
#   build_debug              builds everything, tests included; a warning of ours is a failure
#   build_release            builds the programs as they are shipped, into the folder that release_folder prints
#   lab_packages OUT         makes the packages of the release build and the lab's disk with them, in OUT

require_toolchain() {
    local version
    version=$(swift --version 2>/dev/null | sed -nE 's/.*Swift version ([0-9]+)\.([0-9]+).*/\1 \2/p' | head -n 1)
    if [ -z "$version" ]; then
        fail "there is no 'swift' in the PATH. Install a Swift 6.3 toolchain for Debian 12: swift.org/install/linux tells how."
    fi
    local major minor
    read -r major minor <<<"$version"
    if [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 3 ]; }; then
        fail "Swift $major.$minor is too old: Punnet needs 6.3 or later. swift.org/install/linux tells how to get it."
    fi
}

require_build_packages() {
    require_packages libxen-dev libvirt-dev libsqlite3-dev libssl-dev pkg-config binutils gcc libc6-dev libstdc++-12-dev git python3
}

# Shows the compiler's steps, one line each, and refuses warnings in the project's own sources.
build_with() {
    local log
    log=$(mktemp)
    swift build "$@" 2>&1 | tee "$log" | grep --line-buffered -E 'error:|warning: .*|Compiling|Build (of product .* )?complete|Fetching' |
        awk '/Compiling/ { if (++n % 100 == 0) { print "  … " n " files"; fflush() } next } { print; fflush() }' || true
    if ! grep -qE 'Build (of product .* )?complete!' "$log"; then
        grep -E 'error' -A 6 "$log" | head -n 80
        rm -f "$log"
        fail "the build failed"
    fi
    if grep -E "^$PWD/(Sources|Tests)/.*warning:" "$log"; then
        rm -f "$log"
        fail "the project's own sources have warnings"
    fi
    rm -f "$log"
}

# Of what a debugger reads only the lines, which a crash tells.
build_debug() {
    build_with --build-tests -Xswiftc -gline-tables-only -Xcc -g1
}

build_release() {
    build_with -c release --static-swift-stdlib
}

release_folder() {
    swift build -c release --static-swift-stdlib --show-bin-path
}

lab_packages() {
    appliance/packages/build --lab "$(release_folder)" "$1"
}
