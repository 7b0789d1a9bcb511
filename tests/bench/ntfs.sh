#!/bin/bash
# Images one NTFS volume with g4l, with partclone and with ntfsclone (both through zstd -1 -T0), in turn, in RAM, and prints
# the ratios. Usage: ntfs.sh [BUILD_FOLDER]. MIB (2560) is the size of the files, ROUNDS (2) how often; the best round counts.
# Needs root, /dev/fuse, ntfs-3g, partclone, zstd and about four times MIB in /dev/shm.
set -euo pipefail
build=$(realpath "${1:-build}")
mib=${MIB:-2560}
rounds=${ROUNDS:-2}
for tool in mkntfs ntfs-3g partclone.ntfs ntfsclone zstd; do
	command -v "$tool" >/dev/null || { echo "skipped: $tool is not here"; exit 77; }
done
[ -c /dev/fuse ] && [ "$(id -u)" = 0 ] || { echo "skipped: needs root and /dev/fuse"; exit 77; }
measure=$build/tests/bench/measure
g4l=$build/src/cli/g4l
keep=${BENCH_IMAGE:-}
work=$(mktemp -d /dev/shm/g4l-bench.XXXXXX)
cleanup() {
	mountpoint -q "$work/mnt" && umount "$work/mnt"
	rm -rf "$work"
}
trap cleanup EXIT

image=$work/source.img
if [ -n "$keep" ] && [ -f "$keep" ]; then
	image=$keep
else
	[ -z "$keep" ] || image=$keep
	echo "making an NTFS volume with $mib MiB of files ..."
	mkdir "$work/mnt"
	truncate -s $((mib * 3 / 2))M "$image"
	mkntfs -Q -F -q -H 1 -S 1 -p 0 -s 512 "$image" >/dev/null
	ntfs-3g -o big_writes "$image" "$work/mnt"
	"$build/tests/bench/make-files" "$work/mnt" "$mib" 3000
	umount "$work/mnt"
fi
size=$(stat -c %s "$image")

# run NAME COMMAND...: measures into $work/NAME.
run() {
	local name=$1
	shift
	"$measure" "$work/$name" "$@" >"$work/log" 2>&1 || { echo "$name failed:"; tail -5 "$work/log"; exit 1; }
}
blank() {
	rm -f "$work/target.img"
	truncate -s "$size" "$work/target.img"
}
# The quickest round of a measurement: field 1 seconds, 2 processor seconds, 3 KiB.
best() { sort -n "$work/$1" | head -1 | cut -d' ' -f"$2"; }
peak() { cut -d' ' -f3 "$work/$1" | sort -n | tail -1; }
ratio() { awk -v a="$(best "$1" 1)" -v b="$(best "$2" 1)" 'BEGIN { printf "%.1f", a / b }'; }

sum=$(sha256sum <"$image")
for round in $(seq "$rounds"); do
	echo "round $round of $rounds"
	rm -rf "$work/store"
	"$g4l" store init "$work/store" >/dev/null
	run g4l-backup "$g4l" backup --disk "$image" --store "$work/store" --as bench --json
	cp "$work/log" "$work/backup.json"
	run g4l-again "$g4l" backup --disk "$image" --store "$work/store" --as bench --json
	blank
	run g4l-restore "$g4l" restore bench --store "$work/store" --disk "$work/target.img" --yes --json
	run g4l-delta "$g4l" restore bench --store "$work/store" --disk "$work/target.img" --yes --json
	run g4l-verify "$g4l" verify bench --store "$work/store" --against "$work/target.img"
	rm -rf "$work/store" "$work/target.img"
	run partclone-backup bash -c "partclone.ntfs -c -s '$image' -o - -L '$work/pc.log' | zstd -1 -T0 -q -f -o '$work/pc.zst'"
	blank
	run partclone-restore bash -c "zstd -dcq '$work/pc.zst' | partclone.ntfs -r -s - -O '$work/target.img' -L '$work/pc.log'"
	partclone_bytes=$(stat -c %s "$work/pc.zst")
	rm -f "$work/pc.zst" "$work/target.img"
	run ntfsclone-backup bash -c "ntfsclone --save-image -f -o - '$image' 2>/dev/null | zstd -1 -T0 -q -f -o '$work/nc.zst'"
	run ntfsclone-restore bash -c "zstd -dcq '$work/nc.zst' | ntfsclone --restore-image -O '$work/target.img' - 2>/dev/null"
	ntfsclone_bytes=$(stat -c %s "$work/nc.zst")
	rm -f "$work/nc.zst" "$work/target.img"
done
[ "$sum" = "$(sha256sum <"$image")" ] || { echo "the source has changed"; exit 1; }

grep -o '"\(used_bytes\|stored_bytes\|chunks\)": *[0-9]*' "$work/backup.json" | head -3 | tr '\n' ' '
echo "partclone: $partclone_bytes ntfsclone: $ntfsclone_bytes"
printf '%-22s %9s %9s %10s\n' work seconds cpu peak_MiB
for name in g4l-backup g4l-again g4l-restore g4l-delta g4l-verify partclone-backup ntfsclone-backup partclone-restore ntfsclone-restore; do
	printf '%-22s %9s %9s %10s\n' "$name" "$(best $name 1)" "$(best $name 2)" "$(($(peak $name) / 1024))"
done
printf 'backup:  %s times as fast as partclone, %s times as fast as ntfsclone\n' \
	"$(ratio partclone-backup g4l-backup)" "$(ratio ntfsclone-backup g4l-backup)"
printf 'again:   %s times as fast as partclone, %s times as fast as ntfsclone\n' \
	"$(ratio partclone-backup g4l-again)" "$(ratio ntfsclone-backup g4l-again)"
printf 'restore: %s times as fast as partclone, %s times as fast as ntfsclone\n' \
	"$(ratio partclone-restore g4l-restore)" "$(ratio ntfsclone-restore g4l-restore)"
