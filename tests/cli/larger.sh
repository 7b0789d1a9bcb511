#!/bin/bash
# A disk with a GPT restored to a larger one full of noise: the table fits its new disk, no tool complains, and all that was
# used is there. One flipped byte is seen by verify.
. "$(dirname "$0")/functions.sh"
need jq sgdisk mkfs.vfat mkntfs mcopy ntfsfix

truncate -s 200M "$work/disk.img"
sgdisk -n1:2048:+40M -t1:ef00 -n2:0:+100M -t2:0700 "$work/disk.img" >/dev/null
truncate -s 40M "$work/p1"
mkfs.vfat -F 32 "$work/p1" >/dev/null
head -c 3000000 /dev/urandom >"$work/random"
mcopy -i "$work/p1" "$work/random" ::random.bin
truncate -s 100M "$work/p2"
mkntfs -q -F -Q -s 512 -p 83968 "$work/p2" >/dev/null 2>&1
dd if="$work/p1" of="$work/disk.img" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/p2" of="$work/disk.img" bs=1M seek=41 conv=notrunc,sparse status=none

expect 0 "$g4l" store init "$work/store"
expect 0 "$g4l" backup --disk "$work/disk.img" --store "$work/store" --as john --json
head -c 314573312 /dev/urandom >"$work/target.img"
expect 0 "$g4l" restore john --store "$work/store" --disk "$work/target.img" --yes --json
sgdisk -v "$work/target.img" >"$work/sgdisk" 2>&1 || true
grep -q "No problems found" "$work/sgdisk" || { cat "$work/sgdisk"; fail "sgdisk finds problems in the restored table"; }
is "$(sgdisk -i2 "$work/target.img" | grep 'unique GUID')" "$(sgdisk -i2 "$work/disk.img" | grep 'unique GUID')"
mcopy -n -i "$work/target.img@@1M" ::random.bin "$work/back"
cmp "$work/random" "$work/back" || fail "a restored file differs"
dd if="$work/target.img" of="$work/p2.back" bs=1M skip=41 count=100 status=none
ntfsfix -n "$work/p2.back" >/dev/null || fail "ntfsfix complains about the restored NTFS volume"
# Every used extent of the partitions is as it was.
"$g4l" inspect "$work/disk.img" --used --json |
	jq -r '.regions[] | select(.role == "partition") | .extents[] | "\(.[0]) \(.[1])"' >"$work/extents"
[ "$(wc -l <"$work/extents")" -gt 3 ] || fail "hardly any used extents"
while read -r at n; do
	cmp -s -i "$at" -n "$n" "$work/disk.img" "$work/target.img" || fail "the extent $at+$n differs"
done <"$work/extents"
# A second restore of the same finds nearly everything in place and leaves a sound table again.
expect 0 "$g4l" restore john --store "$work/store" --disk "$work/target.img" --yes --json
[ "$(value .written_bytes)" -lt 2200000 ] || fail "$(value .written_bytes) bytes were written where all was in place"
sgdisk -v "$work/target.img" 2>&1 | grep -q "No problems found" || fail "sgdisk finds problems after the second restore"
# One flipped byte inside the EFI partition's file is found by verify, at its place.
printf 'x' | dd of="$work/disk.img" bs=1 seek=$((1048576 + 2000000)) conv=notrunc status=none
expect 1 "$g4l" verify john --store "$work/store" --against "$work/disk.img"
