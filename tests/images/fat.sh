#!/bin/bash
# The FAT reader on volumes that mkfs.fat made and mtools filled: fsck.fat counts the same clusters, partclone's used
# blocks lie in our map, and a noise-filled disk that gets only the used bytes passes fsck.fat and holds the same files.
# shellcheck source=tests/images/lib.sh
. "$(dirname "$0")/lib.sh"
need mkfs.fat:dosfstools fsck.fat:dosfstools mcopy:mtools mke2fs:e2fsprogs
export MTOOLS_SKIP_CHECK=1
img=$work/fat.img
tree=$work/tree
populate "$tree"

make_fat() { # SIZE OPTIONS …
	blank "$img" "$1"
	shift
	mkfs.fat "$@" "$img" >"$work/mkfs" 2>&1 || fail "mkfs.fat $*: $(cat "$work/mkfs")"
}

# shellcheck disable=SC2059 # the bytes are written as a format
poke() { printf "$2" | dd of="$img" bs=1 seek="$1" conv=notrunc status=none; } # OFFSET BYTES

# The tree, or as much of it as fits, with holes where files were.
fill() {
	local i
	mmd -i "$img" ::holes ::kept
	for i in 1 2 3 4 5 6; do
		mcopy -i "$img" "$tree/small/$((i * 20))" "::holes/$i"
		mcopy -i "$img" "$tree/small/$((i * 20 + 2))" ::kept/
	done
	if [ "$(stat -c %s "$img")" -gt 16000000 ]; then
		mcopy -s -i "$img" "$tree/small" "$tree/deep" "$tree"/large* "$tree/empty" ::
	else
		mcopy -s -i "$img" "$tree/small" ::
	fi
	mdel -i "$img" '::holes/[135]' '::small/*[24]'
}

tree_of() { # IMAGE FOLDER
	rm -rf "$2"
	mkdir "$2"
	mcopy -s -n -i "$1" '::*' "$2/"
}

check() { # STORY
	local clusters
	map "$img" 0
	extents >"$work/ours"
	[ "$(awk '{ n += $2 - $1 } END { printf "%.0f", n }' "$work/ours")" = "$(fact used)" ] || fail "$1: the sum is wrong"
	fsck.fat -n -v "$img" >"$work/fsck" 2>&1 || fail "$1: $(cat "$work/fsck")"
	clusters=$(sed -n 's/.* files, \([0-9]*\)\/[0-9]* clusters$/\1/p' "$work/fsck")
	# fsck.fat counts bad clusters as used; we leave them out.
	clusters=$((clusters - ${bad:-0}))
	[ "$(awk -v from="$(fact cluster-offset)" -v unit="$(fact cluster)" '
		{ s = $1 < from ? from : $1; if ($2 > s) n += int(($2 - s) / unit) } END { printf "%.0f", n }' "$work/ours")" = \
		"$clusters" ] || fail "$1: fsck.fat counts $clusters clusters"
	copy_used "$img"
	fsck.fat -n "$work/copy" >"$work/fsck" 2>&1 || fail "$1: the copy: $(cat "$work/fsck")"
	tree_of "$img" "$work/theirs"
	tree_of "$work/copy" "$work/back"
	[ "$(sums "$work/theirs")" = "$(sums "$work/back")" ] || fail "$1: files differ"
	[ "$(sums "$work/back" | wc -l)" -gt 20 ] || fail "$1: files are missing"
	echo "ok: $1: $(fact kind), $(wc -l <"$work/ours") extents, $(fact used) bytes, $(fact metadata) of them metadata"
}

# What partclone would copy lies in our map. Not for FAT12, whose entries partclone 0.3.23 puts in other places.
check_partclone() { # STORY
	command -v partclone.fat >/dev/null || return 0
	[ "$(fact kind)" != fat12 ] || return 0
	rm -f "$work/domain"
	partclone.fat -D -q -L "$work/log" -s "$img" -o "$work/domain" >/dev/null 2>&1 || fail "$1: partclone.fat: $(cat "$work/log")"
	awk '$1 ~ /^0x/ && $3 == "+" { print $1, $2 }' "$work/domain" | while read -r at n; do echo $((at)) $((at + n)); done >"$work/theirs.map"
	[ -s "$work/theirs.map" ] || fail "$1: partclone has nothing"
	inside "$work/theirs.map" "$work/ours" || fail "$1: partclone's map is not in ours"
}

try() { # STORY KIND SIZE OPTIONS …
	local story=$1 kind=$2 size=$3
	shift 3
	make_fat "$size" "$@"
	fill
	check "$story"
	check_partclone "$story"
	[ "$(fact kind)" = "$kind" ] || fail "$story: this is $kind, not $(fact kind)"
}

try "a floppy" fat12 1440K -F 12
try "FAT12, 4 MiB" fat12 4M
try "FAT16, 20 MiB" fat16 20M -F 16 -s 1
try "FAT16, 512 byte clusters, one table" fat16 24M -F 16 -s 1 -f 1
try "FAT16, sectors of 4096 bytes" fat16 40M -F 16 -S 4096 -s 1
try "FAT32" fat32 64M -F 32 -s 1 -n "EFI SYSTEM" -i 1234abcd
[ "$(fact label)" = "EFI SYSTEM" ] || fail "the label is $(fact label)"
[ "$(fact uuid)" = 1234-ABCD ] || fail "the uuid is $(fact uuid)"
try "many reserved sectors" fat32 64M -F 32 -s 1 -R 1000

# FAT32 with fewer clusters than its type should have, as EFI partitions often are. mtools takes it for FAT16, so it gets
# its files while it is larger: the sectors beyond 30 MiB go, in both boot sectors, and for mtools come back.
total() { poke 32 "$1" && poke $((6 * 512 + 32)) "$1"; } # BYTES
make_fat 64M -F 32 -s 1
fill
total '\x00\xf0\x00\x00'
map "$img" 0
[ "$(fact kind)" = fat32 ] || fail "a small FAT32 is $(fact kind)"
[ "$(fact size)" = $((30 << 20)) ] || fail "a small FAT32 has $(fact size) bytes"
copy_used "$img"
# fsck.fat grumbles about the type and finds nothing else.
fsck.fat -n "$work/copy" 2>&1 | grep -vE '^fsck|^Warning: Filesystem is FAT32|^  *but has only|^  *This may lead|clusters$' \
	>"$work/fsck" && fail "a small FAT32: $(cat "$work/fsck")"
total '\x00\x00\x02\x00'
small=$img img=$work/copy
total '\x00\x00\x02\x00'
img=$small
tree_of "$img" "$work/theirs"
tree_of "$work/copy" "$work/back"
[ "$(sums "$work/theirs")" = "$(sums "$work/back")" ] || fail "a small FAT32: files differ"
echo "ok: a small FAT32: $(fact used) bytes"

# Where the type changes.
kinds=
for total in 4140 4143 4144 4145 4150 4151 4160; do
	blank "$img" 4M
	mformat -i "$img" -T $total -c 1 -h 2 -s 32 :: 2>/dev/null || continue
	map "$img" 0
	kind=$(minfo -i "$img" :: | sed -n 's/^disk type="\(FAT[0-9]*\) .*/\1/p' | tr 'FAT' 'fat')
	[ "$(fact kind)" = "${kind:-none}" ] || fail "$total sectors: $(fact kind) instead of $kind"
	kinds="$kinds $kind"
done
[[ $kinds == *fat12*fat16* ]] || fail "the border between the types was not crossed:$kinds"

# The file system ends before its partition: the rest is the caller's.
make_fat 20M -F 16
fill
truncate -s 23M "$img"
map "$img" 0
[ "$(fact size)" = $((20 << 20)) ] || fail "the size is $(fact size)"
[ "$(extents | tail -1 | cut -d' ' -f2)" -le $((20 << 20)) ] || fail "used bytes beyond the end"

# Clusters that are marked bad are not read.
printf '%s\n' 10000 10001 11000 >"$work/bad"
make_fat 20M -F 16 -s 1 -l "$work/bad"
fill
bad=$(fsck.fat -n -v "$img" | sed -n 's/.*[^0-9]\([0-9]*\) bad clusters*.*/\1/p' | head -1)
bad=${bad:-6} # blocks of 1 KiB in clusters of 512 bytes
check "bad clusters"
fact note | grep -q bad || fail "the note says nothing of bad clusters"
extents | awk '$1 <= 10000 * 1024 && $2 > 10000 * 1024 { exit 1 }' || fail "a bad cluster is in the map"
bad=0

# Both tables of the FAT16 below: reserved 4 sectors, 512 bytes a sector.
new16() { make_fat 20M -F 16 -s 1 -R 4 && fill && fat=2048 && fat_len=$(($(od -An -tu2 -j22 -N2 "$img") * 512)); }
poke_table() { poke $((fat + 2 * $1)) "$2" && poke $((fat + fat_len + 2 * $1)) "$2"; } # CLUSTER BYTES
refused() { # WORDS
	map "$img" 3
	grep -q "$1" "$work/why" || fail "expected '$1': $(cat "$work/why")"
}

# Marked dirty, in the table or in the boot sector: said, and mapped.
new16 && poke_table 1 '\xff\x7f' && map "$img" 0 && fact note | grep -q dirty || fail "dirty in the table"
new16 && poke_table 1 '\xff\xbf' && map "$img" 0 && fact note | grep -q errors || fail "errors in the table"
new16 && poke 37 '\x01' && map "$img" 0 && fact note | grep -q dirty || fail "dirty in the boot sector"
# FSInfo is a hint: a wrong free count changes nothing.
make_fat 64M -F 32 && fill && map "$img" 0 && before=$(fact used)
poke $((512 + 488)) '\x01\x00\x00\x00' && map "$img" 0 && [ "$(fact used)" = "$before" ] || fail "FSInfo was believed"

# What cannot be believed is copied whole, with a reason.
new16 && poke $((fat + fat_len + 20)) '\x33' && refused "copies of the allocation table differ"
new16 && poke_table 20000 '\x01\x00' && refused "does not exist"
new16 && poke_table 20000 '\xf0\xff' && refused "does not exist"
new16 && poke_table 20000 '\x21\x4e' && refused "free or bad" # 20001
new16 && poke_table 20000 '\x21\x4e' && poke_table 20001 '\xf7\xff' && refused "free or bad"
new16 && poke_table 20000 '\x22\x4e' && poke_table 20001 '\x22\x4e' && poke_table 20002 '\xff\xff' && refused "two chains"
new16 && poke_table 20000 '\x20\x4e' && map "$img" 0 # a circle of its own loses nothing
new16 && poke_table 0 '\xf0\xff' && refused "does not begin as"
new16 && poke_table 2 '\x00\x00' && refused "not in use"
new16 && truncate -s 19M "$img" && refused "its region has"
new16 && poke 22 '\x10\x00' && refused "too small"
# Two files of the root folder begin in one cluster.
new16 && root=$((fat + 2 * fat_len))
first=$(grep -abo 'LARGE0' "$img" | head -1 | cut -d: -f1) second=$(grep -abo 'LARGE2' "$img" | head -1 | cut -d: -f1)
[ "$first" -ge "$root" ] && dd if="$img" of="$img" bs=1 count=2 skip=$((first + 26)) seek=$((second + 26)) conv=notrunc status=none
refused "share cluster"
make_fat 40M -F 32 && poke 44 '\xff\xff\xff\x0f' && refused "makes no sense"
make_fat 40M -F 32 && poke 42 '\x01' && refused "makes no sense"
# Few clusters and the fields of FAT32, but a table of FAT16.
make_fat 40M -F 32 -s 8 && at=$(($(od -An -tu2 -j14 -N2 "$img") * 512)) && len=$(($(od -An -tu4 -j36 -N4 "$img") * 512))
poke $((at + 3)) '\xff' && poke $((at + len + 3)) '\xff' && refused "does not begin as"
blank "$img" 1M && map "$img" 4
# A FAT32 over an ext4 whose superblock lies in sectors that the FAT does not use: nobody can know which one counts.
blank "$work/ext" 64M && mke2fs -q -t ext4 -b 1024 "$work/ext"
make_fat 64M -F 32 -s 1 && map "$img" 0
dd if="$work/ext" of="$img" bs=1024 skip=1 seek=1 count=1 conv=notrunc status=none && map "$img" 4
echo "ok: what cannot be believed"
