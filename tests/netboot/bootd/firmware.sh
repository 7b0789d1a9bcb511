#!/bin/bash
# Real firmware and the boot service, without a server and without a kernel: a BIOS asks for lpxelinux and its menu, OVMF's
# own PXE for iPXE and its script, OVMF's HTTP Boot for its image. The kernel cannot be fetched here, so the BIOS and iPXE
# must go on to the disk. A machine that is not armed gets no packet at all and boots its disk.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/netboot/lib.sh
. "$here/../lib.sh"

lib_need_root
lib_need python3 ip:iproute2 qemu-system-x86_64:qemu-system-x86 tcpdump:tcpdump
loaders=(/usr/lib/PXELINUX/lpxelinux.0 /usr/lib/syslinux/modules/bios/ldlinux.c32 /usr/lib/ipxe/snponly.efi)
for file in "${loaders[@]}"; do
	[ -e "$file" ] || lib_skip "needs $file"
done

nonce=00112233445566778899aabbccddeeff
base=http://10.77.0.1:8067/boot/$nonce
www=$lib_dir/www/boot/$nonce
mkdir -p "$lib_dir/tftp" "$www"
cp "${loaders[@]}" "$lib_dir/tftp"
chmod 755 "$lib_dir" "$lib_dir/tftp"
chmod 644 "$lib_dir"/tftp/*

# A boot sector that writes "DISK" to the serial port and halts.
python3 -c '
import sys
code = b"\xba\xf8\x03" + b"".join(b"\xb0" + bytes([c]) + b"\xee" for c in b"DISK\n") + b"\xf4\xeb\xfd"
open(sys.argv[1], "wb").write(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))' "$lib_dir/disk.img"

lib_network_up
ip netns exec "$lib_server_ns" python3 -u -m http.server --bind 10.77.0.1 --directory "$lib_dir/www" 8067 >"$lib_dir/http" 2>&1 &
lib_pids+=($!)

mkfifo "$lib_dir/commands"
MENUS=$www ip netns exec "$lib_server_ns" "$NETBOOT_RUN" "$BOOTD" "$lib_dir/tftp" nobody g4lbr0 <"$lib_dir/commands" \
	>"$lib_dir/events" 2>&1 &
lib_pids+=($!)
exec 7>"$lib_dir/commands"
lib_wait_file "$lib_dir/events" '^ready ' 5

arm() { # HOST MAC
	local from

	from=$(stat -c %s "$lib_dir/events")
	echo "arm $1 $2 $base g4l.test=1" >&7
	lib_wait_file "$lib_dir/events" '^ok$' 5 '' "$from"
}

# --- not armed: not one packet from us, and the disk boots
mac=52:54:00:77:01:01
vm_define cold bios "$mac" "$lib_dir/disk.img"
ip netns exec "$lib_server_ns" tcpdump -i coldtap -U -n -w "$lib_dir/cold.pcap" "udp and src host 10.77.0.1" 2>"$lib_dir/tcpdump" &
tcpdump=$!
lib_pids+=("$tcpdump")
lib_wait_file "$lib_dir/tcpdump" listening 5
vm_power_on cold
vm_wait_serial cold DISK 60 0 "PXE-E"
lib_wait_file "$lib_dir/events" "^stranger $mac" 1
lib_end "$tcpdump"
[ "$(stat -c %s "$lib_dir/cold.pcap")" -eq 24 ] || lib_fail "the machine that is not armed got packets from us"
vm_pull_plug cold
lib_say "not armed: no packet, the disk boots"

# --- BIOS; and as the kernel is not there, the disk boots
arm cold "$mac"
from=$(vm_mark cold)
vm_power_on cold
lib_wait_file "$lib_dir/events" "^loader $mac cold has fetched lpxelinux.0" 60
lib_wait_file "$lib_dir/events" "^menu $mac cold has fetched pxelinux.cfg/01-${mac//:/-}" 20
lib_wait_file "$lib_dir/http" "GET /boot/$nonce/linux" 20
vm_wait_serial cold DISK 60 "$from" "PXE-E"
vm_pull_plug cold
lib_say "BIOS: lpxelinux.0, menu, kernel asked for; without a kernel the disk boots"

# --- UEFI: OVMF's own PXE, then iPXE
mac=52:54:00:77:01:02
arm warm "$mac"
from=$(stat -c %s "$lib_dir/http")
vm_define warm uefi "$mac" "$lib_dir/disk.img"
vm_power_on warm
lib_wait_file "$lib_dir/events" "^loader $mac warm has fetched snponly.efi" 90
lib_wait_file "$lib_dir/http" "GET /boot/$nonce/boot.ipxe HTTP/1.1\" 200" 30 '' "$from"
lib_wait_file "$lib_dir/http" "GET /boot/$nonce/linux HTTP/1.1\" 404" 20 '' "$from"
vm_pull_plug warm
lib_say "UEFI: snponly.efi, script, kernel asked for"

# --- Secure Boot: HTTP Boot
mac=52:54:00:77:01:03
arm safe "$mac"
vm_define safe secureboot "$mac" "$lib_dir/disk.img"
vm_power_on safe
lib_wait_file "$lib_dir/events" "^offer $mac safe asked for a boot image \(UEFI HTTP Boot\)" 90
lib_wait_file "$lib_dir/http" "(HEAD|GET) /boot/$nonce/uefi.img" 30
vm_pull_plug safe
lib_say "UEFI with Secure Boot: HTTP Boot asks for its image"
