#!/bin/bash
# Whole jobs with the real agent on an image file: backup, verify, restore; g4ld killed in the middle; an agent killed.
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
# shellcheck source=tests/cli/server-functions.sh
. "$(dirname "$0")/server-functions.sh"
need curl jq mkfs.ext4 cmp

configure
expect 0 "$g4l" store init "$work/store"
start_g4ld
asks 200 /hosts -d "{\"name\":\"john\",\"macs\":[\"$mac\"]}"

disk=$work/disk.img
truncate -s 300M "$disk"
mkdir "$work/tree"
head -c 30000000 /dev/urandom >"$work/tree/large"
cp -r /usr/share/doc/bash "$work/tree/" 2>/dev/null || true
mkfs.ext4 -q -F -d "$work/tree" "$disk"
sum=$(sha256sum <"$disk")

# queue KIND MORE: a job, brought to waking
queue() {
	asks 200 /jobs -d "{\"kind\":\"$1\",\"host\":\"john\"${2:+,$2}}"
	job=$(jq .job "$work/out")
	await "$job" waking
}

# a backup; the wrong PC first
queue backup
cp "$work/state/armed/$mac.cmdline" "$work/cmdline"
mac=52:54:00:99:99:99
sed "s/g4l.mac=[^ ]*/g4l.mac=$mac/" "$work/cmdline" >"$work/state/armed/$mac.cmdline"
run_agent "$disk" && fail "another PC was let in"
rm "$work/state/armed/$mac.cmdline"
mac=52:54:00:11:22:33
run_agent "$disk" || fail "the agent failed: $(tail -n 5 "$work/agent.log")"
await "$job" done
snapshot=$(api "/jobs/$job" | jq -er .snapshot)
is "$(sha256sum <"$disk")" "$sum" "the source was written"
asks 200 "/snapshots?host=john"
is "$(jq -r '.snapshots[0].snapshot' "$work/out")" "$snapshot"
asks 200 /hosts/john
is "$(jq -r '.hello.macs[0]' "$work/out")" "$mac"
asks 200 "/jobs/$job/log"
jq -e '[.lines[] | select(.source == "agent")] | length > 0' "$work/out" >/dev/null || fail "nothing of the agent's log was kept"

# the store alone
asks 200 /jobs -d '{"kind":"verify","host":"john"}'
await "$(jq .job "$work/out")" done

# against the disk: the same, then changed
queue verify '"against_disk":true'
run_agent "$disk" || fail "verify: $(tail -n 5 "$work/agent.log")"
await "$job" done

# a restore onto noise
head -c 100000000 /dev/urandom >"$work/target.img"
truncate -s 300M "$work/target.img"
queue restore '"yes":true'
run_agent "$work/target.img" || fail "restore: $(tail -n 5 "$work/agent.log")"
await "$job" done
e2fsck -fn "$work/target.img" >/dev/null 2>&1 || fail "the restored file system is not clean"
debugfs -R "dump large $work/large" "$work/target.img" 2>/dev/null
cmp "$work/large" "$work/tree/large"

# g4ld is killed in the middle of a backup of new data; the agent goes on with the new one
head -c 150000000 /dev/urandom >"$work/tree/more"
rm "$disk"
truncate -s 400M "$disk"
mkfs.ext4 -q -F -d "$work/tree" "$disk"
queue backup
start_agent "$disk"
await "$job" working
for _ in $(seq 100); do
	[ "$(api "/jobs/$job" | jq .done_bytes)" -gt 0 ] && break
	sleep 0.05
done
stop_g4ld KILL
sleep 1
start_g4ld
wait "$agent_pid" || fail "the agent failed after the restart: $(tail -n 5 "$work/agent.log")"
await "$job" done
expect 0 "$g4l" store check "$work/store"
asks 200 /jobs -d '{"kind":"verify","host":"john"}'
await "$(jq .job "$work/out")" done

# an agent that is killed: the job fails at the limit, and the next try sends only what is missing
stop_g4ld TERM
configure 'agent_silence = 2'
start_g4ld
head -c 400000000 /dev/urandom >"$work/tree/more"
rm "$disk"
truncate -s 700M "$disk"
mkfs.ext4 -q -F -d "$work/tree" "$disk"
queue backup
start_agent "$disk"
# Wherever it is killed, the job must fail; only too late would be wrong.
await "$job" working
kill -KILL "$agent_pid" || fail "the agent was done before it could be killed"
wait "$agent_pid" 2>/dev/null || true
await "$job" failed
says_error=$(api "/jobs/$job" | jq -r .error)
[[ $says_error == *silent* ]] || fail "the failure is not explained: $says_error"
queue backup
run_agent "$disk" || fail "the next try failed: $(tail -n 5 "$work/agent.log")"
await "$job" done
echo "all well"
