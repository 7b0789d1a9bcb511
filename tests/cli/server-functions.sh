# A g4ld on loopback that boots nobody, for the server's shell tests. Source functions.sh first.
# shellcheck shell=bash
g4ld=$build/src/server/g4ld
agent=$build/src/agent/g4l-agent
mac=52:54:00:11:22:33

# configure [LIMITS...]: writes the configuration; each word becomes a line of [limits].
configure() {
	{
		printf '[server]\nstore = %s/store\nstate_dir = %s/state\nsocket = %s/sock\n' "$work" "$work" "$work"
		printf '[network]\naddress = 127.0.0.1\nlisten = 127.0.0.1\nhttps_port = %s\nhttp_port = %s\n' "${https:-0}" "${http:-0}"
		printf '[boot]\nnetboot = none\nboot_dir = %s/boot\n[limits]\n' "$work"
		[ $# = 0 ] || printf '%s\n' "$@"
	} >"$work/conf"
}

# Starts g4ld and waits until it answers. Its ports stay the same over restarts.
start_g4ld() {
	"$g4ld" --config "$work/conf" 2>>"$work/g4ld.log" &
	g4ld_pid=$!
	started+=("$g4ld_pid")
	for _ in $(seq 100); do
		api /status >"$work/status" 2>/dev/null && break
		kill -0 "$g4ld_pid" 2>/dev/null || fail "g4ld ended: $(tail -n 3 "$work/g4ld.log")"
		sleep 0.05
	done
	https=$(jq -er .https_port "$work/status")
	http=$(jq -er .http_port "$work/status")
	pin=$(jq -er .pin "$work/status")
	sed -i "s/^https_port.*/https_port = $https/; s/^http_port.*/http_port = $http/" "$work/conf"
}

# stop_g4ld SIGNAL
stop_g4ld() {
	kill -"${1:-TERM}" "$g4ld_pid"
	wait "$g4ld_pid" 2>/dev/null || true
}

# api PATH [CURL OPTIONS]: over the Unix socket; the body goes to stdout, the status to $work/code.
api() {
	local path=$1
	shift
	curl -sS -m 60 --unix-socket "$work/sock" -o "$work/body" -w '%{http_code}' "$@" "http://g4ld/api/v1$path" >"$work/code" || return
	cat "$work/body"
}

# asks STATUS PATH [CURL OPTIONS]: an answer with that status.
asks() {
	local want=$1
	shift
	api "$@" >"$work/out"
	: >"$work/err"
	is "$(cat "$work/code")" "$want" "$* answered $(head -c 300 "$work/out")"
}

# await JOB STATE [SECONDS]
await() {
	local job=$1 state=$2 now=
	for _ in $(seq $((${3:-20} * 10))); do
		now=$(api "/jobs/$job" | jq -r .state)
		[ "$now" = "$state" ] && return
		case $now in done | degraded | failed | cancelled) break ;; esac
		sleep 0.1
	done
	fail "job $job is $now, not $state: $(api "/jobs/$job" | jq -r .error)
$(tail -n 5 "$work/g4ld.log")"
}

# armed WORD: a value of the armed host's kernel command line.
armed() {
	tr ' ' '\n' <"$work/state/armed/$mac.cmdline" | sed -n "s/^g4l.$1=//p"
}

# run_agent DISK: does the armed host's job as the netbooted PC would.
run_agent() {
	start_agent "$1"
	wait "$agent_pid"
}

# start_agent DISK: the same in the background, as $agent_pid.
start_agent() {
	"$agent" --server "$(armed server)" --pin "$(armed pin)" --token "$(armed token)" --mac "$mac" --disk "$1" --no-power \
		>"$work/agent.log" 2>&1 &
	agent_pid=$!
	started+=("$agent_pid")
}
