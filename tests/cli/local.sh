#!/bin/bash
# The command line without a server: the contract of exit codes and JSON, a whole round trip on image files.
. "$(dirname "$0")/functions.sh"
need jq sgdisk mkfs.vfat mkntfs mke2fs ntfscp mcopy

store=$work/store
disk=$work/disk.img

# A disk with a GPT and three file systems, filled with known files.
make_disk() {
	truncate -s 300M "$disk"
	sgdisk -n1:2048:+64M -t1:ef00 -n2:0:+100M -t2:0700 -n3:0:0 -t3:8300 "$disk" >/dev/null
	head -c 5000000 /dev/urandom >"$work/random"
	seq 1 400000 >"$work/text"
	truncate -s 64M "$work/p1"
	mkfs.vfat -F 32 "$work/p1" >/dev/null
	mcopy -i "$work/p1" "$work/random" ::random.bin
	truncate -s 100M "$work/p2"
	mkntfs -q -F -Q -s 512 -p 133120 "$work/p2" >/dev/null 2>&1
	ntfscp -q "$work/p2" "$work/text" text.txt
	mkdir "$work/tree"
	cp "$work/random" "$work/text" "$work/tree"
	mke2fs -q -t ext4 -d "$work/tree" "$work/p3" "$(((300 * 1048576 - 166 * 1048576) / 1024 - 1024))k"
	dd if="$work/p1" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
	dd if="$work/p2" of="$disk" bs=1M seek=65 conv=notrunc,sparse status=none
	dd if="$work/p3" of="$disk" bs=1M seek=165 conv=notrunc,sparse status=none
}

# The bytes of every used extent, hashed.
used_hash() {
	"$g4l" inspect "$1" --used --json | jq -r '.regions[].extents[] | "\(.[0]) \(.[1])"' |
		python3 -c '
import hashlib, sys
h = hashlib.sha256()
with open(sys.argv[1], "rb") as f:
    for line in sys.stdin:
        at, n = map(int, line.split())
        f.seek(at)
        while n:
            piece = f.read(min(n, 1 << 20))
            h.update(piece)
            n -= len(piece)
print(h.hexdigest())' "$1"
}

make_disk
before=$(sha256sum <"$disk")

# Usage errors, before there is anything.
expect 2 "$g4l"
expect 2 "$g4l" nonsense
expect 2 "$g4l" backup
expect 2 "$g4l" backup --disk "$disk" --as john
says 'which store'
expect 2 "$g4l" backup --disk "$disk" --store "$store"
says 'as HOST'
expect 2 "$g4l" backup --disk "$disk" --store "$store" --as ../evil
expect 2 "$g4l" backup --frobnicate
expect 0 "$g4l" --version
expect 0 "$g4l" backup --help
expect 6 "$g4l" backup --disk "$disk" --store "$work/nowhere" --as john
mkdir "$work/folder"
touch "$work/folder/file"
expect 2 "$g4l" backup --disk "$disk" --store "$work/folder" --as john
says 'store init'
expect 4 "$g4l" store init "$work/folder"
[ "$(ls "$work/folder")" = file ] || fail "store init changed a folder that is not its own"

# Make, look, back up.
expect 0 "$g4l" store init "$store"
expect 4 "$g4l" store init "$store"
expect 0 "$g4l" inspect "$disk" --used --json
is "$(value '.table')" gpt
is "$(value '[.regions[] | select(.role == "partition") | .kind] | join(" ")')" "fat32 ntfs ext4"
is "$(value '[.regions[] | select(.role == "partition") | .copied] | unique | join(" ")')" used
expect 1 "$g4l" backup --disk "$work/absent.img" --store "$store" --as john
expect 0 "$g4l" backup --disk "$disk" --store "$store" --as john --dry-run --json
[ "$(value .new_bytes)" -gt 10000000 ] || fail "a dry run of a first backup says that nothing is new"
expect 0 "$g4l" snapshots --store "$store" --json
[ ! -s "$work/out" ] || fail "a dry run left a snapshot"
expect 0 "$g4l" backup --disk "$disk" --store "$store" --as john --tag first --json
first=$(value .snapshot)
used=$(value .used_bytes)
[ "$used" -lt 100000000 ] || fail "used_bytes $used: unused blocks were counted"
[ "$(value .new_bytes)" -gt 10000000 ] || fail "hardly anything was new in the first backup"
is "$(value .disk_bytes)" 314572800
is "$(value .degraded)" false
for key in host read_bytes metadata_bytes stored_bytes chunks new_chunks seconds regions; do
	value ".$key" >/dev/null
done
is "$(sha256sum <"$disk")" "$before" "the source disk was written"

# Unchanged: next to nothing is new. One file changed: that only.
expect 0 "$g4l" backup --disk "$disk" --store "$store" --as john --json
[ "$(value .new_bytes)" -lt 100000 ] || fail "an unchanged disk brought $(value .new_bytes) new bytes"
cp "$disk" "$work/changed.img"
head -c 1000000 /dev/urandom >"$work/more"
mcopy -i "$work/changed.img@@1M" "$work/more" ::more.bin
expect 0 "$g4l" backup --disk "$work/changed.img" --store "$store" --as john --json
[ "$(value .new_bytes)" -lt 2500000 ] || fail "one file of 1 MB brought $(value .new_bytes) new bytes"

expect 0 "$g4l" snapshots john --store "$store" --json
is "$(wc -l <"$work/out")" 3
expect 0 "$g4l" verify --store "$store"
expect 0 "$g4l" verify "john@$first" --store "$store" --against "$disk" --json
is "$(value .different_bytes)" 0
expect 1 "$g4l" verify "john@$first" --store "$store" --against "$work/changed.img"

# Restore: refusals first.
target=$work/target.img
head -c 314572800 /dev/urandom >"$target"
noise=$(sha256sum <"$target")
expect 4 "$g4l" restore "john@$first" --store "$store" --disk "$target"
truncate -s 100M "$work/small.img"
expect 4 "$g4l" restore "john@$first" --store "$store" --disk "$work/small.img" --yes
says 'small|large'
expect 2 "$g4l" restore nobody --store "$store" --disk "$target" --yes
says 'nobody'
expect 2 "$g4l" restore john@ffffffffffffffffffffffffffffffff --store "$store" --disk "$target" --yes
is "$(sha256sum <"$target")" "$noise" "a refused restore wrote to the target"
expect 0 "$g4l" restore "john@$first" --store "$store" --disk "$target" --yes --json
[ "$(value .written_bytes)" -gt 10000000 ] || fail "nothing was written"
is "$(used_hash "$target")" "$(used_hash "$disk")" "used extents differ after the restore"
sgdisk -v "$target" | grep -q 'No problems found' || fail "the restored GPT is damaged"
dd if="$target" of="$work/r2" bs=1M skip=65 count=100 status=none
ntfsfix -n "$work/r2" >/dev/null || fail "ntfsfix is not content"
dd if="$target" of="$work/r3" bs=1M skip=165 status=none
e2fsck -fn "$work/r3" >/dev/null 2>&1 || fail "e2fsck is not content"
dd if="$target" of="$work/r1" bs=1M skip=1 count=64 status=none
fsck.vfat -n "$work/r1" >/dev/null || fail "fsck.vfat is not content"

# Again onto the same disk: all is in place. Onto a larger one: the backup GPT moves.
expect 0 "$g4l" restore "john@$first" --store "$store" --disk "$target" --yes --json
is "$(value .written_bytes)" 0 "bytes were written that were in place"
[ "$(value .skipped_bytes)" -gt 10000000 ] || fail "nothing was skipped"
truncate -s 400M "$work/larger.img"
expect 0 "$g4l" restore "john@$first" --store "$store" --disk "$work/larger.img" --yes
sgdisk -v "$work/larger.img" | grep -q 'No problems found' || fail "the GPT on the larger disk is damaged"
expect 0 "$g4l" restore "john@$first" --store "$store" --disk "$work/made.img" --yes
is "$(stat -c %s "$work/made.img")" 314572800
expect 4 "$g4l" restore "john@$first" --store "$store" --disk "$work/refused.img" --sector-size 4096 --yes
[ ! -e "$work/refused.img" ] || fail "a refused restore left an image file"

# Forget and prune; what is left is whole.
expect 2 "$g4l" forget --store "$store"
expect 0 "$g4l" forget john --store "$store" --keep-last 1 --dry-run --json
is "$(value '.forgotten | length')" 2
expect 0 "$g4l" forget john --store "$store" --keep-last 1
expect 0 "$g4l" prune --store "$store" --json
expect 0 "$g4l" snapshots --store "$store" --json
is "$(wc -l <"$work/out")" 1
expect 0 "$g4l" store check "$store" --read-data --json
expect 0 "$g4l" restore john --store "$store" --disk "$target" --yes
is "$(used_hash "$target")" "$(used_hash "$work/changed.img")" "used extents differ after forget and prune"

# Index away: it comes back. A pack with a flipped bit: code 5, and nothing wrong on a disk.
rm -rf "$store/cache"
expect 0 "$g4l" verify john --store "$store"
expect 0 "$g4l" store rebuild-index "$store"
pack=$(find "$store/packs" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
python3 - "$pack" <<'P'
import os, sys
size = os.path.getsize(sys.argv[1])
with open(sys.argv[1], "r+b") as f:
    f.seek(size // 3)
    b = f.read(1)
    f.seek(size // 3)
    f.write(bytes([b[0] ^ 4]))
P
expect 5 "$g4l" store check "$store" --read-data --json
is "$(value .sound)" false
value '.damage[0].object' >/dev/null
expect 5 "$g4l" verify john --store "$store"
expect 5 "$g4l" restore john --store "$store" --disk "$work/again.img" --yes --full
says 'damage|hash|match'
# A member of a RAID that begins with an older file system, sound as that looks: copied whole.
truncate -s 16M "$work/member.img"
mke2fs -q -t ext4 "$work/member.img"
expect 0 "$g4l" inspect "$work/member.img" --json
is "$(value '.regions[0].copied')" used
python3 - "$work/member.img" <<'P'
import struct, sys
sb = bytearray(256)  # md superblock 1.2
struct.pack_into("<II", sb, 0, 0xA92B4EFC, 1)
sb[16:32] = bytes(range(16))
struct.pack_into("<iIQII", sb, 72, 1, 0, 20000, 0, 2)
struct.pack_into("<QQQ", sb, 128, 2048, 20000, 8)
total = sum(struct.unpack("<64I", bytes(sb)))
struct.pack_into("<I", sb, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
with open(sys.argv[1], "r+b") as f:
    f.seek(4096)
    f.write(sb)
P
expect 3 "$g4l" inspect "$work/member.img" --json
is "$(value '.regions[0].copied')" raw
expect 3 "$g4l" backup --disk "$work/member.img" --store "$store" --as member --json
value '.regions[0].note' | grep -q linux_raid_member || fail "the note does not say why"
echo ok
