/// A guest that lives in its ramdisk: the image's busybox and drivers, with a first program of our own.
enum Guest {
    /// The image's ramdisk with another `/init`: the kernel unpacks archives one after the other, and the last file of a name stays.
    static func ramdisk(over path: String) throws -> [UInt8] {
        var bytes = try [UInt8](contentsOfFile: path)
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
        until [ -b /dev/xvda ]; do /bin/busybox usleep 10000; done
        echo "up $(/bin/busybox cat /sys/class/net/eth0/address)"
        case $(/bin/busybox cat /proc/cmdline) in
            *punnet.deed=poweroff*) /bin/busybox poweroff -f ;;
            *punnet.deed=reboot*) /bin/busybox reboot -f ;;
            *punnet.deed=crash*) echo c > /proc/sysrq-trigger ;;
        esac
        count=0
        while true; do
            count=$((count + 1))
            echo "tick $count $(/bin/busybox cat /sys/class/net/eth0/address)"
            /bin/busybox usleep 200000
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
