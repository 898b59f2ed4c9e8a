# shellcheck shell=bash
# How an image's file tree is made: Debian's own tools in a folder, then a file system of it, with nothing mounted outside a namespace
# of its own. Needs root. Downloaded packages are kept in $PUNNET_CACHE/debs.

debian_suite=bookworm
debian_archives=${PUNNET_CACHE:-/var/cache/punnet}/debs

# Fills TREE with Debian's minimal system, and lets its apt read the same archives as this machine's.
tree_debootstrap() {
    local tree=$1
    mkdir -p "$debian_archives"
    run_logged debootstrap --variant=minbase --cache-dir="$debian_archives" "$debian_suite" "$tree"
    if grep -qs "$debian_suite" /etc/apt/sources.list.d/debian.sources; then
        cp /etc/apt/sources.list.d/debian.sources "$tree/etc/apt/sources.list.d/"
        : >"$tree/etc/apt/sources.list"
    elif grep -qs "^deb .*$debian_suite" /etc/apt/sources.list; then
        grep "^deb .*$debian_suite" /etc/apt/sources.list >"$tree/etc/apt/sources.list"
    fi
    # Nobody reads manuals here, and unpacking them is a good part of an installation.
    cat >"$tree/etc/dpkg/dpkg.cfg.d/punnet-image" <<'CFG'
force-unsafe-io
path-exclude=/usr/share/man/*
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/icons/*/scalable/*
CFG
    printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
    chmod 755 "$tree/usr/sbin/policy-rc.d"
}

# Runs a command inside TREE, with /proc, /dev, the network and the kept packages, in a mount namespace that ends with it.
tree_run() {
    local tree=$1
    shift
    # shellcheck disable=SC2016 # expanded by the inner shell
    run_logged flock "$debian_archives" unshare --mount --propagation private bash -euc '
        tree=$1 archives=$2
        shift 2
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        mkdir -p "$tree/var/cache/apt/archives"
        mount --bind "$archives" "$tree/var/cache/apt/archives"
        if [ ! -L "$tree/etc/resolv.conf" ]; then
            touch "$tree/etc/resolv.conf"
            mount --bind "$(realpath /etc/resolv.conf)" "$tree/etc/resolv.conf"
        fi
        exec chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root "$@"
    ' bash "$tree" "$debian_archives" "$@"
}

# Installs the packages named in a list (one a line, # begins a comment) into TREE.
tree_install() {
    local tree=$1 list=$2 names
    mapfile -t names < <(sed -e 's/#.*//' "$list" | tr -s ' \t' '\n' | grep .)
    tree_run "$tree" apt-get -q update
    tree_run "$tree" apt-get -q -y --no-install-recommends install "${names[@]}"
}

# Copies a folder of files over TREE, owned by root; what was executable stays so.
tree_overlay() {
    local tree=$1 files=$2
    (cd "$files" && tar --create --owner=root --group=root --mode='u+rw,go+rX,go-w' .) | tar --extract --directory "$tree"
}

# Removes what only the build needed.
tree_clean() {
    local tree=$1
    rm -f "$tree/usr/sbin/policy-rc.d" "$tree"/var/cache/apt/*.bin "$tree/etc/machine-id" "$tree/var/lib/dbus/machine-id"
    rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/archives/* "$tree"/var/cache/debconf/*-old "$tree"/var/log/*.log \
        "$tree"/var/log/apt "$tree"/tmp/* "$tree"/var/tmp/*
    : >"$tree/etc/machine-id"
}

# The name of the one kernel in TREE.
tree_kernel() {
    local tree=$1 names=("$1"/lib/modules/*)
    [ ${#names[@]} -eq 1 ] && [ -d "${names[0]}" ] || fail "there must be one kernel in $tree/lib/modules, not ${#names[@]}."
    basename "${names[0]}"
}

# Takes the uncompressed kernel out of a bzImage: what starts it (Xen, libxl) then need not decompress it each time.
extract_vmlinux() {
    local image=$1 vmlinux=$2 magic unpack offset
    while read -r magic unpack; do
        for offset in $(LC_ALL=C grep --text --byte-offset --only-matching --perl-regexp "$magic" "$image" | cut -d: -f1); do
            # Bytes follow the compressed kernel, which the tools complain about after they have written it.
            # shellcheck disable=SC2086 # a command and its options
            tail -c "+$((offset + 1))" "$image" | $unpack >"$vmlinux" 2>/dev/null || true
            if [ "$(head -c 4 "$vmlinux")" = $'\177ELF' ]; then return 0; fi
        done
    done <<'METHODS'
\xFD7zXZ\x00 xz --decompress --stdout --single-stream
\x02!L\x18 lz4 --decompress --stdout
\x28\xB5\x2F\xFD zstd --decompress --stdout
METHODS
    fail "found no compressed kernel in $image."
}

# Runs a command with its output in $build_log; shows the end of it when the command fails.
run_logged() {
    "$@" >>"$build_log" 2>&1 || {
        printf '%s failed. The end of %s:\n' "$1" "$build_log" >&2
        tail -n 30 "$build_log" >&2
        return 1
    }
}
