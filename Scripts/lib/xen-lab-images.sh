# shellcheck shell=bash disable=SC2034 # xen-lab and its other parts use what is set here
# The lab's images, from the cache or built: sets server_image, desktop_image (folders) and images_disk (a file).

lab_appliance=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../appliance")
lab_desktop=$(realpath "$(dirname "${BASH_SOURCE[0]}")/xen-lab-desktop")

build_images() {
    require_packages debootstrap e2fsprogs qemu-utils xz-utils lz4 zstd busybox-static cpio openssl util-linux
    local shared
    shared=$(hash_of "$lab_appliance/lib")
    server_image=$(cached server "$(hash_of "$lab_appliance/server" | sha_with "$shared")" "$lab_appliance/server/build")
    desktop_image=$(cached desktop "$(hash_of "$lab_appliance/desktop" "$lab_appliance/packages/punnet-guest" "$lab_appliance/packages/build" |
        sha_with "$shared")" "$lab_appliance/desktop/build")
    # The disk holds this very desktop, whose password is its build's own.
    images_disk=$(cached images "$(sha256sum "$desktop_image/image.json" | sha_with "$(hash_of "${BASH_SOURCE[0]}" "$lab_desktop")")" \
        bash "${BASH_SOURCE[0]}" disk "$desktop_image")/images.img
}

sha_with() {
    { cat; printf '%s' "$1"; } | sha256sum | cut -c1-16
}

# Makes OUT/images.img, the disk PUNNET-IMAGES with one folder an image. What only the lab's disk has: a ramdisk that lays the lab's own files
# over the desktop's, which its tests look through, and the switch by which an emulated guest does not spend a third of its time on
# mitigations for what no emulator does.
build_images_disk() {
    local desktop=$1 out=$2 folder=$2/tree/debian-desktop size sum
    mkdir -p "$folder" "$out/lab"
    ln "$desktop"/{disk.qcow2,vmlinux} "$folder/" 2>/dev/null || cp "$desktop"/{disk.qcow2,vmlinux} "$folder/"
    cp "$lab_desktop/init" "$out/lab/lab-init"
    cp -r "$lab_desktop/files" "$out/lab/lab"
    chmod -R u=rwX,go=rX "$out/lab"
    # The kernel unpacks one archive after the other.
    (cd "$out/lab" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | cat "$desktop/initrd.img" - >"$folder/initrd.img"
    sum=$(sha256sum "$folder/initrd.img" | cut -d' ' -f1)
    sed -e 's/\("commandLine": "[^"]*\)"/\1 mitigations=off rdinit=\/lab-init"/' -e "s/\(\"ramdisk\": \"\)[0-9a-f]\{64\}\"/\1$sum\"/" \
        "$desktop/image.json" >"$folder/image.json"
    size=$(du --summarize --block-size=1M "$out/tree" | cut -f1)
    truncate --size "$((size + size / 20 + 16))M" "$out/images.img"
    mke2fs -q -F -t ext4 -O ^has_journal -m 0 -L PUNNET-IMAGES -d "$out/tree" "$out/images.img"
    rm -rf "$out/tree" "$out/lab"
}

# Run as a program, as the cache wants it: xen-lab-images.sh disk DESKTOP OUT.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    if [ "$1" = disk ]; then build_images_disk "$2" "$3"; fi
fi
