# shellcheck shell=bash disable=SC2154 # what is not set here, xen-lab and its other parts set
# The emulated machine: start, power cut, stop. Its folder holds
#
#   disk.qcow2      what it wrote, over the cached image; image.env names that image
#   console.log     Xen's and dom0's console; qemu.log, channel.log, dnsmasq.log
#   channel.sock    the lab's channel; monitor.sock   QEMU's monitor
#   lab.env         how it was started: network, ports

# Whether the process of a pid file has ended (or is another program's by now).
ended() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 0
    [ -n "$pid" ] && [ -d "/proc/$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "$2" && return 1
    return 0
}

# Ends the process of a pid file, and waits for it.
end() {
    local pid
    if ! ended "$1" "$2"; then
        pid=$(cat "$1")
        kill -9 "$pid" 2>/dev/null || true
        while [ -d "/proc/$pid" ] && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; do sleep 0.05; done
    fi
    rm -f "$1"
}

free_port() {
    perl -MSocket -e 'socket(my $s, AF_INET, SOCK_STREAM, 0); bind($s, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die "$!\n";
        print((unpack_sockaddr_in(getsockname($s)))[0])'
}

machine_start() {
    local network=user packages='' cpu=Nehalem memory=6144 dom0_memory=2048 address=127.0.0.1 https='' rdp='' wait=yes
    while [ $# -gt 0 ]; do
        case $1 in
            --network) network=$2; shift 2 ;;
            --packages) packages=$(realpath -e "$2") || fail "there is no $2."; shift 2 ;;
            --cpu) cpu=$2; shift 2 ;;
            --memory) memory=$2; shift 2 ;;
            --dom0-memory) dom0_memory=$2; shift 2 ;;
            --address) address=$2; shift 2 ;;
            --https) https=$2; shift 2 ;;
            --rdp) rdp=$2; shift 2 ;;
            --no-wait) wait=; shift ;;
            *) fail "start knows no option $1; --help lists them." ;;
        esac
    done
    case $network in user | lan) ;; *) fail "--network is user or lan, not $network." ;; esac
    mkdir -p "$run"
    chmod 700 "$run"
    exec 7>"$run/lock"
    flock -n 7 || fail "another command is at work on $run."
    ended "$run/qemu.pid" qemu-system-x86_64 || fail "the lab at $run runs already. Stop it: $0 stop --run $run"

    steps 3
    step "Lab: the images"
    require_packages qemu-system-x86 qemu-utils iproute2
    build_images

    step "Lab: starting the machine"
    # A disk that exists is booted again, over the image that it was made over.
    if [ -f "$run/disk.qcow2" ] && [ -f "$run/image.env" ]; then
        # shellcheck source=/dev/null
        . "$run/image.env"
        [ -f "$server_image/disk.qcow2" ] || fail "the image below $run/disk.qcow2 is gone from the cache. Begin anew: $0 stop --purge --run $run"
    else
        rm -f "$run/disk.qcow2"
        qemu-img create -q -f qcow2 -b "$server_image/disk.qcow2" -F qcow2 "$run/disk.qcow2"
        printf 'server_image=%q\n' "$server_image" >"$run/image.env"
    fi
    local options=() prefix=()
    if [ "$network" = lan ]; then
        lan_start
        prefix=(ip netns exec "$(lan_namespace)")
        options+=(-netdev "tap,id=lan,ifname=appliance,script=no,downscript=no")
    else
        https=${https:-$(free_port)}
        rdp=${rdp:-$(free_port)}
        options+=(-netdev "user,id=lan,restrict=on,hostfwd=tcp:$address:$https-:443,hostfwd=tcp:$address:$rdp-:3389")
    fi
    # /dev/kvm alone proves nothing: it opens on machines where Xen does not run on it.
    if [ -w /dev/kvm ] && grep -q -E -w 'vmx|svm' /proc/cpuinfo; then options+=(-accel kvm); else options+=(-accel "tcg,thread=multi"); fi
    [ -z "$packages" ] || options+=(-drive "file=$packages,format=raw,if=virtio,readonly=on")
    rm -f "$run"/{channel,port,monitor}.sock "$run/console.log"
    printf 'network=%s\nhttps=%s\nrdp=%s\naddress=%s\n' "$network" "$https" "$rdp" \
        "$([ "$network" = lan ] && echo "$appliance_lan_address" || echo "$address")" >"$run/lab.env"
    local since=$EPOCHREALTIME
    # Mitigations cost a third of the time under emulation, and guard nothing there; memory that is scrubbed is memory that this machine gives.
    "${prefix[@]}" qemu-system-x86_64 -name "punnet-lab $run" -cpu "$cpu" -smp 2 -m "$memory" -display none -no-reboot -nodefaults \
        -daemonize -pidfile "$run/qemu.pid" -D "$run/qemu.log" \
        -chardev "file,id=console,path=$run/console.log" -serial chardev:console \
        -chardev "socket,id=monitor,path=$run/monitor.sock,server=on,wait=off" -mon chardev=monitor,mode=readline \
        -kernel "$server_image/xen" \
        -append "console=com1 com1=115200,8n1 dom0_mem=${dom0_memory}M,max:${dom0_memory}M dom0_max_vcpus=2 bootscrub=0 xpti=no spec-ctrl=no" \
        -initrd "$server_image/vmlinux root=/dev/vda rw console=hvc0 net.ifnames=0 mitigations=off,$server_image/initrd.img" \
        -drive "file=$run/disk.qcow2,format=qcow2,if=virtio,discard=unmap" \
        -drive "file=$images_disk,format=raw,if=virtio,readonly=on" \
        -device "virtio-net-pci,netdev=lan,mac=$appliance_mac,romfile=" \
        -device virtio-rng-pci -device virtio-serial-pci \
        -chardev "socket,id=channel,path=$run/port.sock,server=on,wait=off" \
        -device virtserialport,chardev=channel,name=punnet.lab \
        "${options[@]}" 7>&- || fail "QEMU did not start."
    "$scripts/lib/xen-lab-channel" carry "$run/port.sock" "$run/channel.sock" </dev/null >"$run/channel.log" 2>&1 7>&- &
    echo $! >"$run/channel.pid"
    disown

    step "Lab: waiting for the appliance"
    if [ -n "$wait" ]; then
        while [ ! -S "$run/channel.sock" ]; do sleep 0.1; done
        local left=600
        until "$scripts/lib/xen-lab-channel" run "$run/channel.sock" 5 true 2>/dev/null; do
            ended "$run/qemu.pid" qemu-system-x86_64 && fail "the machine ended while booting. Its console: $run/console.log"
            left=$((left - 5))
            [ "$left" -gt 0 ] || fail "the lab's channel does not answer. Has $packages the package punnet-lab? The console: $run/console.log"
            sleep 0.2
        done
    fi
    steps_done
    echo "The appliance runs, $(seconds_since "$since") after power-on." >&2
    machine_status
}

machine_status() {
    local network='' https='' rdp='' address=''
    if ended "$run/qemu.pid" qemu-system-x86_64; then
        echo "lab=stopped"
        echo "run=$run"
        return 0
    fi
    # shellcheck source=/dev/null
    . "$run/lab.env"
    printf 'lab=running\nrun=%s\npid=%s\nnetwork=%s\naddress=%s\nhttps=%s\nrdp=%s\nconsole=%s\n' "$run" "$(cat "$run/qemu.pid")" "$network" \
        "$address" "${https:-443}" "${rdp:-3389}" "$run/console.log"
    if [ "$network" = lan ]; then
        printf 'namespace=%s\n' "$(lan_namespace)"
        local name
        for name in $(ip netns list | cut -d' ' -f1 | grep "^$(lan_namespace)-seat-" || true); do
            name=${name#"$(lan_namespace)-seat-"}
            printf 'seat=%s %s\n' "$name" "$(seat_address "$name")"
        done
    fi
}

machine_power_cut() {
    ended "$run/qemu.pid" qemu-system-x86_64 && fail "no lab runs at $run."
    end "$run/qemu.pid" qemu-system-x86_64
    end "$run/channel.pid" xen-lab-channel
    rm -f "$run"/{channel,port,monitor}.sock
}

machine_stop() {
    local purge=
    while [ $# -gt 0 ]; do
        case $1 in
            --purge) purge=yes; shift ;;
            *) fail "stop knows no option $1; --help lists them." ;;
        esac
    done
    end "$run/qemu.pid" qemu-system-x86_64
    end "$run/channel.pid" xen-lab-channel
    lan_stop
    rm -f "$run"/{channel,port,monitor}.sock
    if [ -n "$purge" ] && [ -f "$run/image.env" ]; then rm -rf "$run"; fi
}
