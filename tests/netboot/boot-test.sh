#!/bin/bash
# One boot path end to end with real firmware, beside a DHCP server that knows nothing of us: a PC that is not armed gets no
# answer and boots its own disk; armed, it is woken by a magic packet, boots our image, is backed up, and powers off; its
# disk is not changed by that, and verifies against the snapshot.
# usage: boot-test.sh bios|uefi|secureboot [full]      G4L_PATIENT=1: unarmed also by UEFI
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/netboot/lib.sh
. "$here/lib.sh"

firmware=$1
mac=52:54:00:67:34:6c
disk=$lib_dir/disk.img
case $firmware in
bios) wanted=bios secure=false way=BIOS ;;
uefi) wanted=uefi secure=false way=UEFI ;;
secureboot) wanted=uefi secure=true way='HTTP Boot' ;;
*) lib_fail "unknown firmware $firmware" ;;
esac

lib_need mkntfs:ntfs-3g sgdisk:gdisk grub-mkimage:grub-common mke2fs:e2fsprogs
lib_network_up
lib_server_up "${2:-small}"
"$here/make-disk" --out "$disk" --kernel "$lib_dir/boot/linux" --files-mib 24 --ntfs-mib 96 --tail-mib 16 >"$lib_dir/disk.json" ||
	lib_fail "the disk was not made"
line=$(jq -r .line "$lib_dir/disk.json")
before=$(sha256sum <"$disk")
vm_define pc1 "$firmware" "$mac" "$disk"
"$g4l" host add pc1 "$mac"

# Armed: the whole way, driven by nothing but the magic packet.
started=$SECONDS
"$g4l" backup pc1 --json >"$lib_dir/backup.json" 2>"$lib_dir/backup.log" || {
	cat "$lib_dir/backup.log" >&2
	lib_explain pc1
	lib_fail "the backup ended with exit code $?"
}
vm_wait_off pc1 60
lib_say "backed up in $((SECONDS - started)) s"
grep -q 'woken by a magic packet' "$lib_dir/pc1/nic" || lib_fail "nobody was woken"
[ "$(sha256sum <"$disk")" = "$before" ] || lib_fail "the backup changed the disk"
"$g4l" host show pc1 --json >"$lib_dir/host.json"
lib_is "$lib_dir/host.json" .hello.firmware "$wanted"
lib_is "$lib_dir/host.json" .hello.secure_boot "$secure"
"$g4l" status pc1 --json | head -n 1 >"$lib_dir/job.json"
lib_is "$lib_dir/job.json" .state 'done'
"$g4l" log "$(jq -r .job "$lib_dir/job.json")" >"$lib_dir/log"
grep -q "$way" "$lib_dir/log" || lib_fail "the log does not tell that the PC asked by $way"
"$g4l" verify pc1 --store "$G4L_STORE" --against "$disk" 2>"$lib_dir/verify.log" || {
	cat "$lib_dir/verify.log" >&2
	lib_fail "the snapshot is not what the disk holds"
}

# Not armed: no answer of ours, and its own disk. OVMF tries every way of network boot for minutes before it goes on to its
# disk, so UEFI does this part only when it is asked for.
if [ "$firmware" != bios ] && [ -z "${G4L_PATIENT:-}" ]; then
	lib_say "done (with G4L_PATIENT=1 also: not armed, it boots its own disk)"
	exit 0
fi
from=$(vm_mark pc1)
asked=$(grep -c DHCPDISCOVER "$lib_dhcp_log" || true)
vm_power_on pc1
vm_wait_serial pc1 "$line" 700 "$from" 'grub>|grub rescue>|Kernel panic|No bootable device'
vm_wait_off pc1 30
[ "$(grep -c DHCPDISCOVER "$lib_dhcp_log")" -gt "$asked" ] || lib_fail "the PC did not even ask for a network boot"
tail -c "+$((from + 1))" "$lib_dir/pc1/serial" | grep -qaE 'lpxelinux|snponly|/boot/[0-9a-f]{32}/' && lib_fail "an unarmed PC was given a loader"
lib_say "done: not armed, it booted its own disk"
