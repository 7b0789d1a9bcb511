#!/bin/bash
# The mistakes of an admin's day, by the command line: each ends with its exit code and a sentence that helps, and none wakes,
# reads or writes what was not meant.
# shellcheck source=tests/cli/agent-functions.sh
. "$(dirname "$0")/agent-functions.sh"
need jq

# g4ld is not there
expect 6 "$g4l" status
says "is it running"
expect 6 "$g4l" backup john
expect 6 "$g4l" backup john paul
expect 2 "$g4l" --nonsense

configure
start_g4ld
expect 0 "$g4l" host add john "$mac"
says "g4l backup john"

# hosts
expect 1 "$g4l" host add john 52:54:00:aa:bb:99
says "already"
expect 1 "$g4l" host add paul "$mac"
says "john"
expect 2 "$g4l" host add paul nonsense
expect 2 "$g4l" host show nobody
expect 2 "$g4l" status nobody
says "no host nobody"
expect 0 "$g4l" status john
says "no jobs"

# words that would be passed over are refused: nothing starts
for words in 'backup john --dry-run' 'backup john --as x' "backup john --store $work/store" 'backup john john' \
	'verify john --against /dev/null' 'verify john --number 1' "verify john --against-disk --store $work/store" \
	'restore john --number 1 --yes' 'restore john@abc --from paul@def --yes' 'restore john@abc --from paul --yes' \
	"restore john --store $work/store --yes" "restore john --store $work/store --disk $work/x --detach --yes"; do
	# shellcheck disable=SC2086
	expect 2 "$g4l" $words
done
is "$("$g4l" status --json | jq '.jobs | length')" 0 "a mistake started a job"
[ ! -e "$work/x" ] || fail "a mistake made a file"
expect 4 "$g4l" restore john
says "yes"

# G4L_STORE beside g4ld: whose disk is it?
head -c 1M /dev/urandom >"$work/precious"
before=$(sha256sum <"$work/precious")
G4L_STORE=$work/store expect 4 "$g4l" restore john --disk "$work/precious" --yes
says "this machine"
is "$(sha256sum <"$work/precious")" "$before"

# unknown hosts beside known ones: the known one is not kept waiting
expect 2 "$g4l" backup nobody john paul --detach
says "no host nobody"
says "no host paul"
job=$("$g4l" status --json | jq '.jobs[0].job')
expect 0 "$g4l" cancel "$job"
says "cancelled"
expect 1 "$g4l" cancel "$job"
says "over"
expect 130 "$g4l" watch "$job"
expect 2 "$g4l" watch 999
expect 2 "$g4l" log 999
expect 2 "$g4l" cancel 999
expect 2 "$g4l" log john

# ^C while following: the job goes on
"$g4l" backup john >"$work/out" 2>"$work/err" &
follower=$!
started+=("$follower")
for _ in $(seq 100); do
	grep -q waking "$work/err" && break
	sleep 0.1
done
kill -TERM "$follower"
code=0
wait "$follower" || code=$?
is "$code" 130
says "goes on"
job=$("$g4l" status --json | jq '.jobs[0].job')
is "$("$g4l" status --json | jq -r '.jobs[0].state')" waking

# g4ld goes away for a moment and comes back: the follower says so and stays
"$g4l" watch "$job" >"$work/out" 2>"$work/follower" &
follower=$!
started+=("$follower")
sleep 0.5
stop_g4ld KILL
sleep 1.5
start_g4ld
expect 0 "$g4l" cancel "$job"
code=0
wait "$follower" || code=$?
is "$code" 130
grep -q "does not answer" "$work/follower" || fail "the follower did not say that g4ld was away"

# by HTTPS: wrong token, wrong pin, token that is not there
pin=$("$g4l" status --json | jq -r .pin)
tls() {
	"$g4l" status --server "https://127.0.0.1:$https_port" "$@"
}
unset G4L_SOCKET
printf '%064d\n' 0 >"$work/token"
expect 2 tls --token-file "$work/token" --pin "$pin"
says "admin.token"
expect 6 tls --token-file "$work/state/admin.token" --pin "$(printf '%064d' 1)"
says "another key"
expect 2 tls --token-file "$work/absent" --pin "$pin"
says "absent"
expect 2 tls --pin "$pin"
expect 0 tls --token-file "$work/state/admin.token" --pin "$pin"
export G4L_SOCKET=$work/g4ld.sock

# a log that is longer than one answer is printed whole
if command -v sqlite3 >/dev/null; then
	sqlite3 "$work/state/state.db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<7000)
		INSERT INTO job_log(job, time, level, source, text) SELECT $job, 1, 'info', 'agent', 'line '||i FROM n"
	expect 0 "$g4l" log "$job"
	says 'line 7000'
fi

# the agent outlives a connection that breaks while it writes
expect 0 "$g4l" backup john --detach --json
for _ in $(seq 100); do
	[ -s "$work/state/armed/$mac.cmdline" ] && break
	sleep 0.1
done
armed=$(cat "$work/state/armed/$mac.cmdline")
truncate -s 1M "$work/disk"
stop_g4ld KILL
start_agent "$work/disk" --limit 30
sleep 0.5
ignored=$(sed -n 's/^SigIgn:\t//p' "/proc/$agent_pid/status")
[ $((0x$ignored & 0x1000)) != 0 ] || fail "SIGPIPE would end the agent"
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null || true
echo "all well"
