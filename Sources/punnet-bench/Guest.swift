/// A guest that lives in its ramdisk: the image's busybox and drivers, with a first program of our own.
enum Guest {
    /// The image's ramdisk with another `/init`: the kernel unpacks archives one after the other, and the last file of a name stays.
    static func ramdisk(over path: String) throws -> [UInt8] {
        var bytes = try [UInt8](readFrom: path)
        while !bytes.count.isMultiple(of: 512) { bytes.append(0) }
        return bytes + archive(of: Array(initProgram.utf8), named: "init") + archive(of: [], named: "TRAILER!!!")
    }

    private static let initProgram = """
        #!/bin/busybox sh
        /bin/busybox mkdir -p /proc /sys /dev
        /bin/busybox mount -t proc proc /proc
        /bin/busybox mount -t sysfs sys /sys
        /bin/busybox mount -t devtmpfs dev /dev
        for module in /modules/*; do /bin/busybox insmod "$module"; done
        /bin/busybox --install -s /bin
        until [ -b /dev/xvda ]; do usleep 10000; done
        for word in $(cat /proc/cmdline); do
            case $word in punnet.*=*) export "${word#punnet.}" ;; esac
        done
        echo "up $(cat /sys/class/net/eth0/address)"

        network() {
            ip link set eth0 up
            cat > /lease << 'END'
        #!/bin/busybox sh
        [ "$1" = bound ] || exit 0
        ip addr flush dev eth0
        ip addr add "$ip/$mask" dev eth0
        echo "address $ip $hostname"
        END
            chmod +x /lease
            udhcpc -q -f -i eth0 -s /lease -t 10 -T 2 -O hostname 2> /dev/null
        }
        # may or cannot, what is tried, the command: one line with yes or no.
        try() {
            what="$1 $2"
            shift 2
            if timeout 8 "$@" > /dev/null 2>&1 < /dev/null; then echo "try $what yes"; else echo "try $what no"; fi
        }
        attack() {
            try may "ask the gateway for its MAC" arping -q -c 2 -w 3 -I eth0 "$gateway"
            try cannot "ask another desktop for its MAC" arping -q -c 2 -w 3 -I eth0 "$peer"
            try cannot "ping another desktop" ping -c 2 -W 2 "$peer"
            try cannot "open RDP of another desktop" nc -w 3 "$peer" 3389 -e true
            mac=$(arping -c 1 -w 3 -I eth0 "$gateway" | sed -n 's/.*[[]\\(.*\\)[]].*/\\1/p')
            arp -s "$peer" "$mac"
            try cannot "open RDP of another desktop by the gateway's MAC" nc -w 3 "$peer" 3389 -e true
            arp -d "$peer"
            ip route replace "$peer/32" via "$gateway"
            try cannot "ping another desktop through the gateway" ping -c 2 -W 2 "$peer"
            try cannot "open RDP of another desktop through the gateway" nc -w 3 "$peer" 3389 -e true
            ip route replace default via "$gateway"
            try cannot "ping the gateway" ping -c 2 -W 2 "$gateway"
            try cannot "open a service of dom0 on the gateway's address" nc -w 3 "$gateway" 8443 -e true
            try cannot "open a service of dom0 on its LAN address" nc -w 3 "$lan" 8443 -e true
            try cannot "ping dom0's LAN address" ping -c 2 -W 2 "$lan"
            try cannot "ask dom0 for its LAN address's MAC" arping -q -c 2 -w 3 -I eth0 "$lan"
            ip addr add "$peer/32" dev eth0
            try cannot "ping with another's address" ping -c 2 -W 2 -I "$peer" "$gateway"
            try cannot "ask for a MAC with another's address" arping -q -c 2 -w 3 -s "$peer" -I eth0 "$gateway"
            arping -q -U -c 2 -w 3 -s "$peer" -I eth0 "$peer" > /dev/null 2>&1
            ip addr del "$peer/32" dev eth0
            ip link set eth0 down
            ip link set eth0 address "$forged"
            ip link set eth0 up
            ip route replace default via "$gateway"
            try cannot "ask for a MAC with a forged MAC" arping -q -c 2 -w 3 -I eth0 "$gateway"
            try cannot "get an address for a forged MAC" udhcpc -q -f -n -i eth0 -s /bin/true -t 3 -T 1
            echo done
        }

        # A request to xenstored, in its own bytes: the kind and the length in octal, a path, perhaps a value; and the answer's text.
        ask() {
            printf "\\\\$1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\\\$2\\0\\0\\0$3" >&3
            length=$(dd bs=16 count=1 2> /dev/null <&3 | od -An -tu4 -j12 -N4)
            dd bs=$((length)) count=1 2> /dev/null <&3
        }
        take_over() {
            exec 3<> /dev/xen/xenbus
            taken= told=
            while true; do
                call=$(ask 2 23 'punnet/memory/call\\0')
                if [ ${#call} = 32 ] && [ "$call" != "$told" ]; then
                    spare=$(awk '/^MemAvailable/ { printf "%07d", $2 }' /proc/meminfo)
                    ask 13 103 "punnet/memory/answer\\0spare $call $spare" > /dev/null
                    told=$call
                fi
                call=$(ask 2 25 'punnet/identity/call\\0')
                if [ ${#call} = 32 ] && [ "$call" != "$taken" ]; then
                    ask 13 63 "punnet/answer\\0time $call" > /dev/null
                    until time=$(ask 2 25 'punnet/identity/time\\0'); [ "${time% *}" = "$call" ]; do usleep 50000; done
                    ask 13 63 "punnet/answer\\0done $call" > /dev/null
                    taken=$call
                fi
                usleep 100000
            done
        }

        case $deed in
            takesOver) take_over & ;;
            poweroff) poweroff -f ;;
            reboot) reboot -f ;;
            crash) echo c > /proc/sysrq-trigger ;;
            listen)
                network
                echo listening
                while true; do nc -l -p 3389 -e /bin/echo hello; done
                ;;
            attack)
                network
                (while true; do nc -l -p 3389 -e /bin/echo hello; done) &
                attack
                ;;
        esac
        count=0
        while true; do
            count=$((count + 1))
            echo "tick $count $(cat /sys/class/net/eth0/address)"
            usleep 200000
        done

        """

    /// One file, executable, in the `newc` form of cpio.
    private static func archive(of content: [UInt8], named name: String) -> [UInt8] {
        func field(_ value: Int) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }
        let mode = content.isEmpty ? 0 : 0o100755
        let fields = [0, mode, 0, 0, 1, 0, content.count, 0, 0, 0, 0, name.utf8.count + 1, 0]
        var bytes = Array(("070701" + fields.map(field).joined() + name).utf8) + [0]
        while !bytes.count.isMultiple(of: 4) { bytes.append(0) }
        bytes += content
        while !bytes.count.isMultiple(of: 4) { bytes.append(0) }
        return bytes
    }
}
