#!/bin/bash
# Backup, verification, restore and refusal through g4ld and g4l-agent: what comes back is what was there, what was there
# is not changed, and only the disk that was named is written.
# shellcheck source=tests/cli/agent-functions.sh
. "$(dirname "$0")/agent-functions.sh"
need sfdisk mke2fs e2fsck
configure
start_g4ld
make_disk "$work/pc.img" 24
before=$(sha256sum <"$work/pc.img")
expect 0 "$g4l" host add pc1 "$mac" --after reboot

# A stranger's token, and a MAC that is not the host's.
start_job backup pc1
good=$armed
armed=${armed//g4l.token=??/g4l.token=00}
expect 1 run_agent "$work/pc.img" --limit 5
says token
armed=${good//g4l.mac=??/g4l.mac=0e}
expect 4 run_agent "$work/pc.img" --limit 5
# Another key than the server's.
armed=${good//g4l.pin=??/g4l.pin=00}
armed=${armed//g4l.pin=00/g4l.pin=$(tr '0-9a-f' '1-9a-f0' <<<"$(sed -n 's/.*g4l\.pin=\(..\).*/\1/p' <<<"$good")")}
expect 4 run_agent "$work/pc.img" --limit 5
says "not our server"
is "$(snapshot_count)" 0 "nobody was let in"

armed=$good
expect 0 run_agent "$work/pc.img"
ended 'done' 0
is "$(sha256sum <"$work/pc.img")" "$before" "the source was written to"
is "$(snapshot_count)" 1
expect 0 "$g4l" screen pc1
says "backup of pc1"
expect 0 "$g4l" log "$job"
says "snapshot .* is committed"
# The token was spent by that boot.
expect 1 run_agent "$work/pc.img" --limit 5
expect 0 "$g4l" snapshots pc1 --store "$work/store" --json
[ "$(value .used_bytes)" -lt $((70 << 20)) ] || fail "unused blocks were stored"

# Nothing new the second time.
start_job backup pc1
expect 0 run_agent "$work/pc.img"
ended 'done' 0
[ "$("$g4l" snapshots pc1 --store "$work/store" --json | tail -1 | jq .new_bytes)" -lt 2000000 ] ||
	fail "an unchanged disk cost much"

start_job verify pc1 --against-disk
expect 0 run_agent "$work/pc.img"
says "verify"

# Noise where the disk was. Without a disk that fits by identity, and more than one there: refused, nothing written.
head -c $((90 << 20)) /dev/urandom >"$work/new.img"
cp "$work/new.img" "$work/other.img"
noise=$(sha256sum <"$work/new.img")
start_job restore pc1 --yes
expect 4 run_agent "$work/new.img" --disk "$work/other.img"
ended failed 4
grep -q "other.img" "$work/err" || "$g4l" log "$job" | grep -q "other.img" || fail "the refusal does not list what is there"
is "$(sha256sum <"$work/new.img")" "$noise"
# Too small.
truncate -s 60M "$work/small.img"
start_job restore pc1 --disk "$work/small.img" --yes
expect 4 run_agent "$work/small.img"

start_job restore pc1 --disk "$work/new.img" --yes
expect 0 run_agent "$work/new.img" --disk "$work/other.img"
ended 'done' 0
is "$(sha256sum <"$work/other.img")" "$noise" "another disk was written to"
# The agent's own comparison, and somebody else's.
expect 0 "$g4l" verify pc1 --store "$work/store" --against "$work/new.img"
for part in 1 2; do
	read -r start size <<<"$(sfdisk -J "$work/new.img" | jq -r ".partitiontable.partitions[$((part - 1))] | \"\(.start) \(.size)\"")"
	dd if="$work/new.img" of="$work/part.new" bs=512 skip="$start" count="$size" status=none
	dd if="$work/pc.img" of="$work/part.old" bs=512 skip="$start" count="$size" status=none
	[ "$part" = 1 ] || cmp "$work/part.new" "$work/part.old" || fail "partition $part differs"
	[ "$part" = 2 ] || e2fsck -fn "$work/part.new" >/dev/null || fail "e2fsck finds damage"
done

# One byte of a file changes: seen.
printf x | dd of="$work/new.img" bs=1 seek=$((70 << 20)) conv=notrunc status=none
start_job verify pc1 --against-disk
expect 1 run_agent "$work/new.img"
says differ

# A disk that is larger than what the agent may hold: text without repetition, so that every chunk is sent, and little is
# stored. Sanitizers need memory of their own.
if ! grep -q __asan_init "$agent"; then
	awk 'BEGIN { for (i = 0; i < 680000; i++) printf "%999d\n", i }' >"$work/large.img"
	truncate -s %512 "$work/large.img"
	start_job backup pc1
	start_agent "$work/large.img"
	peak_of_agent
	wait_agent 0
	ended 'done' 0
	rm "$work/large.img"
	[ "$peak_mib" -lt 512 ] || fail "the agent held $peak_mib MiB"
fi
exit 0
