# shellcheck shell=bash disable=SC2034
# What the tests of file-system readers on real images stand on. Sourced. Everything lives in $work, which a trap removes.
# The oracles are programs that are not ours: partclone, dumpe2fs, e2fsck, ntfsfix, ntfsresize, and the mounted trees.

set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C.UTF-8
used_map=${G4L_USED_MAP:?the path of the program that prints a used map}
work=$(mktemp -d "${TMPDIR:-/tmp}/g4l-images.XXXXXX")
mnt=$work/mnt
mkdir "$mnt"

finish() {
	! mountpoint -q "$mnt" || umount "$mnt" || fusermount -u "$mnt"
	rm -rf "$work"
}
trap finish EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# Skips the test unless all programs are there. PROGRAM:PACKAGE ...
need() {
	local pair
	for pair in "$@"; do
		command -v "${pair%%:*}" >/dev/null || {
			echo "skipped: needs ${pair%%:*} (package ${pair#*:})"
			exit 77
		}
	done
}

# A fresh sparse file. FILE SIZE
blank() {
	rm -f "$1"
	truncate -s "$2" "$1"
}

# Maps IMAGE: facts and extents go to $work/map, the reason of a refusal to $work/why. It must end with CODE.
map() {
	local image=$1 code=$2 got=0
	"$used_map" "$image" >"$work/map" 2>"$work/why" || got=$?
	[ "$got" = "$code" ] || fail "used map of $image: exit code $got instead of $code: $(cat "$work/why")"
}

# The value of one fact of the last map.
fact() { sed -n "s/^$1: //p" "$work/map"; }

# The last map as "FIRST END" lines, in bytes.
extents() { awk '/^[0-9]+ [0-9]+$/ { printf "%.0f %.0f\n", $1, $1 + $2 }' "$work/map"; }

# Fails unless all of file A lies inside file B; both are sorted "FIRST END" lines.
inside() {
	awk 'NR == FNR { first[NR] = $1; end[NR] = $2; n = NR; next }
	     { while (i < n && end[i + 1] <= $1) i++
	       if (i == n || first[i + 1] > $1 || end[i + 1] < $2) { print "not in the map: bytes " $1 " to " $2; bad = 1; exit 1 } }
	     END { exit bad }' "$2" "$1"
}

# A target of the same size as IMAGE, full of noise, with the used bytes of IMAGE and nothing else: $work/copy.
copy_used() {
	local size before
	size=$(stat -c %s "$1")
	rm -f "$work/copy"
	head -c "$size" < <(yes 'an old disk full of other things') >"$work/copy"
	before=$(sha256sum <"$1")
	"$used_map" "$1" "$work/copy" >/dev/null || fail "cannot copy the used bytes of $1"
	[ "$before" = "$(sha256sum <"$1")" ] || fail "reading $1 changed it"
}

# The names and contents of a tree, one line a file.
sums() { (cd "$1" && find . -type f -not -path './lost+found/*' -print0 | sort -z | xargs -0r sha256sum); }

# A tree with many shapes, and holes where files were. FOLDER
populate() {
	local i
	mkdir -p "$1/small" "$1/deep/er/still"
	for ((i = 0; i < 160; i++)); do
		head -c $((i * 67)) /dev/urandom >"$1/small/$i"
	done
	for ((i = 0; i < 9; i++)); do
		head -c $((200000 + i * 77777)) /dev/urandom >"$1/large$i"
	done
	rm "$1"/small/*[13579] "$1"/large[147]
	head -c 1500000 /dev/urandom >"$1/deep/er/still/fragmented"
	head -c 5000 /dev/urandom >"$1/deep/Größe und Maß.txt"
	truncate -s 3M "$1/sparse"
	printf end >>"$1/sparse"
	: >"$1/empty"
}
