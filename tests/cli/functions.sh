# Shared by the shell tests: a work folder, a trap that removes it, and checks that say what went wrong.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C.UTF-8
unset G4L_STORE G4L_SOCKET G4L_SERVER

build=${1:?the build folder}
# Some scripts do not use all of these.
# shellcheck disable=SC2034
g4l=$build/src/cli/g4l
work=$(mktemp -d "${TMPDIR:-/var/tmp}/g4l-test.XXXXXX")
started=()

clean_up() {
	local code=$? pid
	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || true
		kill -CONT "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
	exit "$code"
}
trap clean_up EXIT

need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
	done
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# expect CODE COMMAND...: runs it, keeps stdout and stderr in $work/out and $work/err.
expect() {
	local want=$1 got=0
	shift
	"$@" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" = "$want" ] || {
		sed 's/^/  out: /' "$work/out" | head -20 >&2
		sed 's/^/  err: /' "$work/err" | tail -20 >&2
		fail "'$*' ended with $got, not $want"
	}
}

# says TEXT: the last expect's messages hold it.
says() {
	grep -qiE -- "$1" "$work/err" "$work/out" || {
		sed 's/^/  /' "$work/err" >&2
		fail "the message does not say '$1'"
	}
}

# value EXPRESSION: of the JSON that the last expect printed.
value() {
	local got
	got=$(jq -r "$1" "$work/out") && [ "$got" != null ] && [ -n "$got" ] || fail "no $1 in $(head -c 600 "$work/out")"
	echo "$got"
}

is() {
	[ "$1" = "$2" ] || fail "'$1' is not '$2'${3:+: $3}"
}
