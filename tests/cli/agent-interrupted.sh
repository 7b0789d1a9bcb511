#!/bin/bash
# Jobs that are interrupted: an agent that dies, a g4ld that dies, a job that is cancelled, an agent that is told to end, a
# server that does not come back. Nothing is ever half-committed, and what arrived is used by the next try.
# shellcheck source=tests/cli/agent-functions.sh
. "$(dirname "$0")/agent-functions.sh"
need sfdisk mke2fs
configure
start_g4ld
make_disk "$work/pc.img" 200
expect 0 "$g4l" host add pc1 "$mac"

# Killed in the middle; the next job sends only what is missing.
start_job backup pc1
start_agent "$work/pc.img"
in_the_middle
kill -9 "$agent_pid"
wait_agent 137
is "$(snapshot_count)" 0 "a killed backup left a snapshot"
expect 0 "$g4l" cancel "$job"
for _ in $(seq 200); do
	"$g4l" status --json | jq -e '.jobs | length == 0' >/dev/null && break
	sleep 0.5
done
start_job backup pc1
expect 0 run_agent "$work/pc.img"
ended 'done' 0
new=$("$g4l" snapshots pc1 --store "$work/store" --json | tail -1 | jq .new_bytes)
[ "$new" -lt $((180 << 20)) ] || fail "the second try sent $new bytes: nothing of the first was used"
echo "after a kill, the next try sent $new bytes" >&2

# g4ld is killed and comes back while the agent works.
make_disk "$work/pc.img" 200
start_job backup pc1
start_agent "$work/pc.img"
in_the_middle
stop_g4ld KILL
go_on
sleep 2
kill -0 "$agent_pid" || fail "the agent did not wait for the server"
start_g4ld
wait_agent 0
ended 'done' 0
is "$(snapshot_count)" 2
grep -q "trying again" "$work/agent.log" || fail "the agent did not say that the server was away"
expect 0 "$g4l" verify pc1 --store "$work/store" --against "$work/pc.img"

# Cancelled by a person.
make_disk "$work/pc.img" 200
start_job backup pc1
start_agent "$work/pc.img"
in_the_middle
expect 0 "$g4l" cancel "$job"
go_on
wait_agent 130
ended cancelled 130
is "$(snapshot_count)" 2

# Told to end.
make_disk "$work/pc.img" 200
start_job backup pc1
start_agent "$work/pc.img"
in_the_middle
kill -TERM "$agent_pid"
go_on
wait_agent 130
is "$(snapshot_count)" 2

# A server that stays away: the agent ends within its limit and says so.
for _ in $(seq 100); do
	"$g4l" status --json | jq -e '.jobs | length == 0' >/dev/null && break
	sleep 0.2
done
make_disk "$work/pc.img" 200
start_job backup pc1
start_agent "$work/pc.img" --limit 3
in_the_middle
stop_g4ld KILL
go_on
wait_agent 6
grep -q "gave up" "$work/agent.log" || fail "the agent does not say that it gave up"
exit 0
