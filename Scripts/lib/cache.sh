# shellcheck shell=bash
# What takes minutes to build and depends on nothing but its inputs is kept outside the repository, in a folder named by the hash of
# those inputs: $PUNNET_CACHE/<kind>-<hash>. A folder of that name is complete: it is built under another name and renamed.
#
#   cache_root               where the cache is
#   hash_of PATH…            one hash over the contents, names and modes of these files and folders
#   cached KIND HASH COMMAND…  prints the folder of that kind and hash; where it is missing runs `COMMAND… FOLDER` to fill it first.
#                            Of each kind the two used last stay, and what was used within four hours. Safe with two at once.
#                            COMMAND must be a program, not a function, so that its own errors end it.

cache_root() {
    printf '%s' "${PUNNET_CACHE:-/var/cache/punnet}"
}

hash_of() {
    local path
    for path in "$@"; do
        [ -e "$path" ] || { printf 'hash_of: there is no %s\n' "$path" >&2; return 1; }
        (
            cd "$(dirname "$path")" || exit 1
            find "$(basename "$path")" \( -type f -o -type l \) -printf '%m %l %p\n' | LC_ALL=C sort
            find "$(basename "$path")" -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum
        )
    done | sha256sum | cut -c1-16
}

cached() {
    local kind=$1 hash=$2 root folder
    shift 2
    root=$(cache_root)
    folder=$root/$kind-$hash
    mkdir -p "$root"
    if [ ! -d "$folder" ]; then
        (
            flock 8
            [ ! -d "$folder" ] || exit 0
            # With the lock held, an unfinished folder can only be left over from a build that was killed.
            rm -rf "$root/$kind".building.*
            unfinished=$(mktemp -d "$root/$kind.building.XXXXXX") &&
                chmod 755 "$unfinished" &&
                "$@" "$unfinished" >&2 &&
                mv "$unfinished" "$folder"
        ) 8>"$root/$kind.lock" || return 1
    fi
    touch "$folder"
    # shellcheck disable=SC2012 # the names are ours: a kind and a hash
    ls -1dt "$root/$kind"-???????????????? 2>/dev/null | tail -n +3 | while read -r old; do
        # One used within four hours may still back the disk of a lab.
        [ -n "$(find "$old" -maxdepth 0 -mmin -240)" ] || rm -rf "$old"
    done
    printf '%s\n' "$folder"
}
