# shellcheck shell=bash
# A xenstore of one's own, without Xen: Debian's oxenstored, reached through a socket as dom0's programs reach it. Needs root.
#
#   xenstore_start FOLDER    starts one that is empty, with all it keeps in FOLDER (an existing one): its socket is FOLDER/socket, which
#                            clients find by XENSTORED_PATH, and its process is in FOLDER/pid. It outlives the shell that started it.
#   xenstore_stop FOLDER     ends it, and returns when it has ended. What it held is gone
#
# A path without a leading slash is below /local/domain/0, since every client of the socket counts as dom0; permissions do not bind it.

# shellcheck source=packages.sh
. "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/packages.sh"

xenstore_start() {
    local folder
    folder=$(realpath "$1") || return 1
    require_packages xen-utils-4.17 xenstore-utils strace util-linux || return 1
    rm -f "$folder/socket" "$folder/pid" "$folder/db"
    # What it takes for the hypervisor's devices is in a mount namespace of its own, as is its run folder: it opens a device for hypercalls,
    # which it then makes none of, and one for events, at which nothing ever happens. It insists on one interrupt: strace says yes to that, and
    # to nothing else. And it insists on as many files as the kernel allows, which a root without CAP_SYS_RESOURCE may not have.
    # shellcheck disable=SC2016 # expanded by the inner shell
    (cd "$folder" && exec setsid unshare --mount --propagation private sh -euc '
        umask 077
        echo $$ >pid
        ulimit -Hn >files
        mount --bind files /proc/sys/fs/nr_open
        mount -t tmpfs none /run
        mkdir /run/xen /run/xenstored
        mount --no-canonicalize --bind . /run/xenstored
        mount -t tmpfs none /dev
        mkdir /dev/xen
        mknod -m 600 /dev/null c 1 3
        mknod -m 600 /dev/xen/privcmd c 1 3
        mkfifo /dev/xen/evtchn
        printf "persistent = false\nxenstored-log-file = /dev/null\naccess-log-file = /dev/null\n" >settings
        exec strace --daemonize --follow-forks --seccomp-bpf --output=/dev/null --trace-path=/dev/xen/evtchn --trace=ioctl \
            --inject=ioctl:retval=1 /usr/lib/xen-4.17/bin/oxenstored --no-fork --no-domain-init --config-file /run/xenstored/settings
    ') </dev/null >"$folder/output" 2>&1 &
    for _ in $(seq 200); do
        if XENSTORED_PATH=$folder/socket xenstore-exists /tool/xenstored 2>/dev/null; then return 0; fi
        sleep 0.05
    done
    printf 'no xenstore came up in %s:\n' "$folder" >&2
    cat "$folder/output" >&2
    xenstore_stop "$folder"
    return 1
}

xenstore_stop() {
    local folder=$1 process
    { read -r process <"$folder/pid"; } 2>/dev/null || return 0
    xenstore_runs "$process" && kill "$process"
    for _ in $(seq 200); do
        xenstore_runs "$process" || break
        sleep 0.05
    done
    if xenstore_runs "$process"; then kill -KILL "$process"; fi
    rm -f "$folder/pid" "$folder/socket" "$folder/db"
}

# Whether this process is an oxenstored that has not ended.
xenstore_runs() {
    local state
    [ "$(cat "/proc/$1/comm" 2>/dev/null)" = oxenstored ] && state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) &&
        case $state in Z* | X* | '') false ;; esac
}
