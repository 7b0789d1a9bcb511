#!/bin/bash
# The boot image: the same inputs give the same bytes, the manifest tells the truth, the drivers' dependencies are all
# there, the agent's libraries are too, and nothing in it can speak a network file system.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/netboot/lib.sh
. "$here/lib.sh"

lib_need apt-cache:apt depmod:kmod zstd cpio mkfs.fat:dosfstools mcopy:mtools python3
[ -n "$(apt-cache show linux-image-amd64 2>/dev/null)" ] || lib_skip "apt knows no kernel package"

agent=/bin/bash # any program with shared libraries will do here, and this one can be asked to run
image=$lib_dir/first
build=$lib_source/boot/build-image

"$build" --small --agent "$agent" --out "$image" --cache "$lib_cache" 2>"$lib_dir/build.log" || {
	cat "$lib_dir/build.log"
	lib_fail "the boot image was not built"
}

# Again, from the packages on: nothing may come from the clock, the folder or the order of the directory.
mkdir -p "$lib_dir/cache"
ln -s "$lib_cache/packages" "$lib_dir/cache/packages"
sleep 2
(umask 077 && TZ=Asia/Tokyo "$build" --small --agent "$agent" --out "$lib_dir/second" --cache "$lib_dir/cache" 2>/dev/null)
diff -r "$image" "$lib_dir/second" || lib_fail "two builds differ"
lib_say "two builds are the same"

python3 - "$image" <<'END'
import hashlib, json, os, sys
folder = sys.argv[1]
manifest = json.load(open(f"{folder}/manifest.json"))
assert manifest["version"] == 1
for key in "linux", "initrd", "uefi_img":
    data = open(f"{folder}/{manifest[key]['file']}", "rb").read()
    assert len(data) == manifest[key]["bytes"], f"{key}: bytes"
    assert hashlib.sha256(data).hexdigest() == manifest[key]["sha256"], f"{key}: sha256"
uefi = manifest["uefi_img"]
place = data[uefi["grub_cfg_offset"]:][:uefi["grub_cfg_bytes"]]
assert len(place) == 4096 and place.startswith(b"# ghost4linux") and place.rstrip(b"\n").endswith(b"exit"), "grub.cfg"
mark = b"# another host's lines\n".ljust(4096, b"\n")
open(f"{folder}/patched.img", "wb").write(data[:uefi["grub_cfg_offset"]] + mark + data[uefi["grub_cfg_offset"] + 4096:])
END
mcopy -i "$image/patched.img" ::/EFI/debian/grub.cfg "$lib_dir/grub.cfg"
[ "$(head -n 1 "$lib_dir/grub.cfg")" = "# another host's lines" ] || lib_fail "a patched grub.cfg is not what the FAT image shows"
[ "$(stat -c %s "$lib_dir/grub.cfg")" -eq 4096 ] || lib_fail "grub.cfg has another size than the place for it"
fsck.fat -n "$image/uefi.img" >/dev/null || lib_fail "fsck.fat finds fault with uefi.img"
lib_say "the manifest is true, grub.cfg can be put in place"

# The initramfs is two archives behind each other: cpio stops at the end of the first, so both are unpacked by hand.
root=$lib_dir/root
mkdir "$root"
zstd -q -d -c "$image/initrd" >"$lib_dir/initrd.cpio"
(cd "$root" && while cpio -idm --quiet 2>/dev/null; do :; done <"$lib_dir/initrd.cpio")
[ -x "$root/init" ] || lib_fail "no /init in the initramfs"
[ -x "$root/bin/g4l-agent" ] || lib_fail "no agent in the initramfs"
chroot "$root" /bin/g4l-agent -c 'exit 7' || [ $? -eq 7 ] || lib_fail "the agent does not run with what is in the initramfs"
script=$(grep -aom 1 '/etc/udhcpc[a-z./]*' "$lib_build/src/agent/g4l-agent")
[ -x "$root$script" ] || lib_fail "the agent calls $script, which is not in the initramfs"
for folder in "$root"/lib/modules/*; do
	awk -v folder="$folder" '{ for (i = 2; i <= NF; i++) if (system("test -e " folder "/" $i)) { print $0; bad = 1 } }
		END { exit bad }' "$folder/modules.dep" || lib_fail "a driver misses one that it depends on"
	[ -z "$(find "$folder" -name 'nfs*.ko' -o -name 'cifs*.ko' -o -name 'md-mod.ko' -o -name 'dm-mod.ko')" ] ||
		lib_fail "a network file system or an assembler of volumes is in the initramfs"
	depmod -n -e -F /dev/null -b "$root" "$(basename "$folder")" >/dev/null 2>&1 || lib_fail "depmod finds fault"
done
for driver in virtio_net e1000e ahci nvme virtio_blk usb-storage efivarfs sd_mod; do
	find "$root/lib/modules" -name "$driver.ko" | grep -q . || lib_fail "the driver $driver is missing"
done
lib_say "the initramfs is whole"

# What can't work says so, with the exit code of wrong usage.
set +e
"$build" --agent /nonexistent --out "$lib_dir/third" --cache "$lib_cache" 2>"$lib_dir/log"
[ $? -eq 2 ] || lib_fail "a missing agent was taken"
grep -q "/nonexistent" "$lib_dir/log" || lib_fail "the error does not name the agent"
"$build" --agent "$agent" --kernel 0.0.0-none --out "$lib_dir/third" --cache "$lib_cache" 2>"$lib_dir/log"
[ $? -eq 1 ] || lib_fail "an unknown kernel was taken"
grep -q "apt knows no package linux-image-0.0.0-none" "$lib_dir/log" || lib_fail "the error does not name the kernel's package"
[ ! -e "$lib_dir/third/manifest.json" ] || lib_fail "a failed build left a manifest"
lib_say "done"
