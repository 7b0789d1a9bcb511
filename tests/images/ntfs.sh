#!/bin/bash
# The NTFS reader on volumes that mkntfs and ntfs-3g made: partclone's map must lie inside ours, and a noise-filled disk
# that gets only the used bytes must pass ntfsfix and ntfsresize's check and hold the same files.
# shellcheck source=tests/images/lib.sh
. "$(dirname "$0")/lib.sh"
need mkntfs:ntfs-3g ntfs-3g:ntfs-3g partclone.ntfs:partclone
if [ ! -w /dev/fuse ] || [ "$(id -u)" != 0 ]; then
	echo "skipped: needs root and /dev/fuse"
	exit 77
fi
img=$work/ntfs.img

make_ntfs() { # SIZE [OPTIONS …]
	blank "$img" "$1"
	shift
	mkntfs -FQq -L "Maß 1" "$@" "$img" >/dev/null 2>&1 || fail "mkntfs $*"
}

open_ntfs() { ntfs-3g "$img" "$mnt" || fail "cannot mount $img"; }
shut_ntfs() { umount "$mnt"; }

# Clusters that partclone takes for used, but what it has behind the last whole cluster.
foreign_map() {
	rm -f "$work/domain"
	partclone.ntfs -D -s "$img" -o "$work/domain" -L /dev/null -q >/dev/null 2>&1 || fail "partclone.ntfs"
	awk '$3 == "+" { print $1, $2 }' "$work/domain" | while read -r at len; do echo $((at)) $((at + len)); done
}

check() { # STORY
	local story=$1 files
	map "$img" 0
	extents >"$work/ours"
	foreign_map >"$work/theirs"
	[ -s "$work/theirs" ] || fail "$story: partclone has no map"
	inside "$work/theirs" "$work/ours" || fail "$story: the map lacks what partclone has"
	copy_used "$img"
	cmp <(tail -c 512 "$img") <(tail -c 512 "$work/copy") || fail "$story: the last sector is lost"
	mv "$work/copy" "$img.copy"
	if ! ntfsfix -n "$img.copy" >"$work/fix" 2>&1; then
		# It looks for the backup boot sector at the device's end, where a smaller volume does not have it.
		! ntfsfix -n "$img" >/dev/null 2>&1 || fail "$story: $(cat "$work/fix")"
	fi
	ntfsresize -if "$img.copy" >"$work/resize" 2>&1 || fail "$story: $(cat "$work/resize")"
	ntfs-3g -o ro "$img" "$mnt"
	files=$(sums "$mnt")
	umount "$mnt"
	ntfs-3g -o ro "$img.copy" "$mnt"
	[ "$files" = "$(sums "$mnt")" ] || fail "$story: files differ"
	umount "$mnt"
	echo "ok: $story: $(wc -l <"$work/ours") extents, $(fact used) bytes, $(wc -l <<<"$files") files"
}

for unit in 512 1024 4096 65536; do
	make_ntfs 40M -c $unit
	map "$img" 0
	[ "$(fact cluster)" = $unit ] && [ "$(fact label)" = "Maß 1" ] || fail "facts of a volume with clusters of $unit"
	[ "$(fact used)" = "$(fact metadata)" ] || fail "an empty volume has only metadata"
	open_ntfs && populate "$mnt" && shut_ntfs
	check "clusters of $unit bytes"
done
make_ntfs 200M -c 2097152
open_ntfs && cp "$0" "$mnt/a" && cp "$0" "$mnt/b" && head -c 5000000 /dev/urandom >"$mnt/c" && rm "$mnt/a" && shut_ntfs
check "clusters of 2 MiB"
make_ntfs 40M -s 4096 -c 4096
open_ntfs && populate "$mnt" && shut_ntfs
check "sectors of 4096 bytes"

# A volume that was made smaller than its partition: the rest belongs to nobody, its last sector may be the backup.
make_ntfs 40M
blank "$img" 40M
mkntfs -FQq "$img" 60000 >/dev/null 2>&1
printf 'the last sector' | dd of="$img" bs=1 seek=$((40 * 1024 * 1024 - 512)) conv=notrunc status=none
open_ntfs && populate "$mnt" && shut_ntfs
check "volume smaller than its partition"

# $MFT in so many pieces that its runlist needs an attribute list: fill the volume, punch small holes, add files.
blank "$img" 12M
mkntfs -FQq -c 512 "$img" >/dev/null 2>&1
open_ntfs
mkdir "$mnt/d" "$mnt/e"
text=$(head -c 1024 /dev/zero | tr '\0' x)
for ((i = 0; i < 4000; i++)); do printf %s "$text" >"$mnt/d/$i" || break; done
head -c 12000000 /dev/zero >"$mnt/fill" 2>/dev/null || true
head -c 12000000 /dev/zero >"$mnt/fill2" 2>/dev/null || true
rm "$mnt"/d/*[02468]
for ((i = 0; i < 4000; i++)); do : >"$mnt/e/$i" || break; done 2>/dev/null
shut_ntfs
ntfsinfo -fi 0 "$img" | grep -q ATTRIBUTE_LIST || fail "this volume should have had a fragmented \$MFT"
check "\$MFT in many pieces"

# The first record of $MFT is damaged: the mirror stands in.
lcn=$(od -An -t u8 -j 48 -N 8 "$img")
dd if=/dev/zero of="$img" bs=512 seek="$((lcn))" count=2 conv=notrunc status=none
map "$img" 0
[[ $(fact note) == *mirror* ]] || fail "the damaged record should be told: $(fact note)"
extents | cmp - "$work/ours" || fail "the mirror leads to another map"
echo "ok: the first record of \$MFT by its mirror"

# A volume that waits for chkdsk: raw, and by used clusters again when it is clean.
make_ntfs 24M
open_ntfs && populate "$mnt" && shut_ntfs
truncate -s 40M "$img"
ntfsresize -ffbP "$img" >/dev/null 2>&1 || fail "ntfsresize"
map "$img" 3
grep -q "marked dirty" "$work/why" || fail "dirty: $(cat "$work/why")"
ntfsfix -d "$img" >/dev/null 2>&1 || fail "ntfsfix -d"
check "grown, its bitmap moved"

# A Windows that sleeps, and one that woke up.
make_ntfs 24M
open_ntfs && { printf HIBR && head -c 8188 /dev/zero; } >"$mnt/hiberfil.sys" && shut_ntfs
map "$img" 3
grep -q hibernated "$work/why" || fail "hibernated: $(cat "$work/why")"
make_ntfs 24M
open_ntfs && { printf wake && head -c 8188 /dev/zero; } >"$mnt/hiberfil.sys" && shut_ntfs
map "$img" 0
for ((i = 0; i < 900; i++)); do echo "file-$i-with-a-name-long-enough-to-fill-index-blocks"; done >"$work/names"
open_ntfs && (cd "$mnt" && xargs touch <"$work/names" && printf HIBR >hiberfil.sys) && shut_ntfs
map "$img" 3
echo "ok: hibernation, also in a large root folder"

# Not ours: BitLocker; cut short: raw.
make_ntfs 24M
printf -- '-FVE-FS-' | dd of="$img" bs=1 seek=3 conv=notrunc status=none
map "$img" 4
make_ntfs 24M
truncate -s 20M "$img"
map "$img" 3
echo "ok: BitLocker, a volume cut short"
