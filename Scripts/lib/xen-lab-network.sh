# shellcheck shell=bash disable=SC2154 # what is not set here, xen-lab and its other parts set
# The lab's networks. A LAN is a network namespace with a bridge: the appliance's tap, a DHCP server and the seats' cables are at it,
# and nothing leads out. Names come from the lab's folder, so that labs do not meet and what a crash left is found again.
#
#   10.77.0.1    the bridge itself, with the DHCP server
#   10.77.0.10   the appliance
#   10.77.0.101… the seats, in the order they were added

lan_network=10.77.0
appliance_mac=52:54:00:70:75:6e
appliance_lan_address=$lan_network.10

lan_tag() {
    printf '%s' "$run" | sha256sum | cut -c1-6
}

lan_namespace() {
    printf 'punnet-%s' "$(lan_tag)"
}

lan_exists() {
    [ -e "/run/netns/$(lan_namespace)" ]
}

lan_start() {
    local namespace
    namespace=$(lan_namespace)
    require_packages iproute2 dnsmasq-base
    lan_exists || ip netns add "$namespace"
    if ! ip -n "$namespace" link show lan >/dev/null 2>&1; then
        ip -n "$namespace" link set lo up
        ip -n "$namespace" link add lan type bridge forward_delay 0
        ip -n "$namespace" address add "$lan_network.1/24" dev lan
        ip -n "$namespace" link set lan up
    fi
    ip -n "$namespace" link show appliance >/dev/null 2>&1 || ip -n "$namespace" tuntap add appliance mode tap
    ip -n "$namespace" link set appliance master lan up
    ended "$run/dnsmasq.pid" dnsmasq || return 0
    rm -f "$run/dnsmasq.leases"
    ip netns exec "$namespace" dnsmasq --conf-file=/dev/null --port=0 --interface=lan --bind-interfaces --except-interface=lo \
        --dhcp-range="$lan_network.20,$lan_network.99,1h" --dhcp-host="$appliance_mac,$appliance_lan_address,punnet" \
        --dhcp-leasefile="$run/dnsmasq.leases" --pid-file="$run/dnsmasq.pid" --log-facility="$run/dnsmasq.log" --log-dhcp
}

lan_stop() {
    local name
    for name in $(ip netns list | cut -d' ' -f1 | grep "^$(lan_namespace)-seat-" || true); do seat_remove "${name#"$(lan_namespace)-seat-"}"; done
    end "$run/dnsmasq.pid" dnsmasq
    if lan_exists; then ip netns delete "$(lan_namespace)"; fi
}

# Seats

seat_namespace() {
    [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,30})$ ]] || fail "a seat's name has lower-case letters, digits and hyphens, not: $1"
    printf '%s-seat-%s' "$(lan_namespace)" "$1"
}

seat_present() {
    [ -e "/run/netns/$(seat_namespace "$1")" ] || fail "there is no seat $1. Add it: $0 seat add --run $run $1"
}

seat_address() {
    ip -n "$(seat_namespace "$1")" -4 -o address show dev eth0 | sed -n 's|.* inet \([0-9.]*\)/.*|\1|p'
}

seat_add() {
    local name=$1 route=${2:-} namespace lan number=101 used
    namespace=$(seat_namespace "$name")
    lan=$(lan_namespace)
    lan_exists || fail "there is no LAN at $run. Start a lab with one: $0 start --run $run --network lan"
    [ ! -e "/run/netns/$namespace" ] || fail "there is already a seat $name."
    used=$(ip -n "$lan" -o link show | sed -n 's/.* \(seat[0-9]*\)@.*/\1/p')
    while grep -qx "seat$number" <<<"$used"; do number=$((number + 1)); done
    [ "$number" -lt 255 ] || fail "there are no more addresses for seats on this LAN."
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
    ip -n "$lan" link add "seat$number" type veth peer name eth0 netns "$namespace"
    ip -n "$lan" link set "seat$number" master lan up
    ip -n "$namespace" address add "$lan_network.$number/24" dev eth0
    ip -n "$namespace" link set eth0 up
    [ -z "$route" ] || ip -n "$namespace" route add "$route" via "$appliance_lan_address"
    printf '%s.%s\n' "$lan_network" "$number"
}

seat_remove() {
    local namespace pids
    namespace=$(seat_namespace "$1")
    [ -e "/run/netns/$namespace" ] || return 0
    pids=$(ip netns pids "$namespace" 2>/dev/null || true)
    # shellcheck disable=SC2086 # one word a process
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
    # The interface goes with its namespace, but only once the last process in there is gone; the address is free again right now.
    ip -n "$namespace" link delete eth0 2>/dev/null || true
    ip netns delete "$namespace"
}

# The cable is pulled at the bridge's end, so that the seat sees a lost link, as with a real cable.
seat_cable() {
    local index
    index=$(ip -n "$(seat_namespace "$1")" -o link show dev eth0 | sed -n 's/.*eth0@if\([0-9]*\):.*/\1/p')
    ip -n "$(lan_namespace)" link set dev "$(ip -n "$(lan_namespace)" -o link show | sed -n "s/^$index: \(seat[0-9]*\)@.*/\1/p")" "$2"
}

seat_command() {
    local action=${1:-} name='' route=''
    [ $# -eq 0 ] || shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        if [ "$1" = --route ]; then
            route=${2:?--route needs a network, such as 10.88.0.0/24}
            shift 2
        elif [ -z "$name" ]; then
            name=$1
            shift
        else
            break
        fi
    done
    [ -n "$name" ] || fail "usage: seat add|exec|address|up|down|remove NAME …"
    case $action in
        add) seat_add "$name" "$route" ;;
        exec)
            [ "${1:-}" != -- ] || shift
            seat_present "$name"
            exec ip netns exec "$(seat_namespace "$name")" "$@"
            ;;
        address) seat_present "$name"; seat_address "$name" ;;
        up | down) seat_present "$name"; seat_cable "$name" "$action" ;;
        remove) seat_remove "$name" ;;
        *) fail "a seat can be added, removed, its cable be up or down, and a command be run on it; there is no seat $action." ;;
    esac
}
