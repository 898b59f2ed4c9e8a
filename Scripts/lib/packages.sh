# shellcheck shell=bash
# Packages of the machine that builds and tests.
#
#   require_packages NAME…   installs the Debian packages that are missing, without asking. Needs root only when one is missing.

require_packages() {
    local name missing=()
    for name in "$@"; do
        [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        printf '%s: these Debian packages are missing: %s. Run it as root or with sudo, and it installs them.\n' \
            "${0##*/}" "${missing[*]}" >&2
        return 1
    fi
    printf 'Installing %s …\n' "${missing[*]}" >&2
    local log
    log=$(mktemp)
    (
        # One at a time: apt's own lock answers a second caller with an error instead of making it wait.
        flock 9
        export DEBIAN_FRONTEND=noninteractive
        apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 || {
            apt-get -q -o DPkg::Lock::Timeout=600 update >>"$log" 2>&1
            apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1
        }
    ) 9>"${TMPDIR:-/tmp}/punnet-packages.lock" || {
        tail -n 20 "$log" >&2
        printf '%s: could not install %s; the whole log is in %s.\n' "${0##*/}" "${missing[*]}" "$log" >&2
        return 1
    }
    rm -f "$log"
}
