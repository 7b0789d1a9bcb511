# Shared by the agent's tests: a real g4ld on loopback that boots nobody, and agents that work on image files.
# shellcheck shell=bash disable=SC2154,SC2034
# shellcheck source=tests/cli/functions.sh
. "$(dirname "$0")/functions.sh"
need jq ss
g4ld=$build/src/server/g4ld
agent=$build/src/agent/g4l-agent
mac=52:54:00:aa:bb:01
export G4L_SOCKET=$work/g4ld.sock

# A port that nobody listens on; kept over restarts of g4ld, as the agents know it.
free_port() {
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 10000))
		[ -n "$(ss -Hltn "sport = :$port")" ] || { echo "$port"; return; }
	done
	fail "no free port"
}

configure() {
	https_port=$(free_port)
	http_port=$(free_port)
	mkdir -p "$work/state"
	cat >"$work/g4ld.conf" <<-END
		[server]
		store = $work/store
		state_dir = $work/state
		socket = $G4L_SOCKET
		[network]
		address = 127.0.0.1
		listen = 127.0.0.1
		https_port = $https_port
		http_port = $http_port
		[boot]
		netboot = none
		[limits]
		cancel_timeout = 2s
	END
	expect 0 "$g4l" store init "$work/store"
}

start_g4ld() {
	"$g4ld" --config "$work/g4ld.conf" --no-netboot >>"$work/g4ld.log" 2>&1 &
	g4ld_pid=$!
	started+=("$g4ld_pid")
	for _ in $(seq 100); do
		"$g4l" status >/dev/null 2>&1 && return
		kill -0 "$g4ld_pid" 2>/dev/null || break
		sleep 0.1
	done
	tail -20 "$work/g4ld.log" >&2
	fail "g4ld does not start"
}

stop_g4ld() { # [SIGNAL]
	kill "-${1:-TERM}" "$g4ld_pid"
	wait "$g4ld_pid" 2>/dev/null || true
}

# start_job G4L-ARGUMENTS…: sets $job, and $armed to the kernel command line of its boot.
start_job() {
	expect 0 "$g4l" "$@" --detach --json
	job=$(value .job)
	for _ in $(seq 100); do
		[ -s "$work/state/armed/$mac.cmdline" ] && break
		sleep 0.1
	done
	armed=$(cat "$work/state/armed/$mac.cmdline") || fail "job $job was not armed"
}

word() { # NAME: of the kernel command line
	sed -n "s/.*g4l\\.$1=\\([^ ]*\\).*/\\1/p" <<<"$armed"
}

# run_agent DISK [OPTION…]: in the foreground.
run_agent() {
	"$agent" --server "$(word server)" --pin "$(word pin)" --token "$(word token)" --mac "$(word mac)" --no-power \
		--disk "$@"
}

# start_agent DISK [OPTION…]: in the background, $agent_pid.
start_agent() {
	packs_before=$(packs)
	"$agent" --server "$(word server)" --pin "$(word pin)" --token "$(word token)" --mac "$(word mac)" --no-power \
		--disk "$@" >"$work/agent.log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
}

# peak_of_agent: waits until $agent_pid ends and sets $peak_mib to the most memory that it held.
peak_of_agent() {
	local kib=0 now state
	for _ in $(seq 6000); do
		state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$agent_pid/status" 2>/dev/null) || break
		[ "$state" != Z ] || break
		now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$agent_pid/status" 2>/dev/null) || break
		kib=${now:-$kib}
		sleep 0.05
	done
	peak_mib=$((kib / 1024))
	[ "$peak_mib" -gt 0 ] || fail "the agent was gone before its memory was measured"
}

# wait_agent CODE
wait_agent() {
	local got=0
	wait "$agent_pid" || got=$?
	[ "$got" = "$1" ] || {
		tail -20 "$work/agent.log" >&2
		"$g4l" log "$job" >&2 || true
		fail "the agent ended with $got, not $1"
	}
}

# in_the_middle: waits until the first pack of the agent's chunks is in the store and stops the agent there; go_on lets it
# go on.
in_the_middle() {
	for _ in $(seq 1500); do
		if [ "$(packs)" -gt "$packs_before" ]; then
			kill -STOP "$agent_pid" 2>/dev/null || fail "the job was over too soon for this test"
			return
		fi
		sleep 0.02
	done
	tail -20 "$work/agent.log" >&2
	fail "nothing arrives in the store"
}

go_on() {
	kill -CONT "$agent_pid"
}

packs() {
	find "$work/store" -path '*packs*' -type f -size +20M | wc -l
}

snapshot_count() {
	"$g4l" snapshots --store "$work/store" --json | grep -c . || true
}

# ended STATE CODE: waits until $job ended so.
ended() {
	local got=0
	timeout 60 "$g4l" watch "$job" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$2" ] || {
		"$g4l" log "$job" >&2
		tail -5 "$work/err" >&2
		fail "job $job ended with $got, not $2 ($1)"
	}
}

# A disk with a GPT: an ext4 partition with files, and one of noise.
make_disk() { # FILE NOISE-MIB
	truncate -s "$(($2 + 66))M" "$1"
	sfdisk -q "$1" >/dev/null <<-END
		label: gpt
		start=2048, size=64M, type=linux
		size=$2M
	END
	mkdir -p "$work/tree"
	for i in $(seq 20); do
		head -c $((i * 20000)) /dev/urandom >"$work/tree/file$i"
	done
	mke2fs -q -t ext4 -d "$work/tree" -E "offset=$((2048 * 512))" "$1" 64M
	dd if=/dev/urandom of="$1" bs=1M count="$2" seek=65 conv=notrunc status=none
}
