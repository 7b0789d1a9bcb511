#!/bin/bash
# The ext2/3/4 reader on volumes that mke2fs made: dumpe2fs' used blocks must be exactly ours, and a noise-filled disk that
# gets only the used bytes must pass e2fsck and hold the same files.
# shellcheck source=tests/images/lib.sh
. "$(dirname "$0")/lib.sh"
need mke2fs:e2fsprogs debugfs:e2fsprogs dumpe2fs:e2fsprogs
img=$work/ext.img
tree=$work/tree
populate "$tree"

make_ext() { # SIZE OPTIONS …
	blank "$img" "$1"
	shift
	mke2fs -q -F "$@" "$img" >"$work/mke2fs" 2>&1 || fail "mke2fs $*: $(cat "$work/mke2fs")"
}

# Used bytes by dumpe2fs: all blocks but the ranges that it lists as free.
foreign_map() {
	dumpe2fs "$img" 2>/dev/null | awk '
		/^Block count:/ { blocks = $3 }
		/^Block size:/ { size = $3; unit = 1 }
		/^Cluster size:/ { unit = $3 / size }
		/^Inode count/ { groups = 0 }
		/^Group 0/ { groups = 1 }
		groups && /^  Free blocks: / {
			sub("^  Free blocks: *", "")
			n = split($0, range, ", *")
			for (i = 1; i <= n; i++) {
				if (range[i] == "") continue
				split(range[i] "-" range[i], ends, "-")
				if (ends[1] > at) printf "%.0f %.0f\n", at * size, ends[1] * size
				at = ends[2] + unit # of a cluster, the first block is printed
			}
		}
		END { if (blocks > at) printf "%.0f %.0f\n", at * size, blocks * size }' | awk '
		NR > 1 && $1 == end { end = $2; next }
		NR > 1 { print first, end }
		{ first = $1; end = $2 }
		END { print first, end }'
}

check_map() { # STORY
	map "$img" 0
	extents >"$work/ours"
	foreign_map >"$work/theirs"
	[ "$(awk '{ n += $2 - $1 } END { printf "%.0f", n }' "$work/ours")" = "$(fact used)" ] || fail "$1: the sum is wrong"
	cmp "$work/theirs" "$work/ours" || { head -3 "$work/theirs" "$work/ours"; fail "$1: dumpe2fs has another map"; }
}

check() { # STORY
	check_map "$1"
	copy_used "$img"
	e2fsck -fn "$work/copy" >"$work/fsck" 2>&1 || fail "$1: $(cat "$work/fsck")"
	rm -rf "$work/back"
	mkdir "$work/back"
	debugfs -R "rdump / $work/back" "$work/copy" >/dev/null 2>&1
	[ "$(sums "$tree")" = "$(sums "$work/back")" ] || fail "$1: files differ"
	echo "ok: $1: $(fact kind), $(wc -l <"$work/ours") extents, $(fact used) bytes, $(fact metadata) of them metadata"
}

try() { # STORY KIND SIZE OPTIONS …
	local story=$1 kind=$2 size=$3
	shift 3
	make_ext "$size" -d "$tree" "$@"
	check "$story"
	[ "$(fact kind)" = "$kind" ] || fail "$story: this is $kind, not $(fact kind)"
}

try "ext2, 1k blocks" ext2 40M -t ext2 -b 1024
try "ext2, 4k blocks, 128 byte inodes" ext2 40M -t ext2 -b 4096 -I 128
try "ext3" ext3 48M -t ext3 -b 1024
try "ext4" ext4 48M -t ext4
try "ext4, 4k blocks, several groups" ext4 300M -t ext4 -b 4096
try "ext4 as Debian makes it, label" ext4 64M -t ext4 -L "root fs" -b 4096
[ "$(fact label)" = "root fs" ] || fail "the label is $(fact label)"
[ "$(fact uuid)" = "$(dumpe2fs -h "$img" 2>/dev/null | awk '/^Filesystem UUID/ { print $3 }')" ] || fail "the uuid is $(fact uuid)"
try "small groups" ext2 24M -t ext2 -b 1024 -g 256
try "no checksums, unwritten groups" ext4 96M -t ext4 -b 1024 -O ^metadata_csum,uninit_bg
try "no flex_bg" ext4 96M -t ext4 -b 1024 -O ^flex_bg
try "no 64bit" ext4 48M -t ext4 -O ^64bit
try "bigalloc" ext4 300M -t ext4 -O bigalloc -b 4096 -C 65536
try "bigalloc, 1k blocks" ext4 96M -t ext4 -O bigalloc -b 1024 -C 16384
try "sparse_super2" ext4 96M -t ext4 -b 1024 -O sparse_super2
try "meta_bg" ext4 96M -t ext4 -b 1024 -O meta_bg,^resize_inode
try "64k blocks" ext4 128M -t ext4 -b 65536

# Where block counts and bytes of the bitmap meet.
for ((n = 8185; n <= 8201; n++)); do
	make_ext 9M -t ext2 -b 1024 -N 64 && blank "$img" 9M
	mke2fs -q -F -t ext2 -b 1024 -N 64 "$img" $n >/dev/null 2>&1
	check_map "$n blocks"
done
for ((n = 4000; n <= 4017; n++)); do
	blank "$img" 17M
	mke2fs -q -F -t ext4 -b 4096 "$img" $n >/dev/null 2>&1
	check_map "$n blocks of 4k"
done
echo "ok: block counts around multiples of 8"

# What cannot be believed is copied whole, with a reason.
refused() { # WORDS
	map "$img" 3
	grep -q "$1" "$work/why" || fail "expected '$1': $(cat "$work/why")"
}
change() { debugfs -w -R "$1" "$img" >/dev/null 2>&1; }
make_ext 48M -t ext4 -d "$tree" && change "feature needs_recovery" && refused "needs recovery"
make_ext 48M -t ext4 -d "$tree" && change "ssv state 0" && refused "not unmounted cleanly"
make_ext 48M -t ext4 -d "$tree" && change "ssv state 3" && refused "having errors"
make_ext 48M -t ext4 -b 1024 -d "$tree" && map "$img" 0
change "setb $(($(extents | awk '{ print $2; exit }') / 1024))" && refused "free clusters" # the first free block
make_ext 48M -t ext4 -d "$tree" && change "ssv free_blocks_count 17" && refused "free blocks"
make_ext 48M -t ext2 -b 1024 && change "freeb 30" && refused "lacks its own structures"
make_ext 48M -O journal_dev && refused "external journal"
make_ext 48M -t ext4 && truncate -s 40M "$img" && refused "in a region of"
make_ext 48M -t ext4 -b 4096
at=$(dumpe2fs "$img" 2>/dev/null | awk '/Block bitmap at/ { print $4; exit }')
printf x | dd of="$img" bs=1 seek=$((at * 4096 + 100)) conv=notrunc status=none && refused "wrong checksum"
make_ext 48M -t ext4 && printf x | dd of="$img" bs=1 seek=1200 conv=notrunc status=none && refused "checksum"
echo "ok: what cannot be believed"
